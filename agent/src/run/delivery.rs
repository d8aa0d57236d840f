//! Wires what stands behind the logs and spans lanes: a queue, its exporter, and the one store of dead letters.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinHandle;

use crate::export::Exporter;
use crate::export::dead_letters::DeadLetters;
use crate::export::pump::{self, Pump, Status};
use crate::queue::{self, Queue};
use crate::receive::sink::Sink;
use crate::units::Bytes;
use crate::web::health::Check;

/// How often dead letters that somebody wants replayed are looked for.
const REPLAY: Duration = Duration::from_secs(1);

/// A queue and the pump that empties it.
pub(super) struct Lane {
    queue: Arc<Queue>,
    pump: Pump,
}

impl Lane {
    /// Opens the queue of `lane` below `data`, starts moving it into `exporter`.
    pub(super) fn start<E: Exporter>(
        data: &Path,
        lane: &'static str,
        queue: &queue::Settings,
        exporter: E,
        letters: Arc<DeadLetters>,
        pump: &pump::Settings,
    ) -> anyhow::Result<Self> {
        let queue = Queue::open(&data.join("queue"), lane, queue).context("a queue could not be opened")?;
        let pump = Pump::start(Arc::clone(&queue), exporter, letters, pump);
        Ok(Lane { queue, pump })
    }

    /// Where receivers put records.
    pub(super) fn inlet(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.queue) as Arc<dyn Sink>
    }

    pub(super) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// What `/-/ready` says of this lane.
    pub(super) fn probe(&self) -> impl Fn() -> Vec<Check> + Send + Sync + 'static {
        let (queue, status) = (Arc::clone(&self.queue), self.pump.watch());
        move || checks(&queue, &status()).into()
    }

    /// Delivers until the queue is empty or `deadline`; what is left stays on disk.
    pub(super) async fn stop(self, deadline: Instant) {
        self.pump.stop(deadline).await;
        let queue = self.queue;
        let closed =
            tokio::task::spawn_blocking(move || queue.close(deadline + Duration::from_secs(2))).await;
        if let Err(error) = closed {
            tracing::error!(%error, "a queue was not closed in order; it will be checked at the next start");
        }
    }
}

/// What `/-/ready` says of a queue and of its delivery.
pub(super) fn checks(queue: &Queue, status: &Status) -> [Check; 2] {
    [queue_check(queue), exporter_check(queue.lane(), status)]
}

fn queue_check(queue: &Queue) -> Check {
    let depth = queue.depth();
    let detail = match (depth.blocked, depth.records) {
        (true, records) => format!("the disk refuses writes; {records} records wait; free some space"),
        (false, 0) => "empty".to_owned(),
        (false, records) => {
            let (used, bound) = (Bytes(depth.bytes >> 10 << 10), queue.bound());
            let age = depth.oldest_age.as_secs();
            format!("{records} records, {used} of {bound}, the oldest {age} s old")
        }
    };
    Check { name: format!("{} queue", queue.lane()), ready: !depth.blocked, detail }
}

fn exporter_check(lane: &str, status: &Status) -> Check {
    let detail = match (status.reachable, &status.last_error) {
        (Some(true), _) => "delivering".to_owned(),
        (None, _) => "nothing to deliver yet".to_owned(),
        (Some(false), error) => {
            let error = error.as_deref().unwrap_or("no answer");
            format!("not delivering, the queue keeps what comes in: {error}")
        }
    };
    // A back end that is away is the queue's business for as long as there is room.
    // An endpoint that has its lane to itself is called like it.
    let name = if lane == status.exporter {
        format!("{lane} delivery")
    } else {
        format!("{lane} to {}", status.exporter)
    };
    Check { name, ready: true, detail }
}

/// Looks for dead letters to replay until the task is aborted.
pub(super) fn replays(letters: Arc<DeadLetters>, queues: Vec<Arc<Queue>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(REPLAY).await;
            if let Err(error) = letters.replay_into(&queues).await {
                tracing::warn!(%error, "dead letters could not be replayed; they are still listed");
            }
        }
    })
}
