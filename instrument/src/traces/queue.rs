//! The bounded queue of finished spans.

use super::span::SpanRecord;
use crate::drops::{Drops, Lane, Reason};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;

/// From this many on the exporter is woken before its time.
const WAKE: usize = 512;

/// A span of ours or of the service's own making.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Ours(SpanRecord),
    #[cfg(feature = "otlp")]
    Otel(Box<opentelemetry_sdk::trace::SpanData>),
}

#[derive(Debug)]
pub(crate) struct Queue {
    items: Mutex<Vec<Item>>,
    limit: usize,
    /// Queued or in the exporter's hands.
    waiting: AtomicUsize,
    drops: Arc<Drops>,
    exporter: Mutex<Option<Thread>>,
    /// Whether anyone takes them.
    pub(crate) open: bool,
}

impl Queue {
    pub(crate) fn new(limit: usize, open: bool, drops: Arc<Drops>) -> Self {
        Queue {
            items: Mutex::default(),
            limit,
            waiting: AtomicUsize::new(0),
            drops,
            exporter: Mutex::default(),
            open,
        }
    }

    pub(crate) fn push(&self, item: Item) {
        if !self.open {
            return;
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        if before >= self.limit {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.drops.add(Lane::Spans, Reason::BufferFull, 1);
            return;
        }
        self.items.lock().push(item);
        if before + 1 == WAKE {
            self.wake();
        }
    }

    /// Appends all that waits; they stay in the account until [`Queue::settle`].
    pub(crate) fn take(&self, into: &mut Vec<Item>) {
        into.append(&mut self.items.lock());
    }

    /// These have left or were given up: there is room again.
    pub(crate) fn settle(&self, n: usize) {
        self.waiting.fetch_sub(n, Ordering::Relaxed);
    }

    #[cfg(feature = "otlp")]
    pub(crate) fn drops(&self) -> &Drops {
        &self.drops
    }

    pub(crate) fn wake(&self) {
        if let Some(thread) = &*self.exporter.lock() {
            thread.unpark();
        }
    }

    #[cfg(feature = "otlp")]
    pub(crate) fn exported_by(&self, thread: Thread) {
        *self.exporter.lock() = Some(thread);
    }
}
