//! What can be set about the way from a queue to its back end.

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Span};

/// The same for every exporter; each has its own defaults for the sizes.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The largest batch, in records. The size in use adapts below it.
    pub max_records: usize,
    /// The largest batch, in bytes of records.
    pub max_bytes: Bytes,
    /// The most batches under way at once. The number in use adapts below it.
    pub max_concurrency: usize,
    /// Bytes of records in memory: on their way, or waiting for another try.
    pub max_in_flight: Bytes,
    /// How long the first record waits for a batch to fill.
    pub linger: Span,
    /// The first pause after a failure; it doubles from try to try, and a random part of it is waited.
    pub backoff: Span,
    /// The longest pause.
    pub max_backoff: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_records: 8192,
            max_bytes: Bytes(1 << 20),
            max_concurrency: 4,
            max_in_flight: Bytes(8 << 20),
            linger: Span(std::time::Duration::from_millis(200)),
            backoff: Span(std::time::Duration::from_millis(250)),
            max_backoff: Span::secs(15),
        }
    }
}
