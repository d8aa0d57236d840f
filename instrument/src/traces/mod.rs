//! Spans: written on the request's thread, sent by a thread of their own.
//!
//! A request's span and those of [`crate::timed`] never pass through `tracing` or the OpenTelemetry SDK: they are written as
//! OTLP by the thread that made them, into a bounded queue. Spans that a service opens itself (`tracing::info_span!`, `#[instrument]`) go through
//! tracing-opentelemetry into the same queue, below the request's span.

#[cfg(feature = "otlp")]
pub(crate) mod bridge;
#[cfg(feature = "otlp")]
pub(crate) mod encode;
#[cfg(feature = "otlp")]
pub(crate) mod export;
#[cfg(feature = "otlp")]
pub(crate) mod post;
pub(crate) mod protobuf;
pub(crate) mod queue;
pub(crate) mod sampling;
pub(crate) mod span;
#[cfg(all(feature = "otlp", feature = "tls"))]
pub(crate) mod tls;
