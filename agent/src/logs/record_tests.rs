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
        rules: crate::logs::rules::Rules::default(),
        redactor: crate::logs::redact::Redactor::new(&Default::default()).unwrap(),
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

#[test]
fn bunyan() {
    check(
        r#"{"name":"shop","hostname":"h1","pid":7,"level":40,"msg":"slow","time":"2026-11-24T01:02:03.456Z","v":0}"#,
        expect![[r#"
            logs-shop.app-dev
              @timestamp: "2026-11-24T01:02:03.456Z"
              event.dataset: "shop.app"
              host.name: "h1"
              log.level: "warn"
              message: "slow"
              process.pid: 7
              service.environment: "dev"
              service.name: "shop"
        "#]],
    );
}

#[test]
fn logstash_encoder_of_logback() {
    check(
        r#"{"@timestamp":"2026-11-24T03:02:03.456+02:00","@version":"1","message":"sold","logger_name":"com.acme.Shop","thread_name":"http-1","level":"ERROR","level_value":40000,"stack_trace":"java.lang.X: y\n\tat z","app":"shop","traceId":"A3CE929D0E0E4736","spanId":"00f067aa0ba902b7"}"#,
        expect![[r#"
            logs-shop.app-dev
              @timestamp: "2026-11-24T01:02:03.456Z"
              error.stack_trace: "java.lang.X: y\n\tat z"
              event.dataset: "shop.app"
              host.name: "web-1"
              log.level: "error"
              log.logger: "com.acme.Shop"
              process.thread.name: "http-1"
              service.environment: "dev"
              service.name: "shop"
              span.id: "00f067aa0ba902b7"
              trace.id: "0000000000000000a3ce929d0e0e4736"
        "#]],
    );
}

#[test]
fn zap() {
    check(
        r#"{"level":"dpanic","ts":1795482123.456,"logger":"db","caller":"db/x.go:7","msg":"lost","error":"EOF","stacktrace":"main.main\n\tx.go:7"}"#,
        expect![[r#"
            logs-unknown.app-dev
              @timestamp: "2026-11-24T01:02:03.456Z"
              error.message: "EOF"
              error.stack_trace: "main.main\n\tx.go:7"
              event.dataset: "unknown.app"
              host.name: "web-1"
              log.level: "error"
              log.logger: "db"
              message: "lost"
              service.environment: "dev"
              error moved
        "#]],
    );
}

#[test]
fn serilog_compact() {
    check(
        r#"{"@t":"2026-11-24T01:02:03.4560000Z","@mt":"took {Elapsed}","@l":"Warning","@x":"System.X: y","@tr":"4bf92f3577b34da6a3ce929d0e0e4736","@sp":"00f067aa0ba902b7","Elapsed":3.5,"SourceContext":"Shop.Db","MachineName":"w1","RequestPath":"/a","StatusCode":200}"#,
        expect![[r#"
            logs-unknown.app-dev
              @timestamp: "2026-11-24T01:02:03.456Z"
              error.stack_trace: "System.X: y"
              event.dataset: "unknown.app"
              event.duration: 3500000
              host.name: "w1"
              http.response.status_code: 200
              log.level: "warn"
              log.logger: "Shop.Db"
              message: "took {Elapsed}"
              service.environment: "dev"
              span.id: "00f067aa0ba902b7"
              status: 200
              trace.id: "4bf92f3577b34da6a3ce929d0e0e4736"
              url.path: "/a"
        "#]],
    );
}

#[test]
fn tracing_subscriber_and_go_slog() {
    check(
        r#"{"timestamp":"2026-11-24T01:02:03.456789Z","level":"INFO","fields":{"message":"hello","n":1},"target":"shop::db","span":{"name":"request"}}"#,
        expect![[r#"
            logs-unknown.app-dev
              @timestamp: "2026-11-24T01:02:03.456789Z"
              event.dataset: "unknown.app"
              host.name: "web-1"
              log.level: "info"
              log.logger: "shop::db"
              message: "hello"
              service.environment: "dev"
        "#]],
    );
    check(
        r#"{"time":"2026-11-24T01:02:03.456+01:00","level":"WARN+1","msg":"odd","user":"bob","source":{"function":"main"}}"#,
        expect![[r#"
            logs-unknown.app-dev
              @timestamp: "2026-11-24T00:02:03.456Z"
              event.dataset: "unknown.app"
              host.name: "web-1"
              log.level: "warn"
              message: "odd"
              service.environment: "dev"
              user.name: "bob"
              user moved
        "#]],
    );
}

#[test]
fn nginx_json_and_docker() {
    check(
        r#"{"time_iso8601":"2026-11-24T01:02:03+00:00","remote_addr":"192.0.2.7","request_method":"GET","request_uri":"/a?b=1","status":"404","request_time":"0.012","http_user_agent":"curl/8","host":"shop.example","request_id":"r1"}"#,
        expect![[r#"
            logs-unknown.app-dev
              @timestamp: "2026-11-24T01:02:03.000Z"
              event.dataset: "unknown.app"
              event.duration: 12000000
              host.name: "shop.example"
              http.request.id: "r1"
              http.request.method: "GET"
              http.response.status_code: 404
              method: "GET"
              service.environment: "dev"
              source.ip: "192.0.2.7"
              url.path: "/a"
              url.query: "b=1"
              user_agent.original: "curl/8"
              host moved
        "#]],
    );
    check(
        r#"{"log":"listening\n","stream":"stdout","time":"2026-11-24T01:02:03.456789012Z"}"#,
        expect![[r#"
            logs-unknown.app-dev
              @timestamp: "2026-11-24T01:02:03.456789012Z"
              event.dataset: "unknown.app"
              host.name: "web-1"
              log.original: "listening\n"
              message: "listening"
              service.environment: "dev"
              log moved
        "#]],
    );
}

#[test]
fn syslog_of_both_kinds() {
    check(
        r#"<165>1 2026-11-24T01:02:03.003Z mail.example su 123 ID47 [x@1 a="b]\"c"] failed for bob"#,
        expect![[r#"
            logs-su.app-dev
              @timestamp: "2026-11-24T01:02:03.003Z"
              event.dataset: "su.app"
              host.name: "mail.example"
              labels.structured_data: "[x@1 a=\"b]\\\"c\"]"
              log.level: "info"
              log.syslog.appname: "su"
              log.syslog.facility.code: 20
              log.syslog.facility.name: "local4"
              log.syslog.msgid: "ID47"
              log.syslog.priority: 165
              log.syslog.procid: "123"
              log.syslog.severity.code: 5
              log.syslog.severity.name: "notice"
              message: "failed for bob"
              process.pid: "123"
              service.environment: "dev"
              service.name: "su"
        "#]],
    );
    check(
        "<34>Nov 24 01:02:00 web-9 sshd[77]: Failed password for root from 192.0.2.7",
        expect![[r#"
        logs-sshd.app-dev
          @timestamp: "2026-11-24T01:02:00.000Z"
          event.dataset: "sshd.app"
          host.name: "web-9"
          log.level: "error"
          log.syslog.appname: "sshd"
          log.syslog.facility.code: 4
          log.syslog.facility.name: "auth"
          log.syslog.priority: 34
          log.syslog.procid: "77"
          log.syslog.severity.code: 2
          log.syslog.severity.name: "critical"
          message: "Failed password for root from 192.0.2.7"
          process.pid: "77"
          service.environment: "dev"
          service.name: "sshd"
    "#]],
    );
}

#[test]
fn what_is_no_object_is_kept_as_it_is() {
    check(
        "hello \"kittens\"",
        expect![[r#"
        logs-unknown.unparsed-dev
          @timestamp: "2026-11-24T01:02:03.456Z"
          event.dataset: "unknown.unparsed"
          host.name: "web-1"
          message: "hello \"kittens\""
          service.environment: "dev"
    "#]],
    );
    check(
        "[1,2]",
        expect![[r#"
        logs-unknown.unparsed-dev
          @timestamp: "2026-11-24T01:02:03.456Z"
          event.dataset: "unknown.unparsed"
          host.name: "web-1"
          message: "[1,2]"
          service.environment: "dev"
    "#]],
    );
    check(
        r#"{"message":"ends too ear"#,
        expect![[r#"
        logs-unknown.unparsed-dev
          @timestamp: "2026-11-24T01:02:03.456Z"
          event.dataset: "unknown.unparsed"
          host.name: "web-1"
          message: "{\"message\":\"ends too ear"
          service.environment: "dev"
    "#]],
    );
    check(
        &format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000))[..100],
        expect![[r#"
        logs-unknown.unparsed-dev
          @timestamp: "2026-11-24T01:02:03.456Z"
          event.dataset: "unknown.unparsed"
          host.name: "web-1"
          message: "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
          service.environment: "dev"
    "#]],
    );
    let broken = records(b"{\"message\":\"caf\xe9\"}");
    assert!(String::from_utf8(broken[0].1.clone()).unwrap().contains("caf\u{fffd}"));
    assert_eq!(broken[0].0, "logs-unknown.app-dev");
}

#[test]
fn shapes_that_elasticsearch_would_refuse_are_changed() {
    check(
        r#"{"host":"a","host.name":"b","service":{"name":"s"},"error":false,"user":7,"foo":1,"foo.bar":2,"message":{"a":1},"labels":{"n":1},"@timestamp":"soon","event":"start","source.ip":"not an address"}"#,
        expect![[r#"
            logs-s.app-dev
              @timestamp: "2026-11-24T01:02:03.456Z"
              error.message: false
              event.action: "start"
              event.dataset: "s.app"
              foo.value: 1
              labels: {"n":"1"}
              labels.host: "a"
              labels.timestamp: "soon"
              message: "{\"a\":1}"
              service.environment: "dev"
              source.address: "not an address"
              user.name: 7
              error moved
              event moved
              foo moved
              host moved
              source.ip moved
              user moved
        "#]],
    );
    check(
        r#"{"a":1,"a":2,"":3,"service.name":null,"@timestamp":null}"#,
        expect![[r#"
        logs-unknown.app-dev
          @timestamp: "2026-11-24T01:02:03.456Z"
          event.dataset: "unknown.app"
          host.name: "web-1"
          labels._: 3
          service.environment: "dev"
           moved
    "#]],
    );
}

#[test]
fn kinds_are_told_apart() {
    for (line, stream) in [
        (r#"{"service.name":"s","event.category":["authentication"]}"#, "logs-s.audit-dev"),
        (r#"{"service.name":"s","error.type":"panic"}"#, "logs-s.panic-dev"),
        (r#"{"service.name":"s","handler":"panic"}"#, "logs-s.panic-dev"),
        (r#"{"service.name":"s","event.dataset":"s.audit"}"#, "logs-s.audit-dev"),
        (r#"{"service.name":"s","env":"PROD"}"#, "logs-s.app-prod"),
        (r#"{"service":{"name":"s","environment":"staging"}}"#, "logs-s.app-staging"),
    ] {
        assert_eq!(records(line.as_bytes())[0].0, stream, "{line}");
    }
}

#[test]
fn several_objects_on_a_line_and_text_behind_them() {
    let all = records(br#"{"message":"a"} {"message":"b"}tail"#);
    let streams: Vec<_> = all.iter().map(|(stream, _)| stream.as_str()).collect();
    assert_eq!(streams, ["logs-unknown.app-dev", "logs-unknown.app-dev", "logs-unknown.unparsed-dev"]);
}

/// Python's syslog handler ends its messages with a NUL, which became part of the text.
#[test]
fn an_end_in_the_manner_of_c_is_no_part_of_a_line() {
    for (line, message) in
        [("<11>it failed\0", "it failed"), ("plain \0\r\n", "plain"), ("{\"message\":\"x\"}\0", "x")]
    {
        let [(_, document)] = &records(line.as_bytes())[..] else { panic!("{line:?} is one record") };
        let record: Value = serde_json::from_slice(document).unwrap();
        assert_eq!(record["message"], message, "{line:?}");
    }
    assert!(records(b"\0\0").is_empty());
}

#[test]
fn secrets_do_not_get_through_on_any_road() {
    for line in [
        r#"{"message":"x","password":"hunter2"}"#,
        r#"{"a":1,"a":2,"headers":{"authorization":"hunter2"}}"#,
        "plain password=hunter2",
        "<34>Nov 24 01:02:00 h app: token=hunter2",
    ] {
        let document = String::from_utf8(records(line.as_bytes())[0].1.clone()).unwrap();
        assert!(document.contains("[redacted]") && !document.contains("hunter2"), "{document}");
    }
}

mod properties {
    use super::records;
    use proptest::prelude::*;
    use serde_json::Value;

    fn key() -> impl Strategy<Value = String> {
        let known = prop::sample::select(
            crate::logs::fields::FIELDS.iter().map(|field| field.key.to_owned()).collect::<Vec<_>>(),
        );
        // A key that has to be escaped is always odd, also in its best form.
        prop_oneof![3 => known, 1 => "[a-z.]{0,6}", 1 => "\\PC{0,4}"]
            .prop_filter("needs no escape", |key| !key.contains(['"', '\\']))
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            Just(Value::from("info")),
            Just(Value::from("2026-11-24T01:02:03Z")),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map(key(), inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever a client sends, the record is one JSON object on one line in which no key stands twice.
        #[test]
        fn every_record_can_be_indexed(members in prop::collection::vec((key(), value()), 0..12)) {
            let mut line = String::from("{");
            for (n, (key, value)) in members.iter().enumerate() {
                if n > 0 {
                    line.push(',');
                }
                line.push_str(&format!("{}:{value}", Value::from(key.as_str())));
            }
            line.push('}');
            let all = records(line.as_bytes());
            prop_assert_eq!(all.len(), 1, "{}", line);
            let document = &all[0].1;
            prop_assert!(!document.contains(&b'\n'));
            let mut scan = crate::logs::scan::Scan::default();
            let end = scan.object(document, 0);
            prop_assert_eq!(end, Ok(document.len()), "{}", String::from_utf8_lossy(document));
            prop_assert!(!scan.odd, "{}\n{}", line, String::from_utf8_lossy(document));
            let record: Value = serde_json::from_slice(document).unwrap();
            prop_assert!(crate::logs::timestamp::is_canonical(
                record["@timestamp"].as_str().unwrap_or_default().as_bytes()
            ), "{}", String::from_utf8_lossy(document));
        }

        /// A line that was written in another way means the same.
        #[test]
        fn blanks_and_escapes_change_nothing(members in prop::collection::btree_map(key(), value(), 0..8)) {
            let value = Value::Object(members.into_iter().collect());
            let tight = serde_json::to_string(&value).unwrap();
            let loose = serde_json::to_string_pretty(&value).unwrap().replace('\n', " ");
            let read = |line: &str| -> Vec<(String, Value)> {
                records(line.as_bytes())
                    .into_iter()
                    .map(|(stream, document)| (stream, serde_json::from_slice(&document).unwrap()))
                    .collect()
            };
            prop_assert_eq!(read(&tight).len(), read(&loose).len());
            prop_assert_eq!(&read(&tight)[0].0, &read(&loose)[0].0);
        }

        #[test]
        fn no_bytes_break_it(line in prop::collection::vec(any::<u8>(), 0..80)) {
            for (_, document) in records(&line) {
                prop_assert!(serde_json::from_slice::<Value>(&document).is_ok());
            }
        }
    }
}
