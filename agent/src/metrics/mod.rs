//! The metrics lane: StatsD in, Prometheus exposition out.

pub mod explain;
pub mod exposition;
pub mod histogram;
pub mod http;
pub mod line;
pub mod mapping;
pub mod naming;
pub mod otlp;
pub mod receive;
pub mod registry;
pub mod render;
pub mod set;
pub mod settings;
pub mod sketch;
pub mod sparse;
pub mod statsd_exporter;
pub mod summary;
pub mod tally;
pub mod testing;
pub mod top;

pub use receive::{Handle, Hooks, StartError, start};
pub use registry::Registry;
pub use settings::Settings;
