//! Lines of real loggers in, records out; and what must hold for any line.

use expect_test::{Expect, expect};
use serde_json::Value;

use super::{Batch, Policy, Scratch, Source};
use crate::logs::envelope::Envelope;
use crate::logs::id::Ids;
use crate::logs::stream::Streams;

const NOW: i64 = 1_795_482_123_456_000_000; // 2026-11-24T01:02:03.456Z

fn policy() -> Policy {
    Policy {
        environment: "dev".into(),
        max_fields: 50,
        syslog: true,
        streams: Streams::new(1000),
        ids: Ids::new(7),
    }
}

fn records(line: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (mut scratch, mut batch) = (Scratch::default(), Batch::default());
    policy().line(line, Source { host: Some("web-1"), service: None }, NOW, &mut scratch, &mut batch);
    batch
        .payloads
        .slices()
        .into_iter()
        .map(|payload| {
            let envelope = Envelope::decode(payload).unwrap();
            assert_eq!(envelope.id.len(), crate::logs::id::LENGTH);
            (envelope.stream.to_owned(), envelope.document.to_vec())
        })
        .collect()
}

/// The stream, then what the record has beside what came, or has otherwise.
fn check(line: &str, expected: Expect) {
    let mut shown = String::new();
    let came: Value = serde_json::from_str(line).unwrap_or(Value::Null);
    for (stream, document) in records(line.as_bytes()) {
        let record: serde_json::Map<String, Value> = serde_json::from_slice(&document).unwrap();
        shown.push_str(&stream);
        shown.push('\n');
        for (key, value) in &record {
            if came.get(key) != Some(value) {
                shown.push_str(&format!("  {key}: {value}\n"));
            }
        }
        for key in came.as_object().into_iter().flat_map(|came| came.keys()) {
            if !record.contains_key(key) {
                shown.push_str(&format!("  {key} moved\n"));
            }
        }
    }
    expected.assert_eq(&shown);
}

#[test]
fn a_record_of_our_own_crate_is_copied_as_it_is() {
    let line = concat!(
        r#"{"@timestamp":"2026-11-24T01:02:03.456789Z","log.level":"info","service.name":"kittenserver","#,
        r#""service.environment":"prod","host.name":"web-2","event.dataset":"kittenserver.app","#,
        r#""handler":"list","status":200,"method":"GET","request_id":"abc","http.request.id":"abc","#,
        r#""http.request.method":"GET","http.response.status_code":200,"message":"done \"it\"","#,
        r#""trace.id":"4bf92f3577b34da6a3ce929d0e0e4736","span.id":"00f067aa0ba902b7"}"#
    );
    assert_eq!(
        records(line.as_bytes()),
        [("logs-kittenserver.app-prod".to_owned(), line.as_bytes().to_vec())]
    );
}

#[test]
fn python_json_logger() {
    check(
        r#"{"asctime": "2026-11-24 01:02:03,456", "name": "kittens.db", "levelname": "WARNING", "levelno": 30, "message": "slow", "pathname": "db.py", "lineno": 7, "process": 4711, "service": "kittens", "exc_info": "Traceback (most recent call last):\n  x"}"#,
        expect![[r#"
            logs-kittens.app-dev
              @timestamp: "2026-11-24T01:02:03.456Z"
              error.stack_trace: "Traceback (most recent call last):\n  x"
              event.dataset: "kittens.app"
              host.name: "web-1"
              log.level: "warn"
              log.logger: "kittens.db"
              process.pid: 4711
              service.environment: "dev"
              service.name: "kittens"
              process moved
              service moved
        "#]],
    );
}

#[test]
fn pino_with_http() {
    check(
        r#"{"level":50,"time":1795482123456,"pid":99,"hostname":"node-1","name":"shop","req":{"id":"r-1","method":"POST","url":"/buy?x=1"},"res":{"statusCode":500},"responseTime":12.5,"err":{"type":"TypeError","message":"no","stack":"TypeError: no\n at x"},"msg":"request failed"}"#,
        expect![[r#"
            logs-shop.app-dev
              @timestamp: "2026-11-24T01:02:03.456Z"
              error.message: "no"
              error.stack_trace: "TypeError: no\n at x"
              error.type: "TypeError"
              event.dataset: "shop.app"
              event.duration: 12500000
              host.name: "node-1"
              http.request.id: "r-1"
              http.request.method: "POST"
              http.response.status_code: 500
              log.level: "error"
              message: "request failed"
              method: "POST"
              process.pid: 99
              request_id: "r-1"
              service.environment: "dev"
              service.name: "shop"
              status: 500
              url.path: "/buy"
              url.query: "x=1"
        "#]],
    );
}
