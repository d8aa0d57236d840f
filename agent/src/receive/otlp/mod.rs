//! The OTLP receivers, gRPC on 4317 and HTTP on 4318: one protocol for three signals, each handed to its own lane.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::address::BindError;
use super::listen::{self, Door};
use super::sink::{Ticket, Wait};
use super::tls::{Certificates, TlsError};
use crate::queue::Broken;

pub mod grpc;
pub mod http;
pub mod mend;
pub mod metrics;
pub mod settings;
pub mod status;

#[cfg(test)]
mod tests;

pub use settings::Settings;

/// What a lane took of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// When it is safe.
    pub ticket: Ticket,
    /// Items that were refused for good; they go into `partial_success`.
    pub rejected: u64,
    /// Why.
    pub message: String,
}

impl Taken {
    /// Whether all there was has been refused.
    pub fn nothing(&self) -> bool {
        self.rejected > 0 && self.ticket == Ticket::default()
    }
}

/// Why a lane took nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no such message.
    #[error("{0}")]
    Malformed(String),
    /// No room now.
    #[error("the queue is full, try again later")]
    Full,
}

/// A lane as the receivers see it.
pub trait Signal: Send + Sync + 'static {
    /// Takes a request in protobuf.
    fn protobuf(&self, request: &[u8]) -> Result<Taken, Refusal>;
    /// Takes a request in JSON.
    fn json(&self, request: &[u8]) -> Result<Taken, Refusal>;
    /// Resolves when a ticket is safe.
    fn durable(&self, ticket: Ticket) -> Wait<'_, Result<(), Broken>>;
    /// `spans`, `logs` or `metrics`.
    fn lane(&self) -> &'static str;
}

/// The lanes that take part.
#[derive(Clone, Default)]
pub struct Signals {
    /// `/v1/traces`
    pub traces: Option<Arc<dyn Signal>>,
    /// `/v1/logs`
    pub logs: Option<Arc<dyn Signal>>,
    /// `/v1/metrics`
    pub metrics: Option<Arc<dyn Signal>>,
}

/// The three kinds of request: the last part of the HTTP path, the gRPC service, the JSON name of what was refused.
pub(super) const KINDS: [(&str, &str, &str); 3] = [
    ("traces", "opentelemetry.proto.collector.trace.v1.TraceService", "rejectedSpans"),
    ("logs", "opentelemetry.proto.collector.logs.v1.LogsService", "rejectedLogRecords"),
    ("metrics", "opentelemetry.proto.collector.metrics.v1.MetricsService", "rejectedDataPoints"),
];

impl Signals {
    pub(super) fn all(
        self,
    ) -> impl Iterator<Item = ((&'static str, &'static str, &'static str), Arc<dyn Signal>)> {
        KINDS.into_iter().zip([self.traces, self.logs, self.metrics]).filter_map(|(kind, s)| Some((kind, s?)))
    }
}

/// The receivers could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The receivers at work.
pub struct Handle {
    open: Vec<(&'static str, SocketAddr)>,
    tasks: Vec<JoinHandle<()>>,
}

impl Handle {
    /// Where it listens: `http`, `grpc`, and the address of each that is open.
    pub fn open(&self) -> &[(&'static str, SocketAddr)] {
        &self.open
    }

    /// Waits until the requests under way are answered, at most `deadline`. That begins when the `stop` given to
    /// [`start`] turns true.
    pub async fn stopped(self, deadline: Duration) {
        if !listen::joined(self.tasks, deadline).await {
            tracing::warn!("otlp connections were still open at the deadline");
        }
    }
}

/// Starts the receivers that `settings` name.
pub async fn start(
    settings: &Settings,
    signals: Signals,
    stop: watch::Receiver<bool>,
) -> Result<Handle, StartError> {
    let (mut open, mut tasks) = (Vec::new(), Vec::new());
    if let Some(listener) = listen::bind(&settings.http.listen, "otlp.http.listen").await? {
        open.extend(listener.local_addr().ok().map(|at| ("http", at)));
        let tls = Certificates::read(&settings.http.tls, "otlp.http.tls", &[b"h2", b"http/1.1"])?;
        let (access, limits) = (Arc::new(settings.http.access.clone()), settings.http.limits.clone());
        let router = http::router(signals.clone(), limits.clone());
        let door = Door { receiver: "otlp_http", listener, access, limits, tls };
        tasks.push(super::http::serve(door, router, stop.clone()));
    }
    if let Some(listener) = listen::bind(&settings.grpc.listen, "otlp.grpc.listen").await? {
        open.extend(listener.local_addr().ok().map(|at| ("grpc", at)));
        let tls = Certificates::read(&settings.grpc.tls, "otlp.grpc.tls", &[b"h2"])?;
        let (access, limits) = (Arc::new(settings.grpc.access.clone()), settings.grpc.limits.clone());
        let router = grpc::router(signals, limits.clone());
        let door = Door { receiver: "otlp_grpc", listener, access, limits, tls };
        tasks.push(super::http::serve(door, router, stop));
    }
    Ok(Handle { open, tasks })
}
