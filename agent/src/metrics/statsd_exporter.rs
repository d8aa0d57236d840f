//! The agent in the place of statsd_exporter: its flags, its listening defaults, its answers, its own metrics.

mod args;
mod http;
mod own;
mod plan;
mod run;

pub use args::{Args, CacheType, LogFormat, LogLevel};
pub use http::{Reloader, router};
pub use plan::{Error, Plan, RESERVED, Task, task};
pub use run::{RunError, run};
