//! The embedded default: logs, spans and metrics kept and searched inside the agent.

pub mod api;
pub mod command;
mod csv;
pub mod events;
pub mod metrics;
pub mod promql;
pub mod query;
pub mod rules;
pub mod settings;

pub use events::{Events, LogExporter, SpanExporter};
pub use settings::Settings;
