//! The bounded buffer between those who make records or spans and the thread that sends them: striped, so that two threads
//! seldom meet. What is put in is bytes, ready to be sent: nothing is allocated by one thread and freed by another.

use crate::drops::{Drops, Lane, Reason};
use parking_lot::Mutex;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;

const STRIPES: usize = 8;
/// Log records, from this many bytes on, wake the shipper before its time.
const WAKE_BYTES: usize = 128 << 10;
/// Spans, from this many on, wake theirs.
const WAKE_SPANS: usize = 512;

/// Of emptied buffers, so much is kept for the stripes to go on with.
const SPARE: usize = 1 << 20;

/// Records one after the other, and how many they are.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) items: u64,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(Mutex<Batch>);

/// What the limit is a number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Items,
}

/// Takes records without ever blocking on I/O. What does not fit is counted and gone: the newest, since the oldest
/// tell how it began.
#[derive(Debug)]
pub(crate) struct Pipe {
    lane: Lane,
    unit: Unit,
    stripes: [Stripe; STRIPES],
    limit: usize,
    wake_at: usize,
    /// Units taken and neither sent nor given up.
    queued: AtomicUsize,
    /// Emptied buffers: growing anew costs the thread that logs.
    spares: Mutex<Vec<Vec<u8>>>,
    drops: Arc<Drops>,
    shipper: Mutex<Option<Thread>>,
}

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}
static NEXT_STRIPE: AtomicUsize = AtomicUsize::new(0);

impl Pipe {
    /// For lines of log records, at most `limit` bytes of them.
    pub(crate) fn of_records(limit: usize, drops: Arc<Drops>) -> Self {
        Pipe::new(Lane::Logs, Unit::Bytes, limit, WAKE_BYTES, drops)
    }

    /// For spans, at most `limit` of them.
    pub(crate) fn of_spans(limit: usize, drops: Arc<Drops>) -> Self {
        Pipe::new(Lane::Spans, Unit::Items, limit, WAKE_SPANS, drops)
    }

    fn new(lane: Lane, unit: Unit, limit: usize, wake_at: usize, drops: Arc<Drops>) -> Self {
        Pipe {
            lane,
            unit,
            stripes: Default::default(),
            limit,
            wake_at,
            queued: AtomicUsize::new(0),
            spares: Mutex::default(),
            drops,
            shipper: Mutex::default(),
        }
    }

    /// Takes one record: a line with its newline, or a span.
    pub(crate) fn push(&self, record: &[u8]) {
        let weight = match self.unit {
            Unit::Bytes => record.len(),
            Unit::Items => 1,
        };
        let Some(before) = self.admit(weight) else { return };
        let at = STRIPE.try_with(|s| {
            if s.get() == usize::MAX {
                s.set(NEXT_STRIPE.fetch_add(1, Ordering::Relaxed) % STRIPES);
            }
            s.get()
        });
        {
            let mut batch = self.stripes[at.unwrap_or(0)].0.lock();
            batch.bytes.extend_from_slice(record);
            batch.items += 1;
        }
        if before < self.wake_at && before + weight >= self.wake_at {
            self.wake();
        }
    }

    /// Takes one record of this weight into the account: the weight before. `None` when there is no room, which is counted.
    pub(crate) fn admit(&self, weight: usize) -> Option<usize> {
        let before = self.queued.fetch_add(weight, Ordering::Relaxed);
        if before + weight > self.limit {
            self.queued.fetch_sub(weight, Ordering::Relaxed);
            self.drops.add(self.lane, Reason::BufferFull, 1);
            return None;
        }
        Some(before)
    }

    /// Wakes the shipper.
    pub(crate) fn wake(&self) {
        if let Some(thread) = &*self.shipper.lock() {
            thread.unpark();
        }
    }

    pub(crate) fn shipped_by(&self, thread: Thread) {
        *self.shipper.lock() = Some(thread);
    }

    /// Takes all that waits; it stays in the account until [`Pipe::settle`].
    pub(crate) fn take(&self, mut to: impl FnMut(Batch)) {
        for stripe in &self.stripes {
            let mut held = stripe.0.lock();
            if held.items == 0 {
                continue;
            }
            let spare = Batch { bytes: self.spares.lock().pop().unwrap_or_default(), items: 0 };
            let batch = std::mem::replace(&mut *held, spare);
            drop(held);
            to(batch);
        }
    }

    /// The batch was dealt with; its memory may be used again.
    pub(crate) fn recycle(&self, batch: Batch) {
        let mut bytes = batch.bytes;
        bytes.clear();
        let mut spares = self.spares.lock();
        let kept: usize = spares.iter().map(Vec::capacity).sum();
        if spares.len() < STRIPES && kept + bytes.capacity() <= SPARE {
            spares.push(bytes);
        }
    }

    /// So much has left, or was given up: there is room again.
    pub(crate) fn settle(&self, weight: usize) {
        self.queued.fetch_sub(weight, Ordering::Relaxed);
    }

    /// So much is to be sent again.
    pub(crate) fn unsettle(&self, weight: usize) {
        self.queued.fetch_add(weight, Ordering::Relaxed);
    }

    /// Units taken and neither sent nor given up.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub(crate) fn drops(&self) -> &Arc<Drops> {
        &self.drops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_bounded_and_loses_the_newest() {
        let pipe = Pipe::of_records(100, Arc::default());
        for i in 0..20 {
            pipe.push(format!("line {i:03}\n").as_bytes());
        }
        assert!(pipe.queued() <= 100);
        assert_eq!(pipe.drops().total(Lane::Logs), 9);
        let mut text = String::new();
        pipe.take(|b| text.push_str(std::str::from_utf8(&b.bytes).unwrap()));
        assert!(text.starts_with("line 000\n") && text.ends_with("line 010\n"), "{text}");
        pipe.settle(text.len());
        assert_eq!(pipe.queued(), 0);
        pipe.push(b"again\n");
        assert_eq!(pipe.queued(), 6);
    }

    #[test]
    fn an_hour_without_a_collector_keeps_memory_in_bounds() {
        let limit = 1 << 20;
        let pipe = Pipe::of_records(limit, Arc::default());
        let line = format!("{}\n", "x".repeat(999));
        let lines = 3_600 * 50;
        for _ in 0..lines {
            pipe.push(line.as_bytes());
        }
        let (mut held, mut kept) = (0, 0);
        pipe.take(|b| {
            held += b.bytes.capacity();
            kept += b.items;
        });
        assert!(held <= 2 * limit, "{held} bytes held");
        assert_eq!(kept + pipe.drops().total(Lane::Logs), lines);
    }
}
