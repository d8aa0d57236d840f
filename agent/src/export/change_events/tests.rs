//! Change events against a strict stand-in for PagerDuty's `/v2/change/enqueue`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Form, Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{PATH, Settings, start};
use crate::metrics::Registry;
use crate::units::Span;

const KEY: &str = "0123456789abcdef0123456789abcdef";

#[derive(Default)]
struct Held {
    /// Answers given before it takes events.
    first: Vec<StatusCode>,
    taken: Vec<Value>,
    faults: Vec<String>,
    /// What Prometheus says.
    runs: Option<Vec<&'static str>>,
    /// How often it was asked while it could not.
    ill: usize,
}

type Shared = Arc<Mutex<Held>>;

/// What PagerDuty refuses, from its description of change events.
fn faults(headers: &HeaderMap, body: &Value) -> Vec<String> {
    let mut bad = Vec::new();
    let only = |value: &Value, known: &[&str]| -> Vec<String> {
        let keys = value.as_object().into_iter().flat_map(|map| map.keys());
        keys.filter(|key| !known.contains(&key.as_str())).map(|key| format!("unknown field {key}")).collect()
    };
    bad.extend(only(body, &["routing_key", "payload", "links", "images"]));
    let payload = &body["payload"];
    bad.extend(only(payload, &["summary", "source", "timestamp", "custom_details"]));
    if headers.get("content-type").is_none_or(|kind| kind != "application/json") {
        bad.push("content type".to_owned());
    }
    if body["routing_key"] != KEY {
        bad.push("routing_key".to_owned());
    }
    if payload["summary"].as_str().is_none_or(|text| text.is_empty() || text.chars().count() > 1_024) {
        bad.push("payload.summary".to_owned());
    }
    let stamp = payload["timestamp"].as_str().unwrap_or_default();
    if crate::logs::timestamp::parse(stamp.as_bytes(), 0).is_none() {
        bad.push(format!("payload.timestamp {stamp}"));
    }
    for link in body["links"].as_array().into_iter().flatten() {
        if !link["href"].as_str().is_some_and(|href| href.starts_with("http")) {
            bad.push("links.href".to_owned());
        }
    }
    bad
}

async fn take(State(held): State<Shared>, headers: HeaderMap, body: String) -> StatusCode {
    let mut held = held.lock();
    if let Some(status) = held.first.pop() {
        return status;
    }
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let bad = faults(&headers, &body);
    held.faults.extend(bad.iter().cloned());
    if !bad.is_empty() {
        return StatusCode::BAD_REQUEST;
    }
    held.taken.push(body);
    StatusCode::ACCEPTED
}

/// Prometheus, of a shop that runs the versions in `runs`; `None` is one that is ill.
async fn answer(
    State(held): State<Shared>,
    Form(form): Form<Vec<(String, String)>>,
) -> (StatusCode, Json<Value>) {
    let mut held = held.lock();
    if form != [("query".to_owned(), super::versions::QUERY.to_owned())] {
        held.faults.push(format!("{form:?}"));
    }
    let Some(runs) = &held.runs else {
        held.ill += 1;
        return (StatusCode::SERVICE_UNAVAILABLE, Json(Value::Null));
    };
    let series = |version: &&str| json!({"metric": {"environment": "prod", "service": "shop", "version": version}, "value": [1, "3"]});
    let result: Vec<Value> = runs.iter().map(series).collect();
    (StatusCode::OK, Json(json!({"status": "success", "data": {"resultType": "vector", "result": result}})))
}

/// Both of them.
async fn pagerduty() -> (String, Shared) {
    let held = Shared::default();
    let router =
        Router::new().route(PATH, post(take)).route("/api/v1/query", post(answer)).with_state(held.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, held)
}

fn shows(registry: &Registry, version: &str) {
    let line = format!("shop.process.build.info:1|g|#environment:prod,host:a,version:{version}");
    let mut batch = crate::metrics::tally::Batch::default();
    registry.ingest(line.as_bytes(), 1, &mut batch);
}

async fn until(what: &str, held: &Shared, mut probe: impl FnMut(&Held) -> bool) {
    for _ in 0..300 {
        if probe(&held.lock()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: taken {:?}, refused {:?}", held.lock().taken, held.lock().faults);
}

/// An empty registry, and a folder with the key in it.
fn ground() -> (Arc<Registry>, tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, format!("{KEY}\n")).unwrap();
    let rules = crate::metrics::naming::source::Source::from(&crate::metrics::Settings::default());
    let registry = Arc::new(Registry::new(&crate::metrics::Settings::default(), rules.read().unwrap(), &[]));
    (registry, dir, key)
}

/// Of many agents one speaks for all, by what Prometheus saw of each: a deploy is one event, and so is the way back.
#[tokio::test]
async fn one_agent_tells_of_all_by_prometheus() {
    let (url, held) = pagerduty().await;
    held.lock().runs = Some(vec!["1.0.0"]);
    let (registry, dir, key) = ground();
    // What the agent itself receives does not count beside it.
    shows(&registry, "0.0.1");
    let settings = Settings {
        routing_key_file: Some(key),
        url: url.clone(),
        prometheus: Some(url),
        interval: Span(Duration::from_millis(100)),
        link: None,
    };
    let teller = start(&settings, &registry, dir.path()).unwrap().unwrap();
    let file = dir.path().join("versions.json");
    until("the first sight is kept", &held, |_| file.exists()).await;
    held.lock().runs = Some(vec!["1.0.0", "1.1.0"]);
    until("the deploy", &held, |held| held.taken.len() == 1).await;
    held.lock().runs = Some(vec!["1.1.0"]);
    let whole = |text: &str| text.contains("1.1.0") && !text.contains("1.0.0");
    until("the old version is gone", &held, |_| whole(&std::fs::read_to_string(&file).unwrap())).await;
    held.lock().runs = None;
    until("it is asked while it is ill", &held, |held| held.ill > 0).await;
    held.lock().runs = Some(vec!["1.1.0", "1.0.0"]);
    until("the way back", &held, |held| held.taken.len() == 2).await;
    let summaries: Vec<Value> =
        held.lock().taken.iter().map(|event| event["payload"]["summary"].clone()).collect();
    assert_eq!(summaries, ["shop 1.1.0 in prod (was 1.0.0)", "shop 1.0.0 in prod (was 1.1.0)"]);
    assert_eq!(held.lock().faults, [""; 0]);
    teller.abort();
}

/// The same by what one agent receives: a version that was replaced ends, and so may be announced again.
#[test]
fn going_back_is_news_to_the_registry_too() {
    let (registry, _dir, _) = ground();
    let mut known = super::Versions::default();
    let mut deploys = |version: &str, at: u64| -> Vec<String> {
        let line = format!("shop.process.build.info:1|g|#environment:prod,host:a,version:{version}");
        registry.ingest(line.as_bytes(), at, &mut crate::metrics::tally::Batch::default());
        registry.sweep(at);
        known.learn(super::Versions::of(&registry)).into_iter().map(|deploy| deploy.version).collect()
    };
    assert_eq!(deploys("1.0.0", 1_000), [""; 0]);
    assert_eq!(deploys("1.1.0", 1_060), ["1.1.0"]);
    assert_eq!(deploys("1.1.0", 1_300), [""; 0]);
    assert_eq!(deploys("1.0.0", 1_330), ["1.0.0"]);
}

#[tokio::test]
async fn a_new_version_is_one_change_event_also_after_a_failure() {
    let (url, held) = pagerduty().await;
    held.lock().first = vec![StatusCode::TOO_MANY_REQUESTS];
    let (registry, dir, key) = ground();
    let settings = Settings {
        routing_key_file: Some(key),
        url,
        prometheus: None,
        interval: Span(Duration::from_millis(100)),
        link: Some("http://localhost:3000/d/service?var-service={service}".to_owned()),
    };
    shows(&registry, "1.0.0");
    let teller = start(&settings, &registry, dir.path()).unwrap().unwrap();
    let file = dir.path().join("versions.json");
    until("the first sight is kept", &held, |_| file.exists()).await;
    shows(&registry, "1.1.0");
    until("one event", &held, |held| held.taken.len() == 1).await;
    let event = held.lock().taken[0].clone();
    assert_eq!(event["payload"]["summary"], "shop 1.1.0 in prod (was 1.0.0)");
    assert_eq!(event["links"][0]["href"], "http://localhost:3000/d/service?var-service=shop");
    shows(&registry, "1.2.0");
    until("the next event", &held, |held| held.taken.len() == 2).await;
    assert_eq!(
        held.lock().taken[1]["payload"]["summary"],
        "shop 1.2.0 in prod (was 1.0.0, 1.1.0)",
        "each once"
    );
    assert_eq!(held.lock().faults, [""; 0]);
    teller.abort();
}

#[tokio::test]
async fn without_a_key_nothing_starts() {
    let (registry, _dir, _) = ground();
    assert!(start(&Settings::default(), &registry, std::path::Path::new("/nonexistent")).unwrap().is_none());
}
