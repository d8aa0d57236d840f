//! The queue between a lane and its exporter: one segmented log on disk for each lane, and the only queue there is.
//!
//! Appending copies into memory; a thread of the queue's own writes what has gathered and forces it to disk once
//! for all that wait. The consumer reads back only what is on disk, acknowledges in order, and a segment goes
//! when the cursor past it is itself on disk. Opening succeeds whatever the disk holds.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};

use crate::ledger;

mod commit;
mod crash;
mod cursor;
mod disk;
mod events;
mod reader;
mod record;
mod recover;
mod settings;
mod space;
mod state;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use crash::point as crash_point;
pub use reader::{Batch, Reader};
pub use settings::Settings;

use commit::Committer;
use disk::{Disk, Folder};
use events::Events;
use state::State;

/// One lane's queue.
pub struct Queue {
    lane: &'static str,
    settings: Settings,
    disk: Arc<dyn Disk>,
    books: Arc<ledger::Lane>,
    events: Events,
    state: Mutex<State>,
    /// Wakes the thread that writes.
    work: Condvar,
    durable: watch::Sender<Progress>,
    /// Told when there may be room again.
    room: Notify,
    committer: Mutex<Committer>,
    /// Held for as long as the queue is open, so that no second process opens it.
    lock: Mutex<Option<std::fs::File>>,
}

/// What is on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// One past the last sequence number.
    pub(crate) end_seq: u64,
    /// Nothing will be added.
    pub(crate) closed: bool,
}

/// Stands for what one `append` took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Nothing was taken, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("the queue has reached queue.max_bytes")]
    Bound,
    #[error("the disk is full, or has less than queue.min_free left")]
    Disk,
    #[error("the disk is slower than the input")]
    Busy,
    #[error("one record is larger than 16 MiB")]
    TooLarge,
    #[error("the agent is stopping")]
    Closed,
}

/// The queue was closed before the record was on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue was closed before the record was on disk")]
pub struct Broken;

/// Why a queue cannot be opened: never because of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use {path} for the queue: {source}; set data_dir to a folder that can be written")]
    Folder { path: String, source: std::io::Error },
    #[error("{path} is in use by another sightline: stop it, or set another data_dir")]
    InUse { path: String },
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    pub records: u64,
    /// On disk, with what is delivered already but shares a segment with what is not.
    pub bytes: u64,
    /// Age of the oldest record that waits, to about a second.
    pub oldest_age: Duration,
    /// Whether the disk refuses writes at present.
    pub blocked: bool,
}

impl Queue {
    /// Bytes that it may take on disk.
    pub fn bound(&self) -> crate::units::Bytes {
        self.settings.max_bytes
    }

    /// Opens the queue of `lane` in `dir/lane`, whatever state it is in, and starts its thread.
    pub fn open(dir: &Path, lane: &'static str, settings: &Settings) -> Result<Arc<Self>, OpenError> {
        let path = dir.join(lane);
        let failed = |source| OpenError::Folder { path: path.display().to_string(), source };
        let disk = Folder::new(&path).map_err(failed)?;
        let lock = std::fs::File::create(path.join("lock")).map_err(failed)?;
        if lock.try_lock().is_err() {
            return Err(OpenError::InUse { path: path.display().to_string() });
        }
        let queue = Self::open_on(Arc::new(disk), lane, settings, Some(lock)).map_err(failed)?;
        let worker = queue.clone();
        std::thread::Builder::new()
            .name(format!("queue-{lane}"))
            .spawn(move || worker.run())
            .map_err(failed)?;
        Ok(queue)
    }

    /// As [`Queue::open`], on any disk and without a thread: the caller commits.
    fn open_on(
        disk: Arc<dyn Disk>,
        lane: &'static str,
        settings: &Settings,
        lock: Option<std::fs::File>,
    ) -> std::io::Result<Arc<Self>> {
        let events = Events::new(lane);
        let books = ledger::lane(lane);
        let (state, committer) = recover::open(&*disk, settings, &events, SystemTime::now())?;
        books.may_drop(&["corrupt"]);
        books.recovered(state.next_seq - state.acked);
        events.opened(state.next_seq - state.acked, state.bytes());
        let (durable, _) = watch::channel(Progress { end_seq: state.next_seq, closed: false });
        Ok(Arc::new(Queue {
            lane,
            settings: settings.clone(),
            disk,
            books,
            events,
            state: Mutex::new(state),
            work: Condvar::new(),
            durable,
            room: Notify::new(),
            committer: Mutex::new(committer),
            lock: Mutex::new(lock),
        }))
    }

    /// The lane that this queue serves.
    pub fn lane(&self) -> &'static str {
        self.lane
    }

    /// Takes all of `payloads` or nothing. Cheap: one copy and one checksum; the disk is not touched here.
    pub fn append(&self, payloads: &[impl AsRef<[u8]>]) -> Result<Ticket, Full> {
        let mut state = self.state.lock();
        let before = state.pending.bytes.len();
        let ticket = state.append(payloads, &self.settings)?;
        let after = state.pending.bytes.len();
        let commit = self.settings.commit_bytes.as_usize();
        // The thread sleeps until there is something, and then until there is enough or it is time.
        if before == 0 || (before < commit && after >= commit) {
            self.work.notify_one();
        }
        drop(state);
        self.books.enqueued(payloads.len() as u64);
        Ok(Ticket(ticket))
    }

    /// Resolves when everything up to `ticket` can no longer be lost in a crash.
    pub fn durable(&self, ticket: Ticket) -> impl Future<Output = Result<(), Broken>> + Send + 'static {
        let mut durable = self.durable.subscribe();
        let mut state = self.state.lock();
        // Somebody waits for an answer: the group is written as soon as the disk has done with the one before it.
        if ticket.0 > state.group_end && !std::mem::replace(&mut state.pending.awaited, true) {
            self.work.notify_one();
        }
        drop(state);
        async move {
            let progress =
                durable.wait_for(|p| p.end_seq >= ticket.0 || p.closed).await.map_err(|_| Broken)?;
            if progress.end_seq >= ticket.0 { Ok(()) } else { Err(Broken) }
        }
    }

    /// Resolves when an `append` that was refused may succeed.
    pub async fn wait_room(&self) {
        loop {
            let told = self.room.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.state.lock().has_room(&self.settings) {
                return;
            }
            told.await;
        }
    }

    /// How much waits now.
    pub fn depth(&self) -> Depth {
        self.state.lock().depth(Instant::now())
    }

    /// The one consumer of this queue, from the cursor on.
    pub fn reader(self: &Arc<Self>) -> Reader {
        Reader::new(self.clone())
    }

    /// Everything before `seq` has been dealt with.
    pub fn acknowledge(&self, seq: u64) {
        let mut state = self.state.lock();
        if state.acknowledge(seq) {
            self.work.notify_one();
        }
    }

    /// Refreshes the gauges; called before each scrape.
    pub fn publish(&self) {
        let depth = self.depth();
        self.events.bytes.set(depth.bytes as f64);
        self.events.oldest_seconds.set(depth.oldest_age.as_secs_f64());
    }

    /// Writes what has been taken and the cursor, and ends the thread. Nothing is taken afterwards. Blocking, up
    /// to `deadline` if the disk refuses.
    pub fn close(&self, deadline: Instant) {
        let mut state = self.state.lock();
        state.closing = Some(deadline);
        self.work.notify_all();
        while !state.closed && !self.work.wait_until(&mut state, deadline).timed_out() {}
        drop(state);
        self.room.notify_waiters();
    }

    /// Follows what is on disk and can be read.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.durable.subscribe()
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("lane", &self.lane)
            .field("depth", &self.depth())
            .finish_non_exhaustive()
    }
}
