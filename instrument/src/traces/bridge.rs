//! The bridge to OpenTelemetry for spans that a service opens with `tracing`: they hang below the request's span, and end
//! in the same queue.

use super::queue::Queue;
use crate::current;
use crate::ids::SpanIds;
use crate::settings::Settings;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use std::sync::Arc;
use std::time::Duration;
use tracing_opentelemetry::OpenTelemetryLayer;

/// The scope's span as the parent of a span of `tracing` that is being opened. `None` where another such span is nearer,
/// which is the parent without our doing.
pub(crate) fn parent() -> Option<opentelemetry::Context> {
    if current::in_span() {
        return None;
    }
    let ids = current::with_scope(|s| s?.ids)?;
    let flags = if ids.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let span = SpanContext::new(ids.trace_id.into(), ids.span_id.into(), flags, false, TraceState::default());
    Some(opentelemetry::Context::new().with_remote_span_context(span))
}

/// The ids of the service's own span that was entered last, if that was after our scope.
pub(crate) fn current_ids() -> Option<SpanIds> {
    if !current::in_span() {
        return None;
    }
    opentelemetry::Context::map_current(|context| {
        if !context.has_active_span() {
            return None;
        }
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| SpanIds {
            trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(span.span_id().to_bytes()),
            sampled: span.is_sampled(),
        })
    })
}

/// Puts the SDK's finished spans into our queue, and does nothing else.
#[derive(Debug)]
struct Processor(Arc<Queue>);

impl SpanProcessor for Processor {
    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.0.push_theirs(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The layer of tracing-opentelemetry over our queue.
pub(crate) fn layer<S>(
    settings: &Settings,
    queue: &Arc<Queue>,
) -> OpenTelemetryLayer<S, opentelemetry_sdk::trace::SdkTracer>
where
    S: tracing_core::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
{
    let root = match settings.sampler.ratio {
        r if r >= 1.0 => Sampler::AlwaysOn,
        r if r <= 0.0 => Sampler::AlwaysOff,
        r => Sampler::TraceIdRatioBased(r),
    };
    // Below a request its decision always holds, or traces would have holes.
    let provider = SdkTracerProvider::builder()
        .with_span_processor(Processor(queue.clone()))
        .with_sampler(Sampler::ParentBased(Box::new(root)))
        .build();
    OpenTelemetryLayer::new(provider.tracer("tracing"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
}
