//! What happens to samples on their way to one endpoint. In records, of which each holds the samples of one request,
//! the ledger of its lane says the same over restarts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::{Counter, Gauge, counter, gauge};

/// Why samples were not sent and never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// The endpoint was away for longer than the buffer holds, or the disk takes no more.
    QueueFull,
    /// The endpoint speaks a version that cannot carry them (native histograms in 1.0).
    Protocol,
}

impl Dropped {
    const ALL: [Dropped; 2] = [Dropped::QueueFull, Dropped::Protocol];

    fn label(self) -> &'static str {
        match self {
            Dropped::QueueFull => "queue_full",
            Dropped::Protocol => "protocol",
        }
    }
}

/// The books of one endpoint.
pub struct Books {
    taken: Count,
    sent: Count,
    rejected: Count,
    dropped: [Count; 2],
    requests: Counter,
    last_success: Gauge,
}

/// What the books say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Samples taken from the registry.
    pub taken: u64,
    /// Samples that the endpoint accepted.
    pub sent: u64,
    /// Samples that the endpoint refused for good.
    pub rejected: u64,
    /// Samples given up, for any reason.
    pub dropped: u64,
}

struct Count(AtomicU64, Counter);

impl Count {
    fn new(counter: Counter) -> Self {
        Count(AtomicU64::new(0), counter)
    }

    fn add(&self, samples: usize) {
        self.0.fetch_add(samples as u64, Relaxed);
        self.1.increment(samples as u64);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Books {
    /// For the endpoint called `name`; every counter begins at 0.
    pub(super) fn new(name: &str) -> Self {
        let label = || name.to_owned();
        Books {
            taken: Count::new(counter!("sightline_remote_write_taken_samples_total", "endpoint" => label())),
            sent: Count::new(counter!("sightline_remote_write_sent_samples_total", "endpoint" => label())),
            rejected: Count::new(
                counter!("sightline_remote_write_rejected_samples_total", "endpoint" => label()),
            ),
            dropped: Dropped::ALL.map(|reason| {
                Count::new(counter!(
                    "sightline_remote_write_dropped_samples_total",
                    "endpoint" => label(), "reason" => reason.label()
                ))
            }),
            requests: counter!("sightline_remote_write_requests_total", "endpoint" => label()),
            last_success: gauge!("sightline_remote_write_last_success_seconds", "endpoint" => label()),
        }
    }

    pub(super) fn take(&self, samples: usize) {
        self.taken.add(samples);
    }

    pub(super) fn send(&self, samples: usize, now_ms: i64) {
        self.sent.add(samples);
        self.last_success.set(now_ms as f64 / 1000.0);
    }

    pub(super) fn reject(&self, samples: usize) {
        self.rejected.add(samples);
    }

    pub(super) fn lose(&self, reason: Dropped, samples: usize) {
        self.dropped[reason as usize].add(samples);
    }

    pub(super) fn request(&self) {
        self.requests.increment(1);
    }

    /// What the books say now.
    pub fn balance(&self) -> Balance {
        Balance {
            taken: self.taken.get(),
            sent: self.sent.get(),
            rejected: self.rejected.get(),
            dropped: self.dropped.iter().map(Count::get).sum(),
        }
    }
}
