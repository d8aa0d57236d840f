//! Brings dead letters back to their queues. A replay is a file in `replay/` that appears whole by renaming;
//! from then on its letters are no longer dead, and the agent enqueues them and removes the file.
//!
//! A crash between enqueueing and removing enqueues again; the fixed ids of log records and spans make that one
//! record in the back end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Choice, DeadLetters, Letter, read_letters};
use crate::ledger;
use crate::queue::{Full, Queue};

pub(super) const FOLDER: &str = "replay";
/// Letters to one append.
const GROUP: usize = 256;

impl DeadLetters {
    /// Hands the chosen letters over for another round; says how many. They are enqueued by [`Self::replay_into`].
    pub fn request_replay(&self, chosen: &Choice) -> io::Result<usize> {
        let letters: Vec<Letter> = self.list()?.into_iter().filter(|letter| chosen.takes(letter)).collect();
        let Some(first) = letters.first() else { return Ok(0) };
        let folder = self.dir.join(FOLDER);
        let name = format!("{:016}-{}.ndjson", first.number, std::process::id());
        let draft = folder.join(format!("{name}.draft"));
        let mut text = Vec::new();
        for letter in &letters {
            serde_json::to_writer(&mut text, letter)?;
            text.push(b'\n');
        }
        let mut file = File::create(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&draft, folder.join(name))?;
        File::open(&folder)?.sync_all()?;
        self.settle(letters.iter().map(|letter| letter.number))?;
        Ok(letters.len())
    }

    /// Enqueues what has been handed over; the queue of a letter's lane is looked for in `queues`. Says how many
    /// records went. A queue without room leaves the rest for the next call.
    pub async fn replay_into(self: &Arc<Self>, queues: &[Arc<Queue>]) -> io::Result<usize> {
        let mut replayed = 0;
        for path in self.requests()? {
            let letters = {
                let (path, me) = (path.clone(), self.clone());
                tokio::task::spawn_blocking(move || {
                    let mut letters = Vec::new();
                    read_letters(&path, &mut letters)?;
                    // Also when the process that asked for the replay ended before it had noted so.
                    let settled = me.settled()?;
                    let open = letters.iter().map(|l| l.number).filter(|number| !settled.contains(number));
                    let open: Vec<u64> = open.collect();
                    if !open.is_empty() {
                        me.settle(open.into_iter())?;
                    }
                    Ok::<_, io::Error>(letters)
                })
                .await
                .map_err(io::Error::other)??
            };
            for queue in queues {
                let mine: Vec<&Letter> = letters.iter().filter(|l| l.lane == queue.lane()).collect();
                for group in mine.chunks(GROUP) {
                    let payloads: Vec<&[u8]> = group.iter().map(|letter| letter.payload.as_slice()).collect();
                    enqueue(queue, &payloads).await.map_err(io::Error::other)?;
                    replayed += group.len();
                }
            }
            fs::remove_file(&path)?;
        }
        Ok(replayed)
    }

    fn requests(&self) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(self.dir.join(FOLDER))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "ndjson") {
                paths.push(path);
            }
        }
        paths.sort_unstable();
        Ok(paths)
    }
}

/// Appends and waits until the records are on disk, however long the queue takes to have room.
async fn enqueue(queue: &Queue, payloads: &[&[u8]]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    loop {
        match queue.append(payloads) {
            Ok(ticket) => {
                ledger::lane(queue.lane()).replayed(payloads.len() as u64);
                return Ok(queue.durable(ticket).await?);
            }
            Err(Full::Closed) => return Err(Full::Closed.into()),
            Err(_) => queue.wait_room().await,
        }
    }
}
