//! Requests in, Zipkin's answers out, over a real store.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::export::Entry;
use crate::store::api::Api;
use crate::store::events::{EventStore, Events};
use crate::store::settings::Settings;
use crate::units::Bytes;

const NOW: i64 = 1_763_985_600_000;

fn span(
    trace: u8,
    id: &str,
    parent: Option<&str>,
    service: &str,
    name: &str,
    at_us: i64,
    us: i64,
    tags: Value,
) -> Value {
    let mut span = json!({
        "traceId": format!("{trace:032x}"), "id": id, "name": name, "kind": "SERVER", "timestamp": at_us, "duration": us,
        "localEndpoint": {"serviceName": service}, "tags": tags,
    });
    if let Some(parent) = parent {
        span["parentId"] = parent.into();
    }
    span
}

struct Served {
    router: axum::Router,
    _dir: tempfile::TempDir,
}

fn served() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { min_free: Bytes(0), ..Settings::default() };
    let events = Events::open_at(dir.path(), &settings, std::sync::Arc::new(|| NOW)).unwrap();
    let us = NOW * 1000;
    let spans = [
        span(
            1,
            "a1",
            None,
            "Web",
            "GET /kittens",
            us - 3_000_000,
            250_000,
            json!({"http.method": "GET", "error": "boom"}),
        ),
        span(
            1,
            "a2",
            Some("a1"),
            "kittenserver",
            "list",
            us - 2_900_000,
            200_000,
            json!({"group": "handlers"}),
        ),
        span(2, "b1", None, "web", "get /health", us - 1_000_000, 1_000, json!({"http.method": "GET"})),
        span(3, "c1", None, "web", "get /old", us - 90_000_000_000, 1_000, json!({})),
    ];
    let batch: Vec<Entry> = spans
        .iter()
        .zip(1..)
        .map(|(span, seq)| Entry { seq, payload: bytes::Bytes::from(span.to_string()) })
        .collect();
    events.spans.append(&batch);
    Served { router: super::router(Api::new(events)), _dir: dir }
}

impl Served {
    async fn get(&self, path: &str) -> (u16, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        (status, body)
    }

    async fn traces(&self, query: &str) -> Vec<String> {
        let (status, body) = self.get(&format!("/api/v2/traces?{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        body.as_array()
            .unwrap()
            .iter()
            .map(|t| t[0]["traceId"].as_str().unwrap().trim_start_matches('0').to_owned())
            .collect()
    }
}

#[tokio::test]
async fn names_are_listed_in_lower_case_and_order() {
    let served = served();
    assert_eq!(served.get("/api/v2/services").await, (200, json!(["kittenserver", "web"])));
    assert_eq!(
        served.get("/api/v2/spans?serviceName=WEB").await,
        (200, json!(["get /health", "get /kittens", "get /old"]))
    );
    assert_eq!(served.get("/api/v2/spans").await.0, 400);
    assert_eq!(served.get("/api/v2/remoteServices?serviceName=web").await, (200, json!([])));
    assert_eq!(served.get("/api/v2/autocompleteKeys").await, (200, json!(["error", "group", "http.method"])));
    assert_eq!(served.get("/api/v2/autocompleteValues?key=group").await, (200, json!(["handlers"])));
    assert_eq!(served.get("/zipkin/api/v2/services").await.0, 200);
    assert_eq!(served.get("/zipkin/config.json").await.1["searchEnabled"], true);
}

#[tokio::test]
async fn traces_are_found_by_each_criterion_newest_first() {
    let served = served();
    for (query, expected) in [
        ("", vec!["2", "1"]),
        ("lookback=900000000", vec!["2", "1", "3"]),
        ("limit=1", vec!["2"]),
        ("serviceName=web", vec!["2", "1"]),
        ("serviceName=kittenserver", vec!["1"]),
        ("serviceName=web&spanName=get+/kittens", vec!["1"]),
        ("minDuration=100000", vec!["1"]),
        ("minDuration=500&maxDuration=2000", vec!["2"]),
        ("annotationQuery=error", vec!["1"]),
        ("annotationQuery=http.method%3DGET+and+error%3Dboom", vec!["1"]),
        ("annotationQuery=http.method%3DPOST", vec![]),
        ("endTs=1763985597500", vec!["1"]),
    ] {
        assert_eq!(served.traces(query).await, expected, "{query}");
    }
    assert_eq!(served.get("/api/v2/traces?maxDuration=5").await.0, 400);
    assert_eq!(served.get("/api/v2/traces?limit=none").await.0, 400);
}

#[tokio::test]
async fn a_trace_is_whole_in_order_and_found_by_any_spelling_of_its_id() {
    let served = served();
    let (status, trace) = served.get("/api/v2/trace/1").await;
    assert_eq!(status, 200);
    let ids: Vec<&str> = trace.as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a1", "a2"]);
    assert_eq!(served.get("/api/v2/trace/0000000000000000000000000000000A").await.0, 404);
    assert_eq!(served.get("/api/v2/trace/xyz").await.0, 400);
    let (_, many) = served.get("/api/v2/traceMany?traceIds=1,2,9").await;
    assert_eq!(many.as_array().unwrap().len(), 2);
    assert_eq!(served.get("/api/v2/traceMany?traceIds=").await.0, 400);
}

#[tokio::test]
async fn dependencies_count_calls_between_services() {
    let served = served();
    let (_, links) = served.get(&format!("/api/v2/dependencies?endTs={NOW}")).await;
    assert_eq!(links, json!([{"parent": "Web", "child": "kittenserver", "callCount": 1}]));
    assert_eq!(served.get("/api/v2/dependencies").await.0, 400);
}
