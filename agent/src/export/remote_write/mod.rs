//! Prometheus remote write: the registry's samples to Mimir, Thanos, VictoriaMetrics or Prometheus.
//!
//! Each endpoint takes its own snapshot of the registry at its own interval and keeps what it cannot send in bounded
//! memory: a number is worth little when it is old, so the oldest are given up first, and counted.

mod backlog;
mod batch;
mod collect;
mod endpoint;
mod events;
mod judge;
mod native;
pub mod proto;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::metrics::registry::Registry;
use collect::Collector;
use endpoint::{Endpoint, now_ms};
pub use events::{Balance, Books, Dropped};
pub use settings::{Protocol, Settings};

/// Renders the agent's own metrics as text 0.0.4.
pub type OwnMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Why an endpoint cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("remote write to '{url}': {reason}")]
pub struct StartError {
    /// As it is set.
    pub url: String,
    /// What is wrong.
    pub reason: String,
}

/// The running endpoints.
pub struct Handle {
    stop: watch::Sender<bool>,
    endpoints: Vec<Running>,
}

struct Running {
    books: Arc<Books>,
    collecting: JoinHandle<()>,
    sending: JoinHandle<()>,
}

/// Starts writing to every endpoint of `settings`. Must be called within a tokio runtime.
pub fn start(
    settings: &[Settings],
    registry: Arc<Registry>,
    own_metrics: OwnMetrics,
) -> Result<Handle, StartError> {
    let checked = settings.iter().map(|s| Endpoint::new(s).map(|e| (s, e))).collect::<Result<Vec<_>, _>>()?;
    let (stop, stopped) = watch::channel(false);
    let endpoints = checked
        .into_iter()
        .map(|(settings, endpoint)| {
            let native = settings.native_histograms && settings.protocol != Protocol::V1;
            let feed = Feed {
                collector: Collector::new(labels(settings), native, settings.max_samples),
                registry: Arc::clone(&registry),
                own_metrics: Arc::clone(&own_metrics),
                backlog: Arc::clone(&endpoint.backlog),
                books: Arc::clone(&endpoint.books),
                name: endpoint.name.clone(),
                full: false,
            };
            let interval = settings.interval.0.max(Duration::from_millis(100));
            let books = Arc::clone(&endpoint.books);
            let (sender_stop, sending_may_stop) = watch::channel(false);
            let collecting = tokio::spawn(feed.run(interval, stopped.clone(), sender_stop));
            let sending = tokio::spawn(endpoint.run(sending_may_stop));
            Running { books, collecting, sending }
        })
        .collect();
    Ok(Handle { stop, endpoints })
}

impl Handle {
    /// Takes a last snapshot and sends what waits until the deadline. False if samples had to be left behind; they
    /// are counted.
    pub async fn stop(self, deadline: Duration) -> bool {
        // Fails only when there is no endpoint.
        let _ = self.stop.send(true);
        let until = Instant::now() + deadline;
        let mut clean = true;
        for Running { books, collecting, sending } in self.endpoints {
            for task in [collecting, sending] {
                let abort = task.abort_handle();
                if tokio::time::timeout_at(until, task).await.is_err() {
                    abort.abort();
                }
            }
            let left = books.balance().pending;
            books.lose(Dropped::Stopped, usize::try_from(left).unwrap_or(usize::MAX));
            clean &= left == 0;
        }
        clean
    }

    /// The books of each endpoint, in the order of the settings.
    pub fn balances(&self) -> Vec<Balance> {
        self.endpoints.iter().map(|endpoint| endpoint.books.balance()).collect()
    }
}

/// Takes snapshots for one endpoint.
struct Feed {
    collector: Collector,
    registry: Arc<Registry>,
    own_metrics: OwnMetrics,
    backlog: Arc<backlog::Backlog>,
    books: Arc<Books>,
    name: String,
    full: bool,
}

impl Feed {
    async fn run(
        mut self,
        interval: Duration,
        mut stop: watch::Receiver<bool>,
        stopped: watch::Sender<bool>,
    ) {
        let mut tick = tokio::time::interval(interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                _ = tick.tick() => false,
                // An error means that the handle is gone, which is a stop too.
                _ = stop.wait_for(|stop| *stop) => true,
            };
            // A big registry takes a while to walk.
            match tokio::task::spawn_blocking(move || self.snapshot()).await {
                Ok(feed) => self = feed,
                Err(error) => {
                    tracing::error!(%error, "a snapshot of the registry failed");
                    break;
                }
            }
            if last {
                break;
            }
        }
        // The sender ends once it has sent this last snapshot; an error means that it is gone already.
        let _ = stopped.send(true);
    }

    fn snapshot(mut self) -> Self {
        let batches = self.collector.collect(&self.registry, &(self.own_metrics)(), now_ms());
        self.books.take(batches.iter().map(batch::Batch::samples).sum());
        let lost = self.backlog.push(batches);
        self.books.lose(Dropped::BufferFull, lost);
        if (lost > 0) != self.full {
            self.full = lost > 0;
            if self.full {
                tracing::error!(
                    endpoint = self.name,
                    "the buffer of remote write is full, the oldest samples are dropped"
                );
            } else {
                tracing::info!(endpoint = self.name, "the buffer of remote write has room again");
            }
        }
        self
    }
}

/// Labels for every series of an endpoint: those of the settings, and the two that a scrape would add.
fn labels(settings: &Settings) -> Vec<(String, String)> {
    let mut labels = settings.labels.clone();
    labels.entry("job".to_owned()).or_insert_with(|| "sightline".to_owned());
    labels.entry("instance".to_owned()).or_insert_with(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().to_owned()
    });
    labels.into_iter().collect()
}
