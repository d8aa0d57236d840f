//! One line in a service gives dot-named StatsD metrics, JSON structured logs, correlation ids, spans, panic reports and
//! health.
#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod client;
mod client_body;
mod clock;
mod context;
mod current;
mod drops;
mod environment;
mod health;
mod http;
mod identity;
mod ids;
mod instrument;
mod json;
mod kernel;
mod logs;
mod metrics;
mod panics;
mod pipe;
mod process;
mod propagation;
mod query;
#[cfg(feature = "reqwest")]
mod reqwest;
mod retry;
pub mod security;
mod serve;
mod settings;
mod subscriber;
mod tasks;
pub mod testing;
mod timed;
mod traces;
pub mod wire;
mod workers;

pub use crate::client::{ClientFuture, ClientLayer, InstrumentedClient, pass_on};
pub use crate::client_body::ClientBody;
pub use crate::current::{annotate, request_id, trace_id};
pub use crate::health::{Health, Status, Thresholds};
pub use crate::http::body::InstrumentBody;
pub use crate::http::layer::{InstrumentFuture, InstrumentLayer, Instrumented};
pub use crate::http::source::{Network, ParseNetworkError};
pub use crate::instrument::{Builder, Instrument};
pub use crate::metrics::{Counter, Gauge, Operation, Timer, counter, gauge, handler, operation, timer};
pub use crate::query::{Query, query};
#[cfg(feature = "reqwest")]
pub use crate::reqwest::SendAs;
pub use crate::retry::retried;
pub use crate::serve::serve;
pub use crate::settings::{LogTarget, Sampler, Settings, StatsdStyle};
pub use crate::tasks::{spawn, spawn_blocking};
pub use crate::timed::{measured, timed, timed_blocking};
