//! Records that a back end refused for good, kept with its reason until a person looks: bounded, on disk, to be
//! listed, shown, replayed or dropped.
//!
//! Files of JSON lines, `letters-<first number>.ndjson`, oldest removed first when the bound is reached. A letter
//! that has been dealt with has its number in `settled`. The command line and a running agent may use the folder
//! at once: a replay is handed over as a file in `replay/`, which the agent enqueues and removes.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Entry;

pub mod cli;
mod replay;
mod settings;

#[cfg(test)]
mod tests;

pub use settings::Settings;

const SETTLED: &str = "settled";
/// A reason is shown to a person; a back end that says more than this is cut short.
const MAX_REASON: usize = 2000;

/// A record that was refused, on its way to the dead letters.
#[derive(Debug, Clone)]
pub struct Refused {
    pub entry: Entry,
    /// What the back end said.
    pub reason: String,
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Rises from letter to letter and names it.
    pub number: u64,
    /// When it was refused, RFC 3339.
    pub time: String,
    pub lane: String,
    pub exporter: String,
    pub reason: String,
    #[serde(with = "base64_bytes")]
    pub payload: Vec<u8>,
}

/// The letters of one agent.
#[derive(Debug)]
pub struct DeadLetters {
    dir: PathBuf,
    settings: Settings,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    next_number: u64,
    active: Option<(PathBuf, File, u64)>,
}

impl DeadLetters {
    /// Opens or creates the folder. Lines that cannot be read are passed over.
    pub fn open(dir: &Path, settings: &Settings) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join(replay::FOLDER))?;
        let letters =
            DeadLetters { dir: dir.to_owned(), settings: settings.clone(), files: Mutex::default() };
        let last = letters.all()?.last().map_or(0, |letter| letter.number);
        let named = letters.list_files()?.last().map_or(0, |(first, _)| *first);
        // Settled numbers are never given again, even when the letters themselves have gone.
        let settled = letters.settled()?.last().copied().unwrap_or(0);
        letters.files.lock().next_number = last.max(named).max(settled) + 1;
        Ok(letters)
    }

    /// Keeps `refused` and forces them to disk.
    pub fn put(&self, lane: &str, exporter: &str, refused: &[Refused], now: SystemTime) -> io::Result<()> {
        let time = rfc3339(now);
        let mut files = self.files.lock();
        let first = files.next_number;
        let mut text = Vec::new();
        for (number, refused) in (first..).zip(refused) {
            let letter = Letter {
                number,
                time: time.clone(),
                lane: lane.to_owned(),
                exporter: exporter.to_owned(),
                reason: refused.reason.chars().take(MAX_REASON).collect(),
                payload: refused.entry.payload.to_vec(),
            };
            serde_json::to_writer(&mut text, &letter)?;
            text.push(b'\n');
        }
        let rotate = files.active.as_ref().is_none_or(|(_, _, len)| *len >= self.settings.max_bytes.0 / 8);
        if rotate {
            let path = self.dir.join(format!("letters-{first:016}.ndjson"));
            let file = OpenOptions::new().append(true).create(true).open(&path)?;
            File::open(&self.dir)?.sync_all()?;
            files.active = Some((path, file, 0));
        }
        let Some((_, file, len)) = &mut files.active else { return Ok(()) };
        if let Err(error) = file.write_all(&text).and_then(|()| file.sync_data()) {
            // What was written may end in the middle of a line: the next letters begin a new file.
            files.active = None;
            return Err(error);
        }
        *len += text.len() as u64;
        files.next_number += refused.len() as u64;
        let active = files.active.as_ref().map(|(path, ..)| path.clone());
        drop(files);
        self.prune(active.as_deref())
    }

    /// The letters that wait, oldest first.
    pub fn list(&self) -> io::Result<Vec<Letter>> {
        let settled = self.settled()?;
        Ok(self.all()?.into_iter().filter(|letter| !settled.contains(&letter.number)).collect())
    }

    /// Takes letters away for good; says how many there were.
    pub fn drop_letters(&self, chosen: &Choice) -> io::Result<usize> {
        let letters: Vec<Letter> = self.list()?.into_iter().filter(|l| chosen.takes(l)).collect();
        self.settle(letters.iter().map(|letter| letter.number))?;
        Ok(letters.len())
    }

    fn settle(&self, numbers: impl Iterator<Item = u64>) -> io::Result<()> {
        let mut text = String::new();
        for number in numbers {
            text.push_str(&format!("{number}\n"));
        }
        let mut file = OpenOptions::new().append(true).create(true).open(self.dir.join(SETTLED))?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.prune(self.files.lock().active.as_ref().map(|(path, ..)| path.clone()).as_deref())
    }

    fn settled(&self) -> io::Result<BTreeSet<u64>> {
        match fs::read_to_string(self.dir.join(SETTLED)) {
            Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(error),
        }
    }

    fn all(&self) -> io::Result<Vec<Letter>> {
        let mut letters = Vec::new();
        for (_, path) in self.list_files()? {
            read_letters(&path, &mut letters)?;
        }
        Ok(letters)
    }

    fn list_files(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_prefix("letters-").and_then(|n| n.strip_suffix(".ndjson")?.parse().ok());
            if let Some(number) = number {
                files.push((number, path));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Removes files whose letters are all settled, and the oldest while the bound is passed.
    fn prune(&self, active: Option<&Path>) -> io::Result<()> {
        let files = self.list_files()?;
        let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        let mut total: u64 = files.iter().map(|(_, path)| size(path)).sum();
        let settled = self.settled()?;
        for (_, path) in files.iter().filter(|(_, path)| Some(path.as_path()) != active) {
            let over = total > self.settings.max_bytes.0;
            // Whether the letters are settled is only worth a look when something was.
            if !over && settled.is_empty() {
                break;
            }
            let mut letters = Vec::new();
            read_letters(path, &mut letters)?;
            let left = letters.iter().filter(|letter| !settled.contains(&letter.number)).count();
            if left > 0 && !over {
                continue;
            }
            total -= size(path);
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            if left > 0 {
                metrics::counter!("sightline_dead_letters_dropped_total", "reason" => "bound")
                    .increment(left as u64);
                tracing::error!(
                    letters = left,
                    "the oldest dead letters are gone: dead_letters.max_bytes is reached"
                );
            }
        }
        Ok(())
    }
}

/// Which letters a command means.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Only these numbers; all if empty.
    pub numbers: BTreeSet<u64>,
    /// Only this lane.
    pub lane: Option<String>,
    /// Only those whose reason holds this text.
    pub reason: Option<String>,
}

impl Choice {
    /// Whether `letter` is meant.
    pub fn takes(&self, letter: &Letter) -> bool {
        (self.numbers.is_empty() || self.numbers.contains(&letter.number))
            && self.lane.as_ref().is_none_or(|lane| *lane == letter.lane)
            && self.reason.as_ref().is_none_or(|text| letter.reason.contains(text))
    }
}

/// Reads the letters of a file; lines that are none are passed over.
fn read_letters(path: &Path, letters: &mut Vec<Letter>) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for line in BufReader::new(file).split(b'\n') {
        if let Ok(letter) = serde_json::from_slice(&line?) {
            letters.push(letter);
        }
    }
    Ok(())
}

fn rfc3339(now: SystemTime) -> String {
    let now =
        time::OffsetDateTime::from(now).replace_nanosecond(0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

mod base64_bytes {
    use super::{BASE64, Engine};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        BASE64.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}
