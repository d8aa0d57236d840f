//! Zipkin spans as OTLP spans, by the OpenTelemetry mapping read backwards.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Zipkin {
    trace_id: String,
    id: String,
    #[serde(default)]
    parent_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    timestamp: u64,
    #[serde(default)]
    duration: u64,
    #[serde(default)]
    local_endpoint: Endpoint,
    #[serde(default)]
    remote_endpoint: Endpoint,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Vec<Annotation>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    service_name: String,
    ipv4: String,
    ipv6: String,
    port: Option<u16>,
}

#[derive(Deserialize)]
struct Annotation {
    timestamp: u64,
    value: String,
}

/// One request for all of `spans`, by service; and of each span whether it could be read.
pub(super) fn request<'a>(spans: impl Iterator<Item = &'a [u8]>) -> (ExportTraceServiceRequest, Vec<bool>) {
    let mut services: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    let readable = spans
        .map(|bytes| {
            let Some((service, span)) = read(bytes) else { return false };
            services.entry(service).or_default().push(span);
            true
        })
        .collect();
    let resource_spans = services
        .into_iter()
        .map(|(service, spans)| ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", service)],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        })
        .collect();
    (ExportTraceServiceRequest { resource_spans }, readable)
}

fn read(bytes: &[u8]) -> Option<(String, Span)> {
    let zipkin: Zipkin = serde_json::from_slice(bytes).ok()?;
    let kind = match zipkin.kind.as_str() {
        "SERVER" => SpanKind::Server,
        "CLIENT" => SpanKind::Client,
        "PRODUCER" => SpanKind::Producer,
        "CONSUMER" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    };
    let mut tags = zipkin.tags;
    let status = status(&mut tags);
    let remote = zipkin.remote_endpoint;
    let mut attributes: Vec<KeyValue> = tags.into_iter().map(|(key, value)| attribute(&key, value)).collect();
    let address = if remote.ipv4.is_empty() { remote.ipv6 } else { remote.ipv4 };
    for (key, value) in [("peer.service", remote.service_name), ("network.peer.address", address)] {
        if !value.is_empty() && !attributes.iter().any(|a| a.key == key) {
            attributes.push(attribute(key, value));
        }
    }
    if let Some(port) = remote.port {
        attributes.push(KeyValue {
            key: "network.peer.port".into(),
            value: Some(AnyValue { value: Some(Value::IntValue(i64::from(port))) }),
            ..KeyValue::default()
        });
    }
    let event = |annotation: Annotation| Event {
        time_unix_nano: annotation.timestamp.saturating_mul(1000),
        name: annotation.value,
        ..Event::default()
    };
    let span = Span {
        trace_id: hex(&zipkin.trace_id, 16)?,
        span_id: hex(&zipkin.id, 8)?,
        parent_span_id: if zipkin.parent_id.is_empty() { Vec::new() } else { hex(&zipkin.parent_id, 8)? },
        name: zipkin.name,
        kind: kind as i32,
        start_time_unix_nano: zipkin.timestamp.saturating_mul(1000),
        end_time_unix_nano: zipkin.timestamp.saturating_add(zipkin.duration).saturating_mul(1000),
        attributes,
        events: zipkin.annotations.into_iter().map(event).collect(),
        status,
        ..Span::default()
    };
    Some((zipkin.local_endpoint.service_name, span))
}

/// The status that the tags `otel.status_code` and `error` tell; they are not repeated as attributes.
fn status(tags: &mut BTreeMap<String, String>) -> Option<Status> {
    let code = tags.remove("otel.status_code");
    let error = tags.remove("error");
    match (code.as_deref(), error) {
        (Some("OK"), None) => Some(Status { code: StatusCode::Ok as i32, ..Status::default() }),
        (Some("ERROR"), error) => {
            Some(Status { code: StatusCode::Error as i32, message: error.unwrap_or_default() })
        }
        (_, Some(message)) => Some(Status { code: StatusCode::Error as i32, message }),
        (_, None) => None,
    }
}

fn attribute(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// Exactly `len` bytes of hexadecimal digits, shorter text filled with zeroes on the left.
fn hex(text: &str, len: usize) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() > len * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let text = format!("{text:0>width$}", width = len * 2);
    (0..len).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::request;

    #[test]
    fn translates_what_zipkin_has_and_passes_over_what_is_no_span() {
        let spans: [&[u8]; 4] = [
            br#"{"traceId":"0000000000000000000000000000000a","id":"000000000000000b","parentId":"0c","kind":"SERVER",
                "name":"get /kittens","timestamp":1000,"duration":250,"localEndpoint":{"serviceName":"kitten"},
                "remoteEndpoint":{"ipv4":"10.0.0.7","port":80},"tags":{"http.request.id":"r1","error":"boom"},
                "annotations":[{"timestamp":1100,"value":"retry"}]}"#,
            br#"{"traceId":"0a","id":"0d","localEndpoint":{"serviceName":"kitten"}}"#,
            br#"{"traceId":"zz","id":"0d"}"#,
            b"junk",
        ];
        let (request, readable) = request(spans.into_iter());
        assert_eq!(readable, [true, true, false, false]);
        assert_eq!(request.resource_spans.len(), 1, "one resource for one service");
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        let first = &spans[0];
        assert_eq!(
            (first.trace_id.len(), first.trace_id[15], first.span_id[7], first.parent_span_id[7]),
            (16, 10, 11, 12)
        );
        assert_eq!(
            (first.start_time_unix_nano, first.end_time_unix_nano, first.kind),
            (1_000_000, 1_250_000, 2)
        );
        let status = first.status.as_ref().unwrap();
        assert_eq!((status.code, status.message.as_str()), (2, "boom"));
        let keys: Vec<&str> = first.attributes.iter().map(|a| a.key.as_str()).collect();
        assert_eq!(keys, ["http.request.id", "network.peer.address", "network.peer.port"]);
        assert_eq!((first.events[0].name.as_str(), first.events[0].time_unix_nano), ("retry", 1_100_000));
        assert_eq!((spans[1].status.as_ref(), spans[1].kind), (None, 1));
    }
}
