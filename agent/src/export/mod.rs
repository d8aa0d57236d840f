//! What every exporter is to its queue: it takes a batch and says of each record how it went.
//!
//! Exporters neither retry nor keep anything: the pump between queue and exporter does both, so that one
//! implementation of backoff, dead letters and accounting serves all of them.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

pub mod change_events;
pub mod dead_letters;
pub mod elasticsearch;
pub mod http;
pub mod otlp;
pub mod pump;
pub mod remote_write;
pub mod secret;
mod split;
pub mod zipkin;

/// A record as the queue keeps it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the queue; rises by one from record to record and survives restarts.
    pub seq: u64,
    /// What the lane enqueued, unchanged.
    pub payload: Bytes,
}

/// How one record went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The back end has it (or had it before: a conflict on a fixed id is done too).
    Done,
    /// The back end did not take it now and may take it later.
    Retry {
        /// What the back end asked for, if it did.
        after: Option<Duration>,
        /// For counters and for a person: `429`, `connect`, `timeout`, …
        reason: String,
    },
    /// The back end will never take it: it becomes a dead letter.
    Reject {
        /// What the back end said.
        reason: String,
    },
}

/// A back end for one lane.
pub trait Exporter: Send + Sync + 'static {
    /// Records must arrive in their order: one batch at a time, and nothing new while an older one waits for another try.
    const IN_ORDER: bool = false;

    /// A short constant name for metrics and messages: `elasticsearch`, `zipkin`, `embedded`.
    fn name(&self) -> &'static str;

    /// Ships `batch` and returns one verdict for each record, in order.
    fn export(&self, batch: &[Entry]) -> impl Future<Output = Vec<Verdict>> + Send;
}
