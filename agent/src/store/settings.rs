//! What can be set about the embedded store.

use crate::units::{Bytes, Span};

/// `store:` in the configuration.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How long and how much of the logs is kept. Default: 30 days, 10 GiB.
    pub logs: Keep,
    /// How long and how much of the spans is kept. Default: 7 days, 4 GiB.
    pub spans: Keep,
    /// Metrics: how often they are sampled, how long and how much of them is kept, what queries may cost.
    pub metrics: super::metrics::Settings,
    /// Recording and alerting rules over the metrics.
    pub rules: super::rules::Settings,
    /// Below this much free disk the store drops its oldest part, and then stops taking. Default: 2 GiB.
    pub min_free: Bytes,
    /// An index that has grown to this size is closed and the next one begun, so that retention by size has parts to
    /// drop. Default: 1 GiB.
    pub part_size: Bytes,
    /// Memory for records that wait for a commit, for each of logs and spans; at least 15 MiB. Default: 24 MiB.
    pub write_memory: Bytes,
    /// Pages of index files that may count as the agent's memory, its own program included; over it they are given back
    /// to the kernel's cache. Default: 40 MiB.
    pub mapped_memory: Bytes,
    /// How long a record may wait to become searchable. Default: 500 ms.
    pub commit_interval: Span,
    /// A search that takes longer ends with what it has found. Default: 10 s.
    pub search_timeout: Span,
    /// Field names that one index may have of its own; values of further fields are found by word only. Default: 2000.
    pub max_fields: usize,
}

/// Retention of one kind of record. Whole parts are dropped, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Since arrival.
    pub age: Span,
    /// On disk.
    pub size: Bytes,
}

const DAY: u64 = 86_400;

impl Default for Settings {
    fn default() -> Self {
        Settings {
            logs: Keep { age: Span::secs(30 * DAY), size: Bytes(10 << 30) },
            spans: Keep { age: Span::secs(7 * DAY), size: Bytes(4 << 30) },
            metrics: super::metrics::Settings::default(),
            rules: super::rules::Settings::default(),
            min_free: Bytes(2 << 30),
            part_size: Bytes(1 << 30),
            write_memory: Bytes(24 << 20),
            mapped_memory: Bytes(40 << 20),
            commit_interval: Span(std::time::Duration::from_millis(500)),
            search_timeout: Span::secs(10),
            max_fields: 2000,
        }
    }
}
