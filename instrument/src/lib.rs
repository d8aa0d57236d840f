//! One line in a service gives dot-named StatsD metrics, JSON structured logs, correlation ids, spans,
//! panic reports and health.
#![warn(missing_docs)]

pub mod wire;
