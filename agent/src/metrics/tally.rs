//! What the lane counts of itself: a plain batch per thread, shared totals, and the agent's own metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::{Counter, counter};

use super::line::Refusal;

/// Why a sample that was understood is not in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Lost {
    /// The name has another type already.
    TypeConflict,
    /// A mapping rule drops it.
    Rule,
    /// No room for another metric name.
    Budget,
    /// The kernel's receive buffer was full: datagrams, each at least one sample.
    Kernel,
}

impl Lost {
    /// How many there are.
    pub const COUNT: usize = 4;
    /// All, in the order of their numbers.
    pub const ALL: [Lost; Self::COUNT] = [Lost::TypeConflict, Lost::Rule, Lost::Budget, Lost::Kernel];

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Lost::TypeConflict => "type_conflict",
            Lost::Rule => "mapping_rule",
            Lost::Budget => "cardinality_budget",
            Lost::Kernel => "udp_kernel_buffer",
        }
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $field:ident => $name:literal $(, $key:literal = $value:literal)*;)*) => {
        /// Counts of one thread since its last flush.
        #[derive(Debug, Default, Clone)]
        pub struct Batch {
            $($(#[$doc])* pub $field: u64,)*
            /// Samples by [`super::line::Kind`].
            pub kinds: [u64; 6],
            /// Refusals by [`Refusal`].
            pub refused: [u64; Refusal::COUNT],
            /// Losses by [`Lost`].
            pub lost: [u64; Lost::COUNT],
        }

        struct Counters {
            $($field: Counter,)*
            refused: [Counter; Refusal::COUNT],
            lost: [Counter; Lost::COUNT],
        }

        struct Totals {
            $($field: AtomicU64,)*
            kinds: [AtomicU64; 6],
            refused: [AtomicU64; Refusal::COUNT],
            lost: [AtomicU64; Lost::COUNT],
        }

        impl Tally {
            /// Registers every counter at 0 with the recorder that is installed now.
            pub fn new() -> Self {
                Tally {
                    counters: Counters {
                        $($field: counter!($name $(, $key => $value)*),)*
                        refused: Refusal::ALL.map(|reason| {
                            counter!("sightline_rejected_total", "lane" => "metrics", "reason" => reason.label())
                        }),
                        lost: Lost::ALL.map(|reason| {
                            counter!("sightline_dropped_total", "lane" => "metrics", "reason" => reason.label())
                        }),
                    },
                    totals: Totals {
                        $($field: AtomicU64::new(0),)*
                        kinds: std::array::from_fn(|_| AtomicU64::new(0)),
                        refused: std::array::from_fn(|_| AtomicU64::new(0)),
                        lost: std::array::from_fn(|_| AtomicU64::new(0)),
                    },
                }
            }

            /// Adds a batch and empties it.
            pub fn flush(&self, batch: &mut Batch) {
                $(add(&self.totals.$field, &self.counters.$field, batch.$field);)*
                for (total, count) in self.totals.kinds.iter().zip(batch.kinds) {
                    if count > 0 { total.fetch_add(count, Relaxed); }
                }
                for at in 0..Refusal::COUNT {
                    add(&self.totals.refused[at], &self.counters.refused[at], batch.refused[at]);
                }
                for at in 0..Lost::COUNT {
                    add(&self.totals.lost[at], &self.counters.lost[at], batch.lost[at]);
                }
                *batch = Batch::default();
            }

            /// The totals so far.
            pub fn totals(&self) -> Batch {
                Batch {
                    $($field: self.totals.$field.load(Relaxed),)*
                    kinds: std::array::from_fn(|at| self.totals.kinds[at].load(Relaxed)),
                    refused: std::array::from_fn(|at| self.totals.refused[at].load(Relaxed)),
                    lost: std::array::from_fn(|at| self.totals.lost[at].load(Relaxed)),
                }
            }
        }
    };
}

counts! {
    /// Samples understood, and datagrams the kernel dropped.
    received => "sightline_received_total", "lane" = "metrics";
    /// Samples in the registry.
    applied => "sightline_exported_total", "lane" = "metrics", "exporter" = "registry";
    /// Lines that were not empty.
    lines => "sightline_statsd_lines_total";
    /// Samples whose series was known by their bytes.
    cache_hits => "sightline_statsd_cache_hits_total";
    /// Samples that went to an `_other` series.
    folded => "sightline_series_overflow_samples_total";
    /// Samples with at least one tag.
    tagged => "sightline_statsd_tagged_samples_total";
    /// Tags without key or value.
    bad_tags => "sightline_statsd_bad_tags_total";
    /// Fields that were skipped.
    ignored_fields => "sightline_statsd_ignored_fields_total";
    /// Labels that had a reserved name.
    renamed_labels => "sightline_renamed_labels_total";
    /// Metrics that had a reserved name.
    renamed_metrics => "sightline_renamed_metrics_total";
    /// Names that became the same metric as another name.
    collisions => "sightline_name_collisions_total";
    /// Series that a silence ended.
    expired => "sightline_series_expired_total";
    /// DogStatsD events.
    events => "sightline_statsd_events_total";
    /// DogStatsD service checks.
    checks => "sightline_statsd_service_checks_total";
    /// Datagrams over UDP.
    udp_packets => "sightline_statsd_packets_total", "transport" = "udp";
    /// Datagrams over a unix socket.
    unix_packets => "sightline_statsd_packets_total", "transport" = "unix";
    /// Stream connections accepted.
    connections => "sightline_statsd_connections_total";
    /// Stream connections that ended with an error.
    connection_errors => "sightline_statsd_connection_errors_total";
    /// Stream connections refused because there were too many.
    connections_refused => "sightline_statsd_connections_refused_total";
    /// Datagrams sent on to the relay's target.
    relay_packets => "sightline_relay_packets_total";
    /// Lines sent on.
    relay_lines => "sightline_relay_lines_total";
    /// Lines too long to be sent on.
    relay_long_lines => "sightline_relay_long_lines_total";
    /// Datagrams that could not be sent on.
    relay_errors => "sightline_relay_errors_total";
}

/// Shared totals.
pub struct Tally {
    counters: Counters,
    totals: Totals,
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.totals().fmt(f)
    }
}

fn add(total: &AtomicU64, counter: &Counter, count: u64) {
    if count > 0 {
        total.fetch_add(count, Relaxed);
        counter.increment(count);
    }
}

impl Batch {
    /// Counts a refusal.
    pub fn refuse(&mut self, reason: Refusal) {
        self.refused[reason as usize] += 1;
    }

    /// Counts a loss.
    pub fn lose(&mut self, reason: Lost, count: u64) {
        self.lost[reason as usize] += count;
    }
}
