//! The agent in the place of statsd_exporter: its flags, its listening defaults, its answers, its own metrics.

mod args;

pub use args::{Args, CacheType, LogFormat, LogLevel};
