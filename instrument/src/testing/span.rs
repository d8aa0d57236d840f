//! A span as a test reads it.

use std::collections::BTreeMap;

use crate::traces::protobuf::{Value, fields};

/// A finished span.
///
/// ```
/// use sightline_instrument::testing::{Capture, Span};
/// let capture = Capture::new("kittens");
/// capture.call(|| sightline_instrument::timed_blocking("sqlite", "count", || Ok::<_, std::fmt::Error>(3)).unwrap());
/// let span: &Span = &capture.spans()[0];
/// assert_eq!((span.name.as_str(), span.kind), ("sqlite count", "client"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span {
    /// `GET /list`, `sqlite select_kittens`, or what the service called it.
    pub name: String,
    /// `server`, `client` or `internal`.
    pub kind: &'static str,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Of the span above it, also when that is in another service.
    pub parent_id: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// By name, as text.
    pub attributes: BTreeMap<String, String>,
}

fn text(value: Value<'_>) -> String {
    match value {
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Number(number) => (number as i64).to_string(),
    }
}

fn hex(value: Value<'_>) -> String {
    let Value::Bytes(bytes) = value else { return String::new() };
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn within(value: Value<'_>) -> impl Iterator<Item = (u64, Value<'_>)> {
    match value {
        Value::Bytes(bytes) => fields(bytes),
        Value::Number(_) => fields(&[]),
    }
}

/// Reads a span as it would be sent: OTLP's `Span`.
pub(super) fn ours(span: Value<'_>) -> Span {
    let mut read = Span {
        name: String::new(),
        kind: "internal",
        trace_id: String::new(),
        span_id: String::new(),
        parent_id: None,
        error: None,
        attributes: BTreeMap::new(),
    };
    for (field, value) in within(span) {
        match field {
            1 => read.trace_id = hex(value),
            2 => read.span_id = hex(value),
            4 => read.parent_id = Some(hex(value)),
            5 => read.name = text(value),
            6 if value == Value::Number(2) => read.kind = "server",
            6 if value == Value::Number(3) => read.kind = "client",
            9 => {
                let mut pair = within(value).map(|(_, part)| part);
                if let (Some(key), Some(value)) = (pair.next(), pair.next()) {
                    let value = within(value).next().map(|(_, v)| text(v)).unwrap_or_default();
                    read.attributes.insert(text(key), value);
                }
            }
            15 => read.error = Some(within(value).find(|f| f.0 == 2).map(|f| text(f.1)).unwrap_or_default()),
            _ => {}
        }
    }
    read
}

/// Reads a span of the service's own, as tracing-opentelemetry made it.
#[cfg(feature = "otlp")]
pub(super) fn theirs(span: &opentelemetry_sdk::trace::SpanData) -> Span {
    use opentelemetry::trace::{SpanId, SpanKind, Status};
    Span {
        name: span.name.to_string(),
        kind: match span.span_kind {
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            _ => "internal",
        },
        trace_id: span.span_context.trace_id().to_string(),
        span_id: span.span_context.span_id().to_string(),
        parent_id: (span.parent_span_id != SpanId::INVALID).then(|| span.parent_span_id.to_string()),
        error: match &span.status {
            Status::Error { description } => Some(description.to_string()),
            _ => None,
        },
        attributes: span.attributes.iter().map(|kv| (kv.key.to_string(), kv.value.to_string())).collect(),
    }
}
