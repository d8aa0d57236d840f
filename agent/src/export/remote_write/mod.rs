//! Prometheus remote write: the registry's samples to Mimir, Thanos, VictoriaMetrics or Prometheus.
//!
//! Each endpoint takes its own snapshot of the registry at its own interval and puts it into a queue of its own, from
//! which the pump moves it to the endpoint: one record is what one request carries.

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

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::dead_letters::DeadLetters;
use super::pump::{self, Pump, Status};
use crate::ledger;
use crate::metrics::registry::Registry;
use crate::queue::{self, Queue};
use crate::units::{Bytes, Span};
use collect::Collector;
use endpoint::{Endpoint, now_ms};
pub use events::{Balance, Books, Dropped};
pub use settings::{Protocol, Settings};

/// What one try of the pump takes from a queue; each record is a request of its own.
const RECORDS: usize = 8;

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

/// Where samples wait.
#[derive(Clone)]
pub struct Keep<'a> {
    /// The folder of all queues.
    pub queues: &'a Path,
    /// How queues work; their bound is `buffer` of each endpoint.
    pub queue: &'a queue::Settings,
    /// Where records go that an endpoint refuses for good.
    pub letters: Arc<DeadLetters>,
}

/// The running endpoints.
pub struct Handle {
    stop: watch::Sender<bool>,
    endpoints: Vec<Running>,
}

struct Running {
    books: Arc<Books>,
    queue: Arc<Queue>,
    collecting: JoinHandle<()>,
    pump: Pump,
}

/// Those endpoints of `settings` that cannot be written to, by their places in the list. Reaches none.
pub fn verify(settings: &[Settings]) -> Vec<(usize, StartError)> {
    let mut lanes = Vec::new();
    let mut look = |settings: &Settings| {
        let endpoint = Endpoint::new(settings)?;
        if lanes.contains(&endpoint.lane) {
            return Err(taken(&settings.url, &endpoint.name));
        }
        lanes.push(endpoint.lane);
        Ok(())
    };
    settings.iter().enumerate().filter_map(|(n, settings)| Some((n, look(settings).err()?))).collect()
}

/// Two endpoints of one name would share a queue.
fn taken(url: &str, name: &str) -> StartError {
    StartError { url: url.to_owned(), reason: format!("another endpoint is called '{name}' too; set name") }
}

/// Starts writing to every endpoint of `settings`. Must be called within a tokio runtime.
pub fn start(
    settings: &[Settings],
    registry: &Arc<Registry>,
    own_metrics: &OwnMetrics,
    keep: &Keep<'_>,
) -> Result<Handle, StartError> {
    let checked = settings.iter().map(|s| Endpoint::new(s).map(|e| (s, e))).collect::<Result<Vec<_>, _>>()?;
    let (stop, stopped) = watch::channel(false);
    let mut handle = Handle { stop, endpoints: Vec::new() };
    for (settings, mut endpoint) in checked {
        let wrong = |reason: String| StartError { url: settings.url.clone(), reason };
        if handle.endpoints.iter().any(|other| other.queue.lane() == endpoint.lane) {
            return Err(taken(&settings.url, &endpoint.name));
        }
        let bounded = queue::Settings { max_bytes: settings.buffer, ..keep.queue.clone() };
        let queue =
            Queue::open(keep.queues, endpoint.lane, &bounded).map_err(|error| wrong(error.to_string()))?;
        endpoint.fresh_from = queue.progress().borrow().end_seq;
        let native = settings.native_histograms && settings.protocol != Protocol::V1;
        let books = Arc::clone(&endpoint.books);
        ledger::lane(endpoint.lane).may_drop(&["queue_full"]);
        let feed = Feed {
            collector: Collector::new(labels(settings), native, settings.max_samples),
            registry: Arc::clone(registry),
            own_metrics: Arc::clone(own_metrics),
            queue: Arc::clone(&queue),
            ledger: ledger::lane(endpoint.lane),
            books: Arc::clone(&books),
            name: endpoint.name.clone(),
            full: false,
        };
        let delivery = pump::Settings {
            max_records: RECORDS,
            max_bytes: Bytes(1 << 20),
            max_concurrency: 1,
            max_in_flight: Bytes(2 << 20),
            linger: Span(Duration::ZERO),
            backoff: settings.min_backoff,
            max_backoff: settings.max_backoff,
        };
        let pump = Pump::start(Arc::clone(&queue), endpoint, Arc::clone(&keep.letters), &delivery);
        let interval = settings.interval.0.max(Duration::from_millis(100));
        let collecting = tokio::spawn(feed.run(interval, stopped.clone()));
        handle.endpoints.push(Running { books, queue, collecting, pump });
    }
    Ok(handle)
}

impl Handle {
    /// Takes a last snapshot and sends what waits until the deadline. False if samples stay on disk for the next start.
    pub async fn stop(self, deadline: Duration) -> bool {
        // Fails only when there is no endpoint.
        let _ = self.stop.send(true);
        let until = Instant::now() + deadline;
        let mut clean = true;
        for Running { queue, collecting, pump, .. } in self.endpoints {
            let abort = collecting.abort_handle();
            if tokio::time::timeout_at(until.into(), collecting).await.is_err() {
                abort.abort();
            }
            pump.stop(until).await;
            clean &= queue.depth().records == 0;
            let close = move || queue.close(until + Duration::from_secs(2));
            if let Err(error) = tokio::task::spawn_blocking(close).await {
                tracing::error!(%error, "a queue was not closed in order; it will be checked at the next start");
            }
        }
        clean
    }

    /// The books of each endpoint, in the order of the settings.
    pub fn balances(&self) -> Vec<Balance> {
        self.endpoints.iter().map(|endpoint| endpoint.books.balance()).collect()
    }

    /// The queue of each endpoint.
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        self.endpoints.iter().map(|endpoint| Arc::clone(&endpoint.queue)).collect()
    }

    /// The queue of each endpoint, and how its delivery goes.
    pub fn watch(&self) -> Vec<(Arc<Queue>, impl Fn() -> Status + Send + Sync + 'static)> {
        self.endpoints.iter().map(|endpoint| (Arc::clone(&endpoint.queue), endpoint.pump.watch())).collect()
    }
}

/// Takes snapshots for one endpoint.
struct Feed {
    collector: Collector,
    registry: Arc<Registry>,
    own_metrics: OwnMetrics,
    queue: Arc<Queue>,
    ledger: Arc<ledger::Lane>,
    books: Arc<Books>,
    name: String,
    full: bool,
}

impl Feed {
    async fn run(mut self, interval: Duration, mut stop: watch::Receiver<bool>) {
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
    }

    fn snapshot(mut self) -> Self {
        self.queue.publish();
        let mut lost = 0;
        for batch in self.collector.collect(&self.registry, &(self.own_metrics)(), now_ms()) {
            self.books.take(batch.samples());
            self.ledger.received(1);
            if let Err(refused) = self.queue.append(&[batch.record()]) {
                lost += batch.samples();
                self.books.lose(Dropped::QueueFull, batch.samples());
                self.ledger.dropped("queue_full", 1);
                if !self.full {
                    let endpoint = self.name.as_str();
                    tracing::error!(endpoint, %refused, "samples of remote write have no room and are dropped");
                }
                self.full = true;
            }
        }
        if lost == 0 && std::mem::take(&mut self.full) {
            tracing::info!(endpoint = self.name, "samples of remote write have room again");
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
