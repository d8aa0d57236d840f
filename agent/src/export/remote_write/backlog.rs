//! Batches that wait for their endpoint: oldest first, bounded in bytes, the oldest given up when that is not enough.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::batch::Batch;

/// The batches of one endpoint.
#[derive(Debug)]
pub(super) struct Backlog {
    inner: Mutex<Inner>,
    most: usize,
    more: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    batches: VecDeque<Batch>,
    bytes: usize,
}

impl Backlog {
    /// Holds at most `most` bytes, and one batch in any case.
    pub(super) fn new(most: usize) -> Self {
        Backlog { inner: Mutex::default(), most, more: Notify::new() }
    }

    /// Appends; returns how many samples had to be given up.
    pub(super) fn push(&self, batches: Vec<Batch>) -> usize {
        let mut inner = self.inner.lock();
        for batch in batches {
            inner.bytes += batch.bytes();
            inner.batches.push_back(batch);
        }
        let mut lost = 0;
        while inner.bytes > self.most && inner.batches.len() > 1 {
            lost += inner.pop().map_or(0, |batch| batch.samples());
        }
        drop(inner);
        self.more.notify_one();
        lost
    }

    /// The oldest.
    pub(super) fn pop(&self) -> Option<Batch> {
        self.inner.lock().pop()
    }

    /// Waits until something was appended since the last wait.
    pub(super) async fn appended(&self) {
        self.more.notified().await;
    }
}

impl Inner {
    fn pop(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.bytes -= batch.bytes();
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Batch, Builder, Kind, Row, Value};
    use super::Backlog;

    fn batch(name: &str) -> Batch {
        let mut builder = Builder::new(1);
        let row = Row {
            labels: &[("__name__", name)],
            value: Value::Float(1.0),
            kind: Kind::Gauge,
            help: "",
            at_ms: 1,
            created_ms: 0,
            exemplar: None,
        };
        builder.add(&row).unwrap()
    }

    #[test]
    fn the_oldest_are_given_up_first() {
        let size = batch("a").bytes();
        let backlog = Backlog::new(2 * size + size / 2);
        assert_eq!(backlog.push(vec![batch("a"), batch("b")]), 0);
        assert_eq!(backlog.push(vec![batch("c")]), 1);
        assert_eq!(backlog.pop().unwrap().first_series(), "b{}");
        assert_eq!(backlog.push(vec![batch("d")]), 0);
        let left: Vec<String> = std::iter::from_fn(|| backlog.pop()).map(|b| b.first_series()).collect();
        assert_eq!(left, ["c{}", "d{}"]);
        assert_eq!(Backlog::new(0).push(vec![batch("only")]), 0);
    }
}
