//! Where updates go that found no room for their series, or another kind under their name: what is said by a handle is counted
//! as dropped just as it is said, however long the handle is held.

use super::registry::{Cell, Kind};
use super::series::{CounterCell, GaugeCell, Samples, SamplesCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Overflow {
    counter: Arc<CounterCell>,
    gauge: Arc<GaugeCell>,
    samples: Arc<SamplesCell>,
    /// Changes of the gauge that were taken.
    gauge_taken: AtomicU64,
}

impl Default for Overflow {
    fn default() -> Self {
        Overflow {
            counter: Arc::default(),
            gauge: Arc::default(),
            samples: Arc::new(SamplesCell::new(1, 1.0)),
            gauge_taken: AtomicU64::new(0),
        }
    }
}

impl Overflow {
    pub(crate) fn cell(&self, kind: Kind) -> Cell {
        match kind {
            Kind::Counter => Cell::Counter(self.counter.clone()),
            Kind::Gauge => Cell::Gauge(self.gauge.clone()),
            Kind::Timer | Kind::Histogram | Kind::Seconds => Cell::Samples(self.samples.clone(), "h"),
        }
    }

    /// What was added to counters, and how often gauges were set and samples recorded, since the last time.
    pub(crate) fn take(&self) -> u64 {
        let changes = self.gauge.changes.load(Ordering::Relaxed);
        let set = changes.saturating_sub(self.gauge_taken.swap(changes, Ordering::Relaxed));
        let mut samples = Samples::default();
        self.samples.take(&mut samples);
        self.counter.take() + set + samples.seen
    }
}
