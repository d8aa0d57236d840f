//! Our spans to the SDK's.

use super::queue::Item;
use super::span::{Role, SpanRecord, Value};
use crate::wire::attribute;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::time::{Duration, UNIX_EPOCH};

pub(crate) fn span_data(item: &Item, service: &str, scope: &InstrumentationScope) -> SpanData {
    match item {
        Item::Ours(span) => ours(span, service, scope),
        Item::Otel(span) => (**span).clone(),
    }
}

fn ours(span: &SpanRecord, service: &str, scope: &InstrumentationScope) -> SpanData {
    let flags = if span.ids.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let start = UNIX_EPOCH + Duration::from_nanos(span.start_ns);
    let attributes = span.attributes().into_iter().map(|(key, value)| match value {
        Value::Text(text) => KeyValue::new(key, text),
        Value::Int(int) => KeyValue::new(key, int),
    });
    SpanData {
        span_context: SpanContext::new(
            span.ids.trace_id.into(),
            span.ids.span_id.into(),
            flags,
            false,
            TraceState::default(),
        ),
        parent_span_id: SpanId::from(span.parent),
        parent_span_is_remote: span.parent_remote,
        span_kind: match span.role {
            Role::Server => SpanKind::Server,
            Role::Client => SpanKind::Client,
            Role::Internal => SpanKind::Internal,
        },
        name: span.name().into(),
        start_time: start,
        end_time: start + Duration::from_nanos(span.duration_ns),
        attributes: [KeyValue::new(attribute::SERVICE, service.to_owned())]
            .into_iter()
            .chain(attributes)
            .collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: match &span.error {
            Some(error) => Status::error(error.clone()),
            None => Status::Unset,
        },
        instrumentation_scope: scope.clone(),
    }
}
