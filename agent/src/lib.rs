//! The agent's library: three lanes (metrics, logs, spans), each receive → understand → keep → export.
//!
//! A lane never calls into another. They meet in the ids that records carry, and in the hooks that `run` wires.

pub mod cli;
pub mod client;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod export;
pub mod hooks;
pub mod json;
pub mod ledger;
pub mod logs;
pub mod losses;
pub mod memory;
pub mod metrics;
pub mod queue;
pub mod receive;
pub mod run;
pub mod setup;
pub mod spans;
#[cfg(feature = "embedded")]
pub mod store;
pub mod tap;
pub mod telemetry;
pub mod units;
pub mod web;
