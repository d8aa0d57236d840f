//! Prometheus remote write: the registry's samples to Mimir, Thanos, VictoriaMetrics or Prometheus.

mod settings;

pub use settings::{Protocol, Settings};
