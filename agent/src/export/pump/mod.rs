//! Moves one queue into one exporter: batches, retries of what failed and nothing else, dead letters, acknowledgements.
//!
//! Nothing is given up: a record leaves the queue delivered, as a dead letter, or not at all. Memory holds the
//! batches on their way and the records that wait for another try, both within `max_in_flight`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Exporter;
use super::dead_letters::DeadLetters;
use crate::queue::Queue;

pub(in crate::export) mod backoff;
mod events;
mod flow;
mod run;
mod settings;
mod status;
mod window;

#[cfg(test)]
mod tests;

pub use settings::Settings;
pub use status::Status;

/// A running pump.
#[derive(Debug)]
pub struct Pump {
    stop: watch::Sender<Option<Instant>>,
    status: Arc<Mutex<Status>>,
    task: JoinHandle<()>,
}

impl Pump {
    /// Begins to move `queue` into `exporter`. Must be called within a tokio runtime.
    pub fn start<E: Exporter>(
        queue: Arc<Queue>,
        exporter: E,
        dead_letters: Arc<DeadLetters>,
        settings: &Settings,
    ) -> Self {
        let (stop, stopped) = watch::channel(None);
        let status = Arc::new(Mutex::new(Status::new(exporter.name())));
        let run = run::Run::new(queue, Arc::new(exporter), dead_letters, settings, status.clone(), stopped);
        Pump { stop, status, task: tokio::spawn(run.run()) }
    }

    /// How it goes, for `/-/ready` and the page.
    pub fn status(&self) -> Status {
        self.status.lock().clone()
    }

    /// A handle that gives the same after the pump has been moved away.
    pub fn watch(&self) -> impl Fn() -> Status + Send + Sync + 'static {
        let status = self.status.clone();
        move || status.lock().clone()
    }

    /// Delivers what the queue holds, until it is empty or `deadline` has come; the rest stays on disk. Close the
    /// queue's inputs first, and the queue itself afterwards.
    pub async fn stop(self, deadline: Instant) {
        self.stop.send_replace(Some(deadline));
        // The task watches the deadline itself; the margin is for a batch that is being written down.
        let limit = deadline.saturating_duration_since(Instant::now()) + Duration::from_secs(2);
        if tokio::time::timeout(limit, self.task).await.is_err() {
            tracing::warn!("the exporter did not stop in time; what it had in hand stays in the queue");
        }
    }
}
