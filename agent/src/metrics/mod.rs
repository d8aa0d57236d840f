//! The metrics lane: StatsD in, Prometheus exposition out.

pub mod explain;
pub mod line;
pub mod mapping;
pub mod naming;
pub mod statsd_exporter;
