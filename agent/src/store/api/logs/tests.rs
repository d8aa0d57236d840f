//! The page's own endpoints over a real store: tail, neighbours, download, side bar, panics, services.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::export::Entry;
use crate::logs::envelope::Envelope;
use crate::store::events::{EventStore, Events};
use crate::store::settings::Settings;
use crate::units::Bytes;

const NOW: i64 = 1_763_985_600_000; // 2025-11-24T12:00:00Z

struct Served {
    router: axum::Router,
    events: Arc<Events>,
    _dir: tempfile::TempDir,
}

fn log(seq: u64, stream: &str, document: &Value) -> Entry {
    let (id, text) = (format!("r{seq}"), document.to_string());
    let mut payload = Vec::new();
    Envelope { stream, id: &id, document: text.as_bytes() }.encode(&mut payload);
    Entry { seq, payload: bytes::Bytes::from(payload) }
}

fn at(seconds_ago: i64) -> String {
    super::super::elasticsearch::aggs::iso(NOW - seconds_ago * 1000)
}

fn served(batch: &[Entry]) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { min_free: Bytes(0), ..Settings::default() };
    let events = Events::open_at(dir.path(), &settings, Arc::new(|| NOW)).unwrap();
    events.logs.append(batch);
    Served { router: crate::store::api::router(Arc::clone(&events)), events, _dir: dir }
}

impl Served {
    async fn text(&self, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 8 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, text) = self.text(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

fn lines(count: u64) -> Vec<Entry> {
    (1..=count)
        .map(|n| {
            let service = if n % 2 == 0 { "web" } else { "kittenserver" };
            let level = if n % 5 == 0 { "error" } else { "info" };
            log(n, "logs-x.app-prod", &json!({"@timestamp": at((count - n) as i64 / 2), "message": format!("line {n}"),
                "service": {"name": service, "version": "1.0"}, "log": {"level": level}, "status": 200 + n % 2}))
        })
        .collect()
}

#[tokio::test]
async fn neighbours_are_of_the_same_service_in_order() {
    let served = served(&lines(40));
    let found = served.get("/api/logs/surrounding?id=r20&size=3").await;
    let ids = |side: &str| -> Vec<&str> {
        found[side].as_array().unwrap().iter().map(|h| h["_id"].as_str().unwrap()).collect()
    };
    assert_eq!(ids("before"), ["r14", "r16", "r18"]);
    assert_eq!(found["record"]["_id"], "r20");
    assert_eq!(ids("after"), ["r22", "r24", "r26"]);
    let all = served.get("/api/logs/surrounding?id=r20&size=1&by=all").await;
    assert_eq!((&all["before"][0]["_id"], &all["after"][0]["_id"]), (&json!("r19"), &json!("r21")));
    assert_eq!(served.text("/api/logs/surrounding?id=none").await.0, 404);
    assert_eq!(served.text("/api/logs/surrounding").await.0, 400);
}

#[tokio::test]
async fn a_download_holds_every_record_once() {
    let served = served(&lines(2500));
    let (_, text) = served.text("/api/logs/export?q=line&order=asc").await;
    let messages: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(messages, (1..=2500).map(|n| format!("line {n}")).collect::<Vec<_>>());
    let (_, csv) =
        served.text("/api/logs/export?q=level:error&format=csv&fields=service.name,message&limit=2").await;
    assert_eq!(csv, "service.name,message\r\nweb,line 2500\r\nkittenserver,line 2495\r\n");
    let (status, error) = served.text("/api/logs/export?q=a+AND").await;
    assert_eq!(status, 400);
    assert_eq!(serde_json::from_str::<Value>(&error).unwrap()["at"], 5);
}

#[tokio::test]
async fn the_side_bar_counts_values() {
    let served = served(&lines(40));
    let found = served.get("/api/logs/fields?q=level:error").await;
    assert_eq!(found["total"], 8);
    let of =
        |name: &str| found["fields"].as_array().unwrap().iter().find(|f| f["name"] == name).cloned().unwrap();
    assert_eq!(of("log.level")["values"], json!([{"value": "error", "count": 8}]));
    assert_eq!(of("service.name")["count"], 8);
    assert_eq!(of("status")["type"], "long");
    let named = served.get("/api/logs/fields?fields=service.version,nothing").await;
    assert_eq!(named["fields"][0]["values"][0], json!({"value": "1.0", "count": 40}));
    assert_eq!(named["fields"][1]["count"], 0);
}

#[tokio::test]
async fn a_tail_sends_what_arrives_and_matches() {
    let served = served(&lines(4));
    let request = Request::get("/api/logs/tail?q=level:error").body(Body::empty()).unwrap();
    let response = served.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    served.events.logs.append(&[
        log(
            5,
            "logs-x.app-prod",
            &json!({"@timestamp": at(0), "message": "quiet", "log": {"level": "info"}}),
        ),
        log(
            6,
            "logs-x.app-prod",
            &json!({"@timestamp": at(900), "message": "late but new", "log": {"level": "error"}}),
        ),
    ]);
    let chunk = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap().unwrap().unwrap();
    let text = String::from_utf8_lossy(&chunk).into_owned();
    assert!(
        text.contains("event: record") && text.contains("late but new") && text.contains("id: 5"),
        "{text}"
    );
    drop(stream);
    // A client that reconnects gets what it missed.
    served.events.logs.append(&[log(
        7,
        "logs-x.app-prod",
        &json!({"message": "missed", "log": {"level": "error"}}),
    )]);
    let request = Request::get("/api/logs/tail?q=level:error")
        .header("last-event-id", "5")
        .body(Body::empty())
        .unwrap();
    let mut stream = served.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    let chunk = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap().unwrap().unwrap();
    let text = String::from_utf8_lossy(&chunk).into_owned();
    assert!(text.contains("missed") && !text.contains("late but new"), "{text}");
    assert_eq!(served.text("/api/logs/tail?q=(").await.0, 400);
}

fn panic(seq: u64, days_ago: i64, version: &str, fingerprint: Option<&str>) -> Entry {
    let mut document = json!({"@timestamp": at(days_ago * 86_400 + 60), "message": "Error: index out of bounds",
        "service": {"name": "kittenserver", "version": version}, "handler": "panic", "status": 500,
        "error": {"type": "panic", "message": "index out of bounds", "stack_trace": "at kittens.rs:7"},
        "trace": {"id": "0af7651916cd43dd8448eb211c80319c"}, "http.request.id": format!("req-{seq}")});
    if let Some(fingerprint) = fingerprint {
        document["error"]["fingerprint"] = fingerprint.into();
    }
    log(seq, "logs-kittenserver.panic-prod", &document)
}

#[tokio::test]
async fn panics_are_grouped_with_their_history_and_a_sample() {
    let served = served(&[
        panic(1, 20, "1.0", Some("aa")),
        panic(2, 2, "1.1", Some("aa")),
        panic(3, 1, "1.1", Some("aa")),
        panic(4, 1, "1.1", Some("bb")),
        panic(5, 0, "1.1", None),
        log(6, "logs-x.app-prod", &json!({"message": "no panic"})),
    ]);
    let found = served.get("/api/panics").await;
    assert_eq!(found["total"], 4);
    let groups = found["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 3);
    let first = &groups[0];
    assert_eq!((&first["fingerprint"], &first["count"]), (&json!("aa"), &json!(2)));
    assert_eq!(first["first_seen"], NOW - (20 * 86_400 + 60) * 1000, "beyond the range asked for");
    assert_eq!(first["last_seen"], NOW - (86_400 + 60) * 1000);
    assert_eq!(first["versions"], json!([{"name": "1.1", "count": 2}]));
    assert_eq!(first["trend"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&first["message"], &first["sample"]["stack"], &first["sample"]["request_id"]),
        (&json!("index out of bounds"), &json!("at kittens.rs:7"), &json!("req-3"))
    );
    assert!(groups.iter().any(|group| group["fingerprint"] == "unknown"));
    assert_eq!(served.get("/api/panics?service=web").await["groups"], json!([]));
    assert_eq!(served.get("/api/panics?fingerprint=bb").await["total"], 1);
    assert_eq!(served.get("/api/panics?from=now-30d").await["total"], 5);
    assert_eq!(served.text("/api/panics?from=now&to=now-1d").await.0, 400);
}

#[tokio::test]
async fn services_join_what_logs_and_spans_know() {
    let mut batch = lines(20);
    batch.push(panic(21, 0, "2.0", Some("aa")));
    let served = served(&batch);
    let span = json!({"traceId": "1", "id": "2", "timestamp": NOW * 1000 - 5, "duration": 1000,
        "localEndpoint": {"serviceName": "kittenserver"}, "tags": {"error": "x"}});
    served.events.spans.append(&[Entry { seq: 1, payload: bytes::Bytes::from(span.to_string()) }]);
    let found = served.get("/api/services").await;
    let services = found["services"].as_array().unwrap();
    assert_eq!(
        services.iter().map(|s| s["service"].as_str().unwrap()).collect::<Vec<_>>(),
        ["kittenserver", "web"]
    );
    assert_eq!(services[0]["logs"]["panics"], 1);
    assert_eq!(services[0]["versions"], json!(["1.0", "2.0"]));
    assert_eq!((&services[0]["spans"]["count"], &services[0]["spans"]["errors"]), (&json!(1), &json!(1)));
    assert_eq!(services[1]["logs"], json!({"count": 10, "errors": 2, "warnings": 0, "panics": 0}));
    let stats = served.get("/api/store/stats").await;
    assert_eq!(
        (&stats["logs"]["records"], &stats["spans"]["records"], &stats["logs"]["parts"]),
        (&json!(21), &json!(1), &json!(1))
    );
    assert!(stats["disk"]["free_bytes"].as_u64().unwrap() > 0);
}
