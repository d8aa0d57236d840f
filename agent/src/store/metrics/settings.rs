//! What can be set about the store of metrics.
use crate::units::{Bytes, Span};

const DAY: u64 = 86_400;

/// `store.metrics:` in the configuration.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How often all series are sampled. Default: 10 s.
    pub interval: Span,
    /// How long samples are kept as they came. Default: 15 days.
    pub raw_age: Span,
    /// How long five-minute roll-ups are kept. Default: 400 days.
    pub rollup_age: Span,
    /// Disk for all of it; over it, whole blocks are dropped, oldest first, samples before roll-ups. Default: 2 GiB.
    pub size: Bytes,
    /// Series that are being written at one time; further new ones are dropped and counted. Default: 100,000.
    pub max_series: usize,
    /// Memory for native histograms that are not sealed yet; beyond it they are dropped and counted. Default: 48 MiB.
    pub native_memory: Bytes,
    /// Buckets that one native histogram may have; one with more is refused and counted. Default: 320.
    pub native_buckets: usize,
    /// Whether the agent's own timings and distributions are kept as native histograms, too, beside the classic
    /// buckets that dashboards use. Default: true.
    pub native: bool,
    /// Whether `POST /api/v1/write` takes samples from others (remote write 1.0 and 2.0). Default: true.
    pub remote_write: bool,
    /// Samples that one query may touch. Default: 50,000,000.
    pub max_samples: usize,
    /// How long one query may take. Default: 30 s.
    pub query_timeout: Span,
    /// How far back a query looks for the newest sample of a series. Default: 5 min.
    pub lookback: Span,
    /// Exemplars that are kept in memory over all series. Default: 10,000.
    pub max_exemplars: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            interval: Span::secs(10),
            raw_age: Span::secs(15 * DAY),
            rollup_age: Span::secs(400 * DAY),
            size: Bytes(2 << 30),
            max_series: 100_000,
            native_memory: Bytes(48 << 20),
            native_buckets: 320,
            native: true,
            remote_write: true,
            max_samples: 50_000_000,
            query_timeout: Span::secs(30),
            lookback: Span::secs(300),
            max_exemplars: 10_000,
        }
    }
}
