//! The bounded buffer between those who log and the thread that sends: striped, so that two threads seldom meet.

use crate::drops::{Drops, Lane, Reason};
use parking_lot::Mutex;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;

const STRIPES: usize = 8;
/// From this much on the shipper is woken before its time.
const WAKE: usize = 128 << 10;

/// Larger buffers are not kept once they are empty.
const SPARE: usize = 256 << 10;

/// Lines with their newlines, and how many they are.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: u64,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(Mutex<Batch>);

/// Takes lines without ever blocking on I/O. What does not fit is counted and gone: the newest, since the oldest
/// tell how it began.
#[derive(Debug)]
pub(crate) struct Pipe {
    stripes: [Stripe; STRIPES],
    limit: usize,
    /// Bytes taken and neither sent nor given up.
    queued: AtomicUsize,
    taken: AtomicU64,
    /// Emptied buffers for the stripes to go on with: growing anew costs the thread that logs.
    spares: Mutex<Vec<Vec<u8>>>,
    drops: Arc<Drops>,
    shipper: Mutex<Option<Thread>>,
}

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}
static NEXT_STRIPE: AtomicUsize = AtomicUsize::new(0);

impl Pipe {
    pub(crate) fn new(limit: usize, drops: Arc<Drops>) -> Self {
        Pipe {
            stripes: Default::default(),
            limit,
            queued: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            spares: Mutex::default(),
            drops,
            shipper: Mutex::default(),
        }
    }

    /// Takes one line; it must end with a newline.
    pub(crate) fn push(&self, line: &[u8]) {
        let before = self.queued.fetch_add(line.len(), Ordering::Relaxed);
        if before + line.len() > self.limit {
            self.queued.fetch_sub(line.len(), Ordering::Relaxed);
            self.drops.add(Lane::Logs, Reason::BufferFull, 1);
            return;
        }
        let at = STRIPE.try_with(|s| {
            if s.get() == usize::MAX {
                s.set(NEXT_STRIPE.fetch_add(1, Ordering::Relaxed) % STRIPES);
            }
            s.get()
        });
        {
            let mut batch = self.stripes[at.unwrap_or(0)].0.lock();
            batch.bytes.extend_from_slice(line);
            batch.lines += 1;
        }
        if before < WAKE && before + line.len() >= WAKE {
            self.wake();
        }
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
            if held.lines == 0 {
                continue;
            }
            let spare = Batch { bytes: self.spares.lock().pop().unwrap_or_default(), lines: 0 };
            let batch = std::mem::replace(&mut *held, spare);
            drop(held);
            self.taken.fetch_add(batch.lines, Ordering::Relaxed);
            to(batch);
        }
    }

    /// The batch was dealt with; its memory may be used again.
    pub(crate) fn recycle(&self, batch: Batch) {
        let mut bytes = batch.bytes;
        if bytes.capacity() > SPARE {
            return;
        }
        bytes.clear();
        let mut spares = self.spares.lock();
        if spares.len() < STRIPES {
            spares.push(bytes);
        }
    }

    /// These bytes have left, or were given up: there is room again.
    pub(crate) fn settle(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// These bytes are to be sent again.
    pub(crate) fn unsettle(&self, bytes: usize) {
        self.queued.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes taken and neither sent nor given up.
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
        let pipe = Pipe::new(100, Arc::default());
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
        let pipe = Pipe::new(limit, Arc::default());
        let line = format!("{}\n", "x".repeat(999));
        let lines = 3_600 * 50;
        for _ in 0..lines {
            pipe.push(line.as_bytes());
        }
        let (mut held, mut kept) = (0, 0);
        pipe.take(|b| {
            held += b.bytes.capacity();
            kept += b.lines;
        });
        assert!(held <= 2 * limit, "{held} bytes held");
        assert_eq!(kept + pipe.drops().total(Lane::Logs), lines);
    }
}
