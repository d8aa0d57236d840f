//! The names that queries use. Those of services come from `instrument::wire`; those of the agent itself are here.
//!
//! A test asks a running agent for each of [`agent`]'s names, so that a panel cannot refer to what nobody emits.

pub use sightline_instrument::wire::{field, group, kind, label, metric, outcome};

/// What the agent says of itself (`sightline_…`).
pub mod agent {
    /// Records taken in, by `lane`.
    pub const RECEIVED: &str = "sightline_received_total";
    /// Records that a back end has, by `lane` and `exporter`.
    pub const EXPORTED: &str = "sightline_exported_total";
    /// Records that a back end will never take, by `lane` and `exporter`.
    pub const DEAD_LETTERED: &str = "sightline_dead_lettered_total";
    /// Records lost, by `lane` and `reason`.
    pub const DROPPED: &str = "sightline_dropped_total";
    /// Records that wait, by `lane`.
    pub const QUEUED: &str = "sightline_queued";
    /// Input refused before it was a record, by `lane` and `reason`.
    pub const REJECTED: &str = "sightline_rejected_total";
    /// Received minus exported, dead-lettered, dropped and queued, by `lane`: 0 when nothing is lost.
    pub const LEDGER: &str = "sightline_ledger_difference";
    /// Bytes of a lane's queue on disk, by `lane`.
    pub const QUEUE_BYTES: &str = "sightline_queue_bytes";
    /// Age of the oldest record that waits, by `lane`.
    pub const QUEUE_OLDEST: &str = "sightline_queue_oldest_seconds";
    /// 1 while a back end takes batches, by `exporter`.
    pub const EXPORTER_UP: &str = "sightline_exporter_up";
    /// Records that have to be sent again, by `exporter` and `reason`.
    pub const RETRIES: &str = "sightline_exporter_retries_total";
    /// Series in the registry.
    pub const SERIES: &str = "sightline_series";
    /// Memory of the registry.
    pub const SERIES_BYTES: &str = "sightline_series_bytes";
    /// Samples that went to the series `_other`, since a metric has too many series.
    pub const OVERFLOW: &str = "sightline_series_overflow_samples_total";
    /// Failed sign-ins of the last five minutes, of the worst addresses, by `environment`, `service` and [`SOURCE_IP`].
    pub const AUTH_FAILURES: &str = "sightline_auth_failures";
    /// The label of an address.
    pub const SOURCE_IP: &str = "source_ip";
    /// Size of the disk of Elasticsearch's nodes, by `node`.
    pub const DISK: &str = "sightline_elasticsearch_disk_bytes";
    /// What is left of it, by `node`.
    pub const DISK_AVAILABLE: &str = "sightline_elasticsearch_disk_available_bytes";
    /// Always 1, with the label `version`.
    pub const BUILD_INFO: &str = "sightline_build_info";
    /// Memory of the agent.
    pub const RESIDENT: &str = "sightline_process_resident_bytes";
    /// Processor time of the agent.
    pub const CPU: &str = "sightline_process_cpu_seconds";
    /// Open descriptors of the agent.
    pub const FDS: &str = "sightline_process_open_fds";
}

/// The label of the agent's lanes: metrics, logs, spans.
pub const LANE: &str = "lane";
