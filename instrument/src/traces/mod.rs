//! Spans: recorded light on the request's thread, turned into OpenTelemetry's form and sent by a thread of their own.
//!
//! A request's span and those of [`crate::timed`] never pass through `tracing` or the OpenTelemetry SDK: a struct is
//! pushed to a bounded queue, and written as OTLP from there. Spans that a service opens itself (`tracing::info_span!`, `#[instrument]`) go through
//! tracing-opentelemetry into the same queue, below the request's span.

#[cfg(feature = "otlp")]
pub(crate) mod bridge;
#[cfg(feature = "otlp")]
pub(crate) mod encode;
#[cfg(feature = "otlp")]
pub(crate) mod export;
#[cfg(feature = "otlp")]
pub(crate) mod post;
pub(crate) mod queue;
pub(crate) mod sampling;
pub(crate) mod span;
#[cfg(all(feature = "otlp", feature = "tls"))]
pub(crate) mod tls;
