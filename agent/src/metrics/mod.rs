//! The metrics lane: StatsD in, Prometheus exposition out.

pub mod explain;
pub mod histogram;
pub mod line;
pub mod mapping;
pub mod naming;
pub mod registry;
pub mod set;
pub mod settings;
pub mod sparse;
pub mod statsd_exporter;
pub mod summary;
pub mod tally;

pub use registry::Registry;
pub use settings::Settings;
