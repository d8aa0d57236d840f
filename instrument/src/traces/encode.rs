//! Our spans as OTLP's protobuf, written straight from what the request left: no structures in between. The numbers are the
//! fields of `opentelemetry/proto/trace/v1/trace.proto`; a test reads them back with opentelemetry-proto.

use super::span::{Attribute, Role, SpanRecord};
use crate::settings::Settings;

/// Wire types of protobuf.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Writes exports of one service.
#[derive(Debug)]
pub(crate) struct Encoder {
    service: String,
    /// `ResourceSpans.resource`, tag and all: the same in each export.
    resource: Vec<u8>,
    /// `ScopeSpans.scope`, likewise.
    scope: Vec<u8>,
    spans: Vec<u8>,
    span: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (mut attributes, mut resource, mut scope, mut names) = Default::default();
        for (key, value) in super::export::resource(settings) {
            pair(&mut attributes, 1, key, &Attribute::Text(value));
        }
        message(&mut resource, 1, &attributes);
        message(&mut names, 1, super::export::SCOPE.as_bytes());
        message(&mut names, 2, env!("CARGO_PKG_VERSION").as_bytes());
        message(&mut scope, 1, &names);
        Encoder { service: settings.service.clone(), resource, scope, spans: Vec::new(), span: Vec::new() }
    }

    /// One `ExportTraceServiceRequest`.
    pub(crate) fn export(&mut self, records: &[SpanRecord]) -> Vec<u8> {
        self.spans.clear();
        self.spans.extend_from_slice(&self.scope);
        for record in records {
            self.span.clear();
            span(&mut self.span, record, &self.service);
            message(&mut self.spans, 2, &self.span);
        }
        let within = self.resource.len() + 1 + varint_len(self.spans.len() as u64) + self.spans.len();
        let mut out = Vec::with_capacity(within + 8);
        tag(&mut out, 1, BYTES);
        varint(&mut out, within as u64);
        out.extend_from_slice(&self.resource);
        message(&mut out, 2, &self.spans);
        out
    }
}

fn span(out: &mut Vec<u8>, record: &SpanRecord, service: &str) {
    message(out, 1, &record.ids.trace_id.to_be_bytes());
    message(out, 2, &record.ids.span_id.to_be_bytes());
    if record.parent != 0 {
        message(out, 4, &record.parent.to_be_bytes());
    }
    let (first, second) = record.name_parts();
    tag(out, 5, BYTES);
    varint(out, (first.len() + second.map_or(0, |s| s.len() + 1)) as u64);
    out.extend_from_slice(first.as_bytes());
    if let Some(second) = second {
        out.push(b' ');
        out.extend_from_slice(second.as_bytes());
    }
    let kind = match record.role {
        Role::Internal => 1,
        Role::Server => 2,
        Role::Client => 3,
    };
    number(out, 6, kind);
    for (field, at) in [(7, record.start_ns), (8, record.start_ns + record.duration_ns)] {
        tag(out, field, FIXED64);
        out.extend_from_slice(&at.to_le_bytes());
    }
    pair(out, 9, crate::wire::attribute::SERVICE, &Attribute::Text(service));
    record.attributes(&mut |key, value| pair(out, 9, key, &value));
    if let Some(error) = &record.error {
        let mut status = Vec::with_capacity(error.len() + 8);
        if !error.is_empty() {
            message(&mut status, 2, error.as_bytes());
        }
        number(&mut status, 3, 2);
        message(out, 15, &status);
    }
    // Sampled; that it is known whether the parent is remote; that it is.
    let flags = u32::from(record.ids.sampled) | 0x100 | if record.parent_remote { 0x200 } else { 0 };
    tag(out, 16, FIXED32);
    out.extend_from_slice(&flags.to_le_bytes());
}

/// A `KeyValue`.
fn pair(out: &mut Vec<u8>, field: u64, key: &str, value: &Attribute<'_>) {
    let any = match value {
        Attribute::Text(text) => 1 + varint_len(text.len() as u64) + text.len(),
        Attribute::Int(int) => 1 + varint_len(*int as u64),
    };
    let within = 1 + varint_len(key.len() as u64) + key.len() + 1 + varint_len(any as u64) + any;
    tag(out, field, BYTES);
    varint(out, within as u64);
    message(out, 1, key.as_bytes());
    tag(out, 2, BYTES);
    varint(out, any as u64);
    match value {
        Attribute::Text(text) => message(out, 1, text.as_bytes()),
        Attribute::Int(int) => number(out, 3, *int as u64),
    }
}

fn message(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    tag(out, field, BYTES);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

fn tag(out: &mut Vec<u8>, field: u64, kind: u64) {
    varint(out, field << 3 | kind);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SpanIds;
    use crate::traces::span::Value;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value;
    use prost::Message;
    use std::sync::Arc;

    #[test]
    fn opentelemetrys_own_reader_understands_it() {
        let mut settings = Settings::new("svc");
        settings.version = "1.2.3".to_owned();
        let record = SpanRecord {
            ids: SpanIds { trace_id: 0xabc, span_id: 7, sampled: true },
            parent: 5,
            parent_remote: true,
            role: Role::Client,
            start_ns: 1_000,
            duration_ns: 250,
            error: Some("locked".into()),
            operation: Arc::new(crate::metrics::operation::OperationCells {
                group: "sqlite".to_owned(),
                segment: "select".to_owned(),
                ..Default::default()
            }),
            request: None,
            status: 0,
            response_bytes: 0,
            attributes: vec![("rows", Value::Int(-3)), ("long", Value::Text("x".repeat(300)))],
        };
        let mut encoder = Encoder::new(&settings);
        let body = encoder.export(&[record.clone(), record.clone()]);
        assert_eq!(encoder.export(&[record.clone(), record]), body, "nothing is left from the export before");
        let read = ExportTraceServiceRequest::decode(&*body).unwrap();
        let text =
            |v: &Option<opentelemetry_proto::tonic::common::v1::AnyValue>| match v.clone().unwrap().value {
                Some(any_value::Value::StringValue(text)) => text,
                Some(any_value::Value::IntValue(int)) => int.to_string(),
                other => panic!("{other:?}"),
            };
        let of = &read.resource_spans[0];
        let resource = of.resource.as_ref().unwrap();
        assert!(resource.attributes.iter().any(|a| a.key == "service.version" && text(&a.value) == "1.2.3"));
        assert_eq!(of.scope_spans[0].scope.as_ref().unwrap().name, "sightline-instrument");
        assert_eq!(of.scope_spans[0].spans.len(), 2);
        let span = &of.scope_spans[0].spans[1];
        assert_eq!(span.trace_id, 0xabcu128.to_be_bytes());
        assert_eq!(
            (span.span_id.as_slice(), span.parent_span_id.as_slice()),
            (&7u64.to_be_bytes()[..], &5u64.to_be_bytes()[..])
        );
        assert_eq!((span.name.as_str(), span.kind, span.flags), ("sqlite select", 3, 0x301));
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (1_000, 1_250));
        let status = span.status.as_ref().unwrap();
        assert_eq!((status.code, status.message.as_str()), (2, "locked"));
        let attributes: Vec<_> = span.attributes.iter().map(|a| (a.key.as_str(), text(&a.value))).collect();
        assert_eq!(
            attributes,
            [
                ("service", "svc".to_owned()),
                ("group", "sqlite".to_owned()),
                ("segment", "select".to_owned()),
                ("rows", "-3".to_owned()),
                ("long", "x".repeat(300)),
            ]
        );
    }

    #[test]
    fn lengths_are_those_of_what_is_written() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
        }
    }
}
