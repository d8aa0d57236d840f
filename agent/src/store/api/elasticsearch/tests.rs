//! Bodies in, Elasticsearch's answers out, over a real store.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::export::Entry;
use crate::logs::envelope::Envelope;
use crate::store::api::Api;
use crate::store::events::{EventStore, Events};
use crate::store::settings::Settings;
use crate::units::Bytes;

const NOW: i64 = 1_763_985_600_000; // 2025-11-24T12:00:00Z

struct Served {
    router: axum::Router,
    _dir: tempfile::TempDir,
}

fn served() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { min_free: Bytes(0), part_size: Bytes(1), ..Settings::default() };
    let events = Events::open_at(dir.path(), &settings, std::sync::Arc::new(|| NOW)).unwrap();
    let mut seq = 0;
    // Three parts of ten: one record each ten seconds, levels and durations in turn.
    for part in 0..3 {
        let batch: Vec<Entry> = (0..10)
            .map(|n| {
                seq += 1;
                let at = NOW - (30 - seq as i64) * 10_000;
                let level = ["info", "warn", "error"][seq as usize % 3];
                let document = json!({
                    "@timestamp": super::aggs::iso(at), "message": format!("record {seq} of many"),
                    "log": {"level": level}, "service": {"name": if n < 5 { "web" } else { "kittenserver" }},
                    "status": 200 + (seq % 3) * 100, "event": {"duration": seq * 1000}, "labels": {"part": part},
                });
                let stream = if level == "error" { "logs-web.panic-prod" } else { "logs-web.app-prod" };
                let (id, text) = (format!("r{seq}"), document.to_string());
                let mut payload = Vec::new();
                Envelope { stream, id: &id, document: text.as_bytes() }.encode(&mut payload);
                Entry { seq, payload: bytes::Bytes::from(payload) }
            })
            .collect();
        assert!(events.logs.append(&batch).iter().all(|v| *v == crate::export::Verdict::Done));
    }
    Served { router: super::router(Api::new(events)), _dir: dir }
}

impl Served {
    async fn post(&self, path: &str, body: impl ToString) -> (u16, Value) {
        let request = Request::post(path).body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 4 << 20).await.unwrap();
        (
            status,
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())),
        )
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 4 << 20).await.unwrap();
        (
            status,
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())),
        )
    }

    /// How many records a query object finds, by hits and by total alike.
    async fn total(&self, query: Value) -> u64 {
        let (status, body) = self.post("/logs-*/_search", json!({"query": query, "size": 100})).await;
        assert_eq!(status, 200, "{body}");
        let total = body["hits"]["total"]["value"].as_u64().unwrap();
        assert_eq!(body["hits"]["hits"].as_array().unwrap().len() as u64, total);
        total
    }

    async fn aggs(&self, aggs: Value) -> Value {
        let (status, body) = self.post("/logs-*/_search", json!({"size": 0, "aggs": aggs})).await;
        assert_eq!(status, 200, "{body}");
        body["aggregations"].clone()
    }
}

#[tokio::test]
async fn each_clause_of_the_query_language_selects() {
    let served = served();
    for (query, expected) in [
        (json!({"match_all": {}}), 30),
        (json!({"match_none": {}}), 0),
        (json!({"term": {"log.level": "error"}}), 10),
        (json!({"term": {"status": {"value": 300}}}), 10),
        (json!({"term": {"log.level.keyword": "error"}}), 10),
        (json!({"terms": {"status": [200, "300"]}}), 20),
        (json!({"match": {"message": "record 7"}}), 30),
        (json!({"match": {"message": {"query": "record 7", "operator": "and"}}}), 1),
        (json!({"match_phrase": {"message": "7 of many"}}), 1),
        (json!({"range": {"status": {"gte": 300, "lt": 400}}}), 10),
        (json!({"range": {"@timestamp": {"gte": NOW - 50_000, "format": "epoch_millis"}}}), 6),
        (json!({"exists": {"field": "labels.part"}}), 30),
        (json!({"exists": {"field": "labels.nothing"}}), 0),
        (json!({"prefix": {"service.name": "kit"}}), 15),
        (json!({"wildcard": {"service.name": {"value": "k*r"}}}), 15),
        (json!({"regexp": {"service.name": "w.b"}}), 15),
        (json!({"ids": {"values": ["r1", "r30", "r99"]}}), 2),
        (json!({"query_string": {"query": "level:error AND service:web"}}), 5),
        (json!({"query_string": {"query": "error", "default_field": "log.level"}}), 10),
        (json!({"query_string": {"query": "record 7", "default_operator": "AND"}}), 1),
        (json!({"simple_query_string": {"query": "many)"}}), 30),
        (
            json!({"bool": {"must": [{"term": {"log.level": "error"}}], "must_not": {"term": {"service.name": "web"}}}}),
            5,
        ),
        (json!({"bool": {"should": [{"term": {"_id": "r1"}}, {"term": {"_id": "r2"}}]}}), 2),
        (json!({"bool": {"must": [{"match_all": {}}], "should": [{"term": {"_id": "r1"}}]}}), 30),
        (
            json!({"bool": {"should": [{"term": {"_id": "r1"}}, {"term": {"status": 300}}], "minimum_should_match": 2}}),
            1,
        ),
        (
            json!({"bool": {"filter": [{"range": {"@timestamp": {"gte": "now-1m", "lte": "now"}}}, {"term": {"status": 200}}]}}),
            3,
        ),
        (json!({"constant_score": {"filter": {"term": {"status": 200}}}}), 10),
        (json!({"multi_match": {"query": "many", "fields": ["message", "service.name^2"]}}), 30),
        (json!({"bool": {}}), 30),
    ] {
        assert_eq!(served.total(query.clone()).await, expected, "{query}");
    }
}

#[tokio::test]
async fn refusals_have_the_shape_of_elasticsearch() {
    let served = served();
    for (body, part) in [
        (json!({"query": {"wrong": {}}}), "unknown query [wrong]"),
        (json!({"query": {}}), "empty clause"),
        (json!({"query": {"query_string": {"query": "status:[1 TO"}}}), "at column 13"),
        (json!({"query": {"regexp": {"service.name": "("}}}), "cannot be read"),
        (json!({"query": {"bool": {"shoud": []}}}), "does not support [shoud]"),
        (json!({"size": 10_001}), "Result window is too large"),
        (json!({"aggs": {"x": {"unheard": {"field": "a"}}}}), "Unknown aggregation type [unheard]"),
        (json!({"aggs": {"x": {"terms": {"field": "message"}}}}), "Fielddata is disabled on [message]"),
        (
            json!({"aggs": {"x": {"date_histogram": {"field": "@timestamp", "calendar_interval": "month"}}}}),
            "30d",
        ),
        (json!({"squery": {}}), "unknown key [squery]"),
    ] {
        let (status, answer) = served.post("/_search", &body).await;
        assert_eq!((status, &answer["status"]), (400, &json!(400)), "{body}");
        let reason = answer["error"]["reason"].as_str().unwrap();
        assert!(reason.contains(part), "{body}: {reason}");
        assert_eq!(answer["error"]["root_cause"][0]["reason"], answer["error"]["reason"]);
    }
    assert_eq!(served.post("/kittens/_search", "{}").await.0, 404);
    assert_eq!(served.post("/_search", "{").await.0, 400);
}

#[tokio::test]
async fn hits_are_newest_first_and_pages_follow() {
    let served = served();
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    for _ in 0..5 {
        let mut body = json!({"size": 8, "sort": [{"@timestamp": {"order": "desc"}}], "_source": ["message"], "track_total_hits": false});
        if !after.is_null() {
            body["search_after"] = after.clone();
        }
        let (_, answer) = served.post("/_search", body).await;
        assert!(answer["hits"].get("total").is_none());
        for hit in answer["hits"]["hits"].as_array().unwrap() {
            seen.push(hit["_id"].as_str().unwrap().to_owned());
            assert_eq!(hit["_source"].as_object().unwrap().len(), 1);
            after = hit["sort"].clone();
        }
    }
    let expected: Vec<String> = (1..=30).rev().map(|n| format!("r{n}")).collect();
    assert_eq!(seen, expected);
    let (_, by_number) =
        served.post("/_search", json!({"size": 2, "from": 1, "sort": {"event.duration": "asc"}})).await;
    let hits = &by_number["hits"]["hits"];
    assert_eq!(
        (&hits[0]["_id"], &hits[0]["sort"][0], &hits[1]["_id"]),
        (&json!("r2"), &json!(2000), &json!("r3"))
    );
}

#[tokio::test]
async fn aggregations_agree_with_the_records() {
    let served = served();
    let found = served
        .aggs(json!({
            "over_time": {
                "date_histogram": {"field": "@timestamp", "fixed_interval": "100s", "min_doc_count": 0,
                                   "extended_bounds": {"min": NOW - 400_000, "max": NOW}},
                "aggs": {"levels": {"terms": {"field": "level", "order": {"_key": "asc"}}}}
            },
            "services": {"terms": {"field": "service.name"}, "aggs": {"slowest": {"max": {"field": "event.duration"}}}},
            "statuses": {"terms": {"field": "status"}},
            "p": {"percentiles": {"field": "event.duration", "percents": [50]}},
            "n": {"value_count": {"field": "status"}}, "c": {"cardinality": {"field": "service.name"}},
            "low": {"min": {"field": "@timestamp"}}, "mean": {"avg": {"field": "status"}}, "s": {"sum": {"field": "status"}}
        }))
        .await;
    let buckets = found["over_time"]["buckets"].as_array().unwrap();
    assert_eq!(buckets.iter().map(|b| b["doc_count"].as_u64().unwrap()).sum::<u64>(), 30);
    assert_eq!(buckets[0]["key"].as_i64().unwrap() % 100_000, 0);
    assert!(buckets[0]["key_as_string"].as_str().unwrap().ends_with(".000Z"));
    assert!(buckets.len() >= 5, "the axis reaches over the empty time before the records: {buckets:?}");
    assert_eq!(buckets[3]["levels"]["buckets"][0]["key"], "error");
    assert_eq!(found["services"]["buckets"][0]["doc_count"], 15);
    let web = found["services"]["buckets"].as_array().unwrap().iter().find(|b| b["key"] == "web").unwrap();
    assert_eq!(web["slowest"]["value"], 25_000);
    assert_eq!(found["statuses"]["buckets"].as_array().unwrap().len(), 3);
    assert!(found["statuses"]["buckets"][0]["key"].is_i64());
    assert_eq!(
        (&found["n"]["value"], &found["c"]["value"], &found["mean"]["value"], &found["s"]["value"]),
        (&json!(30), &json!(2), &json!(300), &json!(9000))
    );
    assert_eq!(found["low"]["value"], NOW - 290_000);
    let median = found["p"]["values"]["50.0"].as_f64().unwrap();
    assert!((14_000.0..=17_000.0).contains(&median), "{median}");
}

#[tokio::test]
async fn filters_and_top_hits_work_at_any_depth() {
    let served = served();
    let found = served
        .aggs(json!({
            "bad": {"filter": {"term": {"log.level": "error"}}, "aggs": {"of": {"terms": {"field": "service.name"}}}},
            "two": {"filters": {"filters": {"web": {"term": {"service.name": "web"}}, "rest": {"bool": {"must_not": [{"term": {"service.name": "web"}}]}}}}},
            "none": {"missing": {"field": "nothing"}},
            "newest": {"terms": {"field": "service.name", "order": {"_key": "asc"}}, "aggs": {"last": {"top_hits": {"size": 1, "_source": false}}, "n": {"max": {"field": "status"}}}}
        }))
        .await;
    assert_eq!(
        (&found["bad"]["doc_count"], &found["bad"]["of"]["buckets"][0]["doc_count"]),
        (&json!(10), &json!(5))
    );
    assert_eq!(
        (&found["two"]["buckets"]["web"]["doc_count"], &found["two"]["buckets"]["rest"]["doc_count"]),
        (&json!(15), &json!(15))
    );
    assert_eq!(found["none"]["doc_count"], 30);
    let newest = &found["newest"]["buckets"];
    assert_eq!(
        (&newest[0]["key"], &newest[0]["last"]["hits"]["hits"][0]["_id"]),
        (&json!("kittenserver"), &json!("r30"))
    );
    assert_eq!(
        (&newest[1]["last"]["hits"]["hits"][0]["_id"], &newest[1]["n"]["value"]),
        (&json!("r25"), &json!(400))
    );
}

#[tokio::test]
async fn an_empty_range_still_names_every_aggregation() {
    let served = served();
    let (_, body) = served
        .post("/_search", json!({"size": 0, "query": {"range": {"@timestamp": {"gte": 5, "lt": 500_000}}},
            "aggs": {"t": {"terms": {"field": "a"}}, "m": {"avg": {"field": "b"}},
                     "h": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m", "extended_bounds": {"min": 0, "max": 119_999}}}}}))
        .await;
    assert_eq!(body["aggregations"]["t"]["buckets"], json!([]));
    assert_eq!(body["aggregations"]["m"]["value"], Value::Null);
    assert_eq!(body["aggregations"]["h"]["buckets"].as_array().unwrap().len(), 2);
    assert_eq!(body["hits"]["total"]["value"], 0);
}

#[tokio::test]
async fn several_searches_in_one_request_fail_alone() {
    let served = served();
    let body = "{\"index\":\"logs-web.panic-*\"}\n{\"size\":0}\n{}\n{\"query\":{\"nope\":{}}}\n{\"index\":[\"logs-*\"]}\n{\"size\":1}\n";
    let (status, answer) = served.post("/_msearch", body).await;
    assert_eq!(status, 200);
    let responses = answer["responses"].as_array().unwrap();
    assert_eq!((&responses[0]["hits"]["total"]["value"], &responses[0]["status"]), (&json!(10), &json!(200)));
    assert_eq!(responses[1]["status"], 400);
    assert_eq!(responses[2]["hits"]["hits"][0]["_id"], "r30");
}

#[tokio::test]
async fn the_catalogue_names_indices_and_fields() {
    let served = served();
    assert_eq!(served.get("/elasticsearch/").await.1["version"]["number"], "8.17.0");
    assert_eq!(served.get("/_cluster/health").await.1["status"], "green");
    let (_, mapping) = served.get("/logs-*/_mapping").await;
    let properties = &mapping["logs-all"]["mappings"]["properties"];
    assert_eq!(properties["log"]["properties"]["level"]["type"], "keyword");
    assert_eq!(
        (&properties["@timestamp"]["type"], &properties["status"]["type"]),
        (&json!("date"), &json!("long"))
    );
    let (_, caps) = served.get("/logs-*/_field_caps?fields=service.*,message").await;
    assert_eq!(caps["fields"]["service.name"]["keyword"]["aggregatable"], true);
    assert_eq!(caps["fields"]["message"]["text"]["aggregatable"], false);
    assert_eq!(caps["fields"].as_object().unwrap().len(), 2);
    assert_eq!(served.get("/_cat/indices?format=json").await.1.as_array().unwrap().len(), 3);
    assert_eq!(served.get("/logs-*/_count?q=level:error").await.1["count"], 10);
    assert_eq!(
        served.get("/elasticsearch/logs-*/_search?q=level:error&size=1").await.1["hits"]["total"]["value"],
        10
    );
}
