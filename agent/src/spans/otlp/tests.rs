//! OTLP spans in, Zipkin spans out, by the specification's table.

use expect_test::expect;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message;

use super::translate::{Facts, Refused, Scratch, translate};
use crate::receive::payloads::Payloads;

fn any(value: Any) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.into(), value: any(value), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Any::StringValue(value.into()))
}

fn span(kind: i32, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![0xab; 16],
        span_id: vec![1; 8],
        name: "GET /".into(),
        kind,
        start_time_unix_nano: 1_700_000_000_000_000_500,
        end_time_unix_nano: 1_700_000_000_002_500_500,
        attributes,
        ..Span::default()
    }
}

fn request(resource: Vec<KeyValue>, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope =
        InstrumentationScope { name: "axum".into(), version: "1".into(), ..InstrumentationScope::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: resource, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn zipkin(request: &ExportTraceServiceRequest) -> (Refused, Vec<String>) {
    let mut out = Payloads::default();
    let mut keep = |_: &Facts<'_>| true;
    let refused = translate(&request.encode_to_vec(), &mut Scratch::default(), &mut out, &mut keep).unwrap();
    (refused, out.slices().iter().map(|p| String::from_utf8(p.to_vec()).unwrap()).collect())
}

#[test]
fn a_span_becomes_what_the_specification_says() {
    let values =
        vec![AnyValue { value: Some(Any::IntValue(1)) }, AnyValue { value: Some(Any::BoolValue(true)) }];
    let mut one = span(
        3,
        vec![
            text("peer.service", "db"),
            text("server.address", "10.0.0.9"),
            attribute("server.port", Any::IntValue(5432)),
            attribute("n", Any::IntValue(-5)),
            attribute("d", Any::DoubleValue(1.5)),
            attribute("nan", Any::DoubleValue(f64::NAN)),
            attribute("b", Any::BoolValue(false)),
            attribute("bytes", Any::BytesValue(vec![1, 2, 255])),
            attribute("list", Any::ArrayValue(ArrayValue { values })),
            attribute("map", Any::KvlistValue(KeyValueList { values: vec![text("k", "v\"")] })),
        ],
    );
    one.parent_span_id = vec![2; 8];
    one.trace_state = "a=b".into();
    one.status = Some(Status { code: 2, message: "no \"way\"".into() });
    one.events = vec![
        Event { time_unix_nano: 1_700_000_000_001_000_000, name: "plain".into(), ..Event::default() },
        Event {
            time_unix_nano: 1_700_000_000_002_000_000,
            name: "exception".into(),
            attributes: vec![text("exception.message", "x"), attribute("n", Any::IntValue(1))],
            ..Event::default()
        },
    ];
    one.links = vec![Link { trace_id: vec![3; 16], span_id: vec![4; 8], ..Link::default() }];
    one.dropped_events_count = 2;
    let resource = vec![text("service.name", "shop"), text("host.name", "web.1")];
    let (refused, spans) = zipkin(&request(resource, vec![one]));
    assert_eq!(refused, Refused(0));
    let pretty: serde_json::Value = serde_json::from_str(&spans[0]).unwrap();
    expect![[r#"
        {
          "annotations": [
            {
              "timestamp": 1700000000001000,
              "value": "plain"
            },
            {
              "timestamp": 1700000000002000,
              "value": "\"exception\":{\"exception.message\":\"x\",\"n\":1}"
            }
          ],
          "duration": 2500,
          "id": "0101010101010101",
          "kind": "CLIENT",
          "localEndpoint": {
            "serviceName": "shop"
          },
          "name": "GET /",
          "parentId": "0202020202020202",
          "remoteEndpoint": {
            "port": 5432,
            "serviceName": "db"
          },
          "tags": {
            "b": "false",
            "bytes": "AQL/",
            "d": "1.5",
            "error": "no \"way\"",
            "host.name": "web.1",
            "list": "[1,true]",
            "map": "{\"k\":\"v\\\"\"}",
            "n": "-5",
            "nan": "NaN",
            "otel.dropped_events_count": "2",
            "otel.scope.name": "axum",
            "otel.scope.version": "1",
            "otel.status_code": "ERROR",
            "otlp.link.0": "03030303030303030303030303030303|0404040404040404",
            "peer.service": "db",
            "server.address": "10.0.0.9",
            "server.port": "5432",
            "w3c.tracestate": "a=b"
          },
          "timestamp": 1700000000000000,
          "traceId": "abababababababababababababababab"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&pretty).unwrap());
}

#[test]
fn a_span_without_ids_is_refused_alone() {
    let mut zero = span(1, vec![]);
    zero.trace_id = vec![0; 16];
    let mut short = span(1, vec![]);
    short.span_id = vec![1; 4];
    let (refused, spans) = zipkin(&request(vec![], vec![zero, span(1, vec![]), short]));
    assert_eq!((refused, spans.len()), (Refused(2), 1));
    assert!(spans[0].contains(r#""localEndpoint":{"serviceName":"unknown_service"}"#), "{}", spans[0]);
    assert!(!spans[0].contains("kind") && !spans[0].contains("otel.status_code"));
}

#[test]
fn of_two_attributes_of_one_name_the_spans_own_counts() {
    let own = span(2, vec![text("host.name", "own"), text("x", "1")]);
    let (_, spans) = zipkin(&request(vec![text("host.name", "theirs"), text("r", "2")], vec![own]));
    let value: serde_json::Value = serde_json::from_str(&spans[0]).unwrap();
    assert_eq!(spans[0].matches("host.name").count(), 1);
    assert_eq!(value["tags"]["host.name"], "own");
    assert_eq!(value["tags"]["r"], "2");
}

#[test]
fn what_the_convention_needs_is_found() {
    let named = span(2, vec![text("service", "kittens"), text("group", "handlers"), text("segment", "list")]);
    let resource = vec![text("deployment.environment.name", "prod"), text("host.name", "web.1")];
    let mut seen = Vec::new();
    let bytes = request(resource, vec![named]).encode_to_vec();
    let mut keep = |facts: &Facts<'_>| {
        let texts = [facts.environment, facts.host, facts.service, facts.group, facts.segment];
        seen = texts.map(|t| String::from_utf8(t.to_vec()).unwrap()).to_vec();
        assert_eq!(facts.duration, 2_500_000);
        false
    };
    let mut out = Payloads::default();
    translate(&bytes, &mut Scratch::default(), &mut out, &mut keep).unwrap();
    assert_eq!(seen, ["prod", "web.1", "kittens", "handlers", "list"]);
    assert!(out.is_empty());
}

proptest! {
    /// Whatever the texts and numbers, the result is JSON that says the same.
    #[test]
    fn every_span_becomes_valid_json(
        name in "\\PC{0,20}",
        keys in prop::collection::btree_set("\\PC{0,10}", 0..6),
        value in "\\PC{0,20}",
        number: i64,
        double: f64,
        status in 0..3,
    ) {
        let attributes: Vec<_> = keys.iter().enumerate().map(|(i, key)| match i % 3 {
            0 => text(key, &value),
            1 => attribute(key, Any::IntValue(number)),
            _ => attribute(key, Any::DoubleValue(double)),
        }).collect();
        let mut one = span(2, attributes);
        one.name = name.clone();
        one.status = Some(Status { code: status, message: value.clone() });
        let (_, spans) = zipkin(&request(vec![text("service.name", &value)], vec![one]));
        let json: serde_json::Value = serde_json::from_str(&spans[0]).unwrap();
        prop_assert_eq!(json["name"].as_str(), Some(&*name));
        for (i, key) in keys.iter().enumerate().filter(|(i, _)| i % 3 < 2) {
            let expected = if i % 3 == 0 { value.clone() } else { number.to_string() };
            if !matches!(&**key, "error" | "otel.status_code") {
                prop_assert_eq!(json["tags"][key].as_str(), Some(&*expected));
            }
        }
    }

    #[test]
    fn cut_or_changed_bytes_are_refused_or_translated_but_never_break(
        at in 0usize..400, byte: u8, cut in 0usize..400,
    ) {
        let mut bytes = request(vec![text("a", "b")], vec![span(3, vec![text("c", "d")])]).encode_to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut.max(1));
        let mut out = Payloads::default();
        if translate(&bytes, &mut Scratch::default(), &mut out, &mut |_| true).is_ok() {
            for payload in out.slices() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(payload).is_ok());
            }
        }
    }
}
