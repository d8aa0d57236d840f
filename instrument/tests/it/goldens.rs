//! One request, and every byte that it makes the service send.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::{Router, routing::post};
use expect_test::expect;
use sightline_instrument::testing::Capture;
use sightline_instrument::{annotate, timed};
use std::time::Duration;
use tower::ServiceExt;

#[tokio::test]
async fn a_request_emits_metrics_a_record_and_spans_under_one_id() {
    let capture = Capture::new("kittenserver");
    let clock = std::sync::Arc::new(capture);
    let inside = clock.clone();
    let app = Router::new().route(
        "/users/{id}",
        post(move || async move {
            timed("sqlite", "select_user", async {
                inside.advance(Duration::from_micros(750));
                Ok::<_, std::fmt::Error>(())
            })
            .await
            .unwrap();
            annotate("kittens", 3);
            tracing::info!(kitten = "Felix", weight = 1230, token = "abc", "found \"it\"");
            inside.advance(Duration::from_micros(250));
            "Hello Nic"
        }),
    );
    let app = app.layer(clock.service().layer());
    let request = Request::post("/users/7?page=2&token=abc")
        .header("host", "kittens.example:8080")
        .header("x-request-id", "req-1")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .header("authorization", "Bearer secret")
        .body(Body::empty())
        .unwrap();
    let answer = clock.run(app.oneshot(request)).await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "req-1");
    let body = clock.run(to_bytes(Body::new(answer.into_body()), 100)).await.unwrap();
    assert_eq!(body, "Hello Nic");

    expect![[r##"
        kittenserver.handlers.users_id.called:1|c|#environment:test,host:testhost
        kittenserver.handlers.users_id.failed:0|c|#environment:test,host:testhost
        kittenserver.handlers.users_id.panic:0|c|#environment:test,host:testhost
        kittenserver.handlers.users_id.success:1|c|#environment:test,host:testhost
        kittenserver.handlers.users_id.timing:1|ms|#environment:test,host:testhost
        kittenserver.sqlite.select_user.called:1|c|#environment:test,host:testhost
        kittenserver.sqlite.select_user.failed:0|c|#environment:test,host:testhost
        kittenserver.sqlite.select_user.panic:0|c|#environment:test,host:testhost
        kittenserver.sqlite.select_user.success:1|c|#environment:test,host:testhost
        kittenserver.sqlite.select_user.timing:0.75|ms|#environment:test,host:testhost"##]]
    .assert_eq(&clock.metrics().join("\n"));

    let logs: Vec<String> = clock.logs().iter().map(|r| serde_json::to_string_pretty(r).unwrap()).collect();
    expect![[r#"
        {
          "@timestamp": "2026-01-02T03:04:05.000750Z",
          "event.dataset": "kittenserver.app",
          "handler": "users_id",
          "host.name": "testhost",
          "http.request.id": "req-1",
          "labels.kitten": "Felix",
          "labels.token": "[redacted]",
          "labels.weight": 1230,
          "log.level": "info",
          "log.logger": "it::goldens",
          "log.origin.file.line": 27,
          "log.origin.file.name": "instrument/tests/it/goldens.rs",
          "message": "found \"it\"",
          "method": "POST",
          "request_id": "req-1",
          "service.environment": "test",
          "service.name": "kittenserver",
          "service.version": "unknown",
          "span.id": "0000000000000001",
          "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736"
        }
        {
          "@timestamp": "2026-01-02T03:04:05.001000Z",
          "event.category": "web",
          "event.dataset": "kittenserver.app",
          "event.duration": 1000000,
          "event.outcome": "success",
          "handler": "users_id",
          "host.name": "testhost",
          "http.request.id": "req-1",
          "http.request.method": "POST",
          "http.response.body.bytes": 9,
          "http.response.status_code": 200,
          "labels.kittens": "3",
          "log.level": "info",
          "message": "POST /users/7 200 1ms {\"Method\":\"POST\",\"Host\":\"kittens.example:8080\",\"Path\":\"/users/7\",\"Query\":\"page=2&token=[redacted]\",\"Headers\":{\"x-request-id\":\"req-1\",\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\",\"authorization\":\"[redacted]\"}}",
          "method": "POST",
          "request_id": "req-1",
          "service.environment": "test",
          "service.name": "kittenserver",
          "service.version": "unknown",
          "span.id": "0000000000000001",
          "status": 200,
          "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736",
          "url.path": "/users/7",
          "url.query": "page=2&token=[redacted]"
        }"#]].assert_eq(&logs.join("\n"));
    let spans: Vec<String> = clock.spans().iter().map(|s| format!("{s:#?}")).collect();
    expect![[r#"
        Span {
            name: "sqlite select_user",
            kind: "client",
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
            span_id: "0000000000000002",
            parent_id: Some(
                "0000000000000001",
            ),
            error: None,
            attributes: {
                "group": "sqlite",
                "http.request.id": "req-1",
                "segment": "select_user",
                "service": "kittenserver",
            },
        }
        Span {
            name: "POST /users/{id}",
            kind: "server",
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
            span_id: "0000000000000001",
            parent_id: Some(
                "00f067aa0ba902b7",
            ),
            error: None,
            attributes: {
                "group": "handlers",
                "http.request.id": "req-1",
                "http.request.method": "POST",
                "http.response.body.size": "9",
                "http.response.status_code": "200",
                "http.route": "/users/{id}",
                "network.protocol.version": "1.1",
                "segment": "users_id",
                "server.address": "kittens.example",
                "server.port": "8080",
                "service": "kittenserver",
                "url.path": "/users/7",
                "url.query": "page=2&token=[redacted]",
                "url.scheme": "http",
            },
        }"#]]
    .assert_eq(&spans.join("\n"));
}
