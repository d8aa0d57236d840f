//! The metrics lane: StatsD in, Prometheus exposition out.
