//! The lane's one entrance: lines go in, understood records are in the queue when it returns.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::events;
use super::record::{Batch, Policy, Scratch, Source};
use super::timestamp::Nanos;
use crate::queue::{Broken, Full};
use crate::receive::sink::{Sink, Ticket};

/// The queue has no room; nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log queue is full")]
pub struct Busy;

impl From<Full> for Busy {
    fn from(_: Full) -> Self {
        Busy
    }
}

/// A handle to the logs lane.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Policy,
    sink: Arc<dyn Sink>,
    max_line: usize,
}

/// What a thread uses again from batch to batch.
#[derive(Default)]
struct Worker {
    scratch: Scratch,
    batch: Batch,
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

impl Intake {
    /// An entrance in front of `sink`.
    pub fn new(policy: Policy, sink: Arc<dyn Sink>, max_line: usize) -> Self {
        events::may_drop();
        Intake { inner: Arc::new(Inner { policy, sink, max_line }) }
    }

    /// Takes one line. When the queue is full the line is lost and counted: for senders that cannot wait.
    pub fn line(&self, raw: &[u8], from: Source<'_>) -> Result<(), Busy> {
        let taken = self.batch(&mut std::iter::once(raw), from);
        if taken.is_err() {
            events::dropped("queue_full", 1);
        }
        taken.map(|_| ())
    }

    /// Takes all lines or none. The ticket tells when they are safe.
    pub fn batch(&self, lines: &mut dyn Iterator<Item = &[u8]>, from: Source<'_>) -> Result<Ticket, Busy> {
        self.collect(|policy, scratch, batch| {
            let now = now();
            for line in lines {
                if line.len() > self.inner.max_line {
                    events::rejected("line_too_long", 1);
                } else {
                    policy.line(line, from, now, scratch, batch);
                }
            }
        })
        .map_err(|_| Busy)
    }

    /// Understands whatever `fill` puts into a batch and enqueues it; gives the batch back if there is no room.
    pub(super) fn collect(
        &self,
        fill: impl FnOnce(&Policy, &mut Scratch, &mut Batch),
    ) -> Result<Ticket, Box<Batch>> {
        WORKER.with_borrow_mut(|worker| {
            fill(&self.inner.policy, &mut worker.scratch, &mut worker.batch);
            let taken = self.enqueue(&worker.batch);
            if taken.is_err() {
                return Err(Box::new(std::mem::take(&mut worker.batch)));
            }
            worker.batch.clear();
            taken.map_err(|_| Box::default())
        })
    }

    /// Enqueues a finished batch; an empty one is always taken.
    pub(super) fn enqueue(&self, batch: &Batch) -> Result<Ticket, Full> {
        let ticket = match batch.payloads.is_empty() {
            true => Ticket::default(),
            false => self.inner.sink.append(&batch.payloads.slices())?,
        };
        events::received(batch);
        Ok(ticket)
    }

    /// Resolves when what `ticket` stands for survives a crash.
    pub async fn durable(&self, ticket: Ticket) -> Result<(), Broken> {
        self.inner.sink.durable(ticket).await
    }

    /// Resolves when the queue may have room again.
    pub async fn wait_room(&self) {
        self.inner.sink.wait_room().await;
    }

    /// The longest line that is taken.
    pub fn max_line(&self) -> usize {
        self.inner.max_line
    }
}

/// The wall clock.
pub(super) fn now() -> Nanos {
    // A clock before 1970 or after 2262 is reported as the epoch.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|d| Nanos::try_from(d.as_nanos()).ok())
        .unwrap_or(0)
}
