//! What the store knows of services, and of itself.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use sightline_instrument::wire::field;

use super::elasticsearch::aggs;
use super::logs::{Parameters, range_of};
use super::{Api, Refusal};
use crate::store::events::{Events, Kind, Lane};
use crate::store::query::{Node, Operator, parse};

const HOUR_MS: i64 = 3_600_000;
const MOST_SERVICES: usize = 500;

/// `GET /api/services?from&to` (default: the last hour) and `GET /api/store/stats`.
pub fn router(api: Api) -> Router {
    Router::new().route("/api/services", get(services)).route("/api/store/stats", get(stats)).with_state(api)
}

async fn services(
    State(api): State<Api>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    api.run(move |events| known(events, &parameters)).await?.map(Json)
}

fn known(events: &Events, parameters: &Parameters) -> Result<Value, Refusal> {
    let now = (events.logs.clock)();
    let (from, to) = range_of(parameters, now)?;
    let to = to.unwrap_or(now + 1);
    let from = from.unwrap_or(to - HOUR_MS);
    let mut services: BTreeMap<String, Value> = BTreeMap::new();
    let logs = by_service(
        &events.logs,
        from,
        to,
        field::SERVICE_NAME,
        json!({
            "last": { "max": { "field": field::TIMESTAMP } },
            "versions": { "terms": { "field": field::SERVICE_VERSION, "size": 10 } },
            "environments": { "terms": { "field": field::SERVICE_ENVIRONMENT, "size": 10 } },
            "hosts": { "terms": { "field": field::HOST_NAME, "size": 50 } },
            "levels": { "terms": { "field": field::LEVEL, "size": 10 } },
        }),
    )?;
    let panics = panics(&events.logs, from, to)?;
    for bucket in logs {
        let names = |key: &str| -> Vec<Value> {
            bucket[key]["buckets"].as_array().into_iter().flatten().map(|b| b["key"].clone()).collect()
        };
        let level = |name: &str| -> u64 {
            let levels = bucket["levels"]["buckets"].as_array();
            levels
                .into_iter()
                .flatten()
                .filter(|b| b["key"] == name)
                .filter_map(|b| b["doc_count"].as_u64())
                .sum()
        };
        let Some(name) = bucket["key"].as_str() else { continue };
        services.insert(
            name.to_owned(),
            json!({
                "service": name, "last_seen": bucket["last"]["value"], "versions": names("versions"),
                "environments": names("environments"), "hosts": names("hosts"),
                "logs": { "count": bucket["doc_count"], "errors": level("error"), "warnings": level("warn"),
                          "panics": panics.get(name).copied().unwrap_or(0) },
            }),
        );
    }
    let spans = by_service(
        &events.spans,
        from,
        to,
        "localEndpoint.serviceName",
        json!({
            "last": { "max": { "field": field::TIMESTAMP } },
            "errors": { "filter": { "exists": { "field": "tags.error" } } },
            "duration": { "percentiles": { "field": "duration", "percents": [50, 99], "keyed": true } },
        }),
    )?;
    for bucket in spans {
        let Some(name) = bucket["key"].as_str() else { continue };
        let seen = bucket["last"]["value"].as_i64();
        let service =
            services.entry(name.to_owned()).or_insert_with(|| json!({ "service": name, "last_seen": null }));
        service["last_seen"] = json!(service["last_seen"].as_i64().max(seen));
        service["spans"] = json!({
            "count": bucket["doc_count"], "errors": bucket["errors"]["doc_count"],
            "p50_us": bucket["duration"]["values"]["50.0"], "p99_us": bucket["duration"]["values"]["99.0"],
        });
    }
    Ok(json!({ "from": from, "to": to, "services": services.into_values().collect::<Vec<_>>() }))
}

fn by_service(lane: &Lane, from: i64, to: i64, name: &str, below: Value) -> Result<Vec<Value>, Refusal> {
    let selection = lane.select(&Node::All, Some(from), Some(to))?;
    let request = json!({ "services": { "terms": { "field": name, "size": MOST_SERVICES }, "aggs": below } });
    let found = aggs::evaluate(lane, &selection, &request).map_err(|error| Refusal::bad(error.reason()))?;
    Ok(found["services"]["buckets"].as_array().cloned().unwrap_or_default())
}

fn panics(lane: &Lane, from: i64, to: i64) -> Result<BTreeMap<String, u64>, Refusal> {
    let node = parse("error.fingerprint:* OR _index:logs-*.panic-*", Operator::Or)?;
    let selection = lane.select(&node, Some(from), Some(to))?;
    let request = json!({ "services": { "terms": { "field": field::SERVICE_NAME, "size": MOST_SERVICES } } });
    let found = aggs::evaluate(lane, &selection, &request).map_err(|error| Refusal::bad(error.reason()))?;
    let buckets = found["services"]["buckets"].as_array().cloned().unwrap_or_default();
    Ok(buckets
        .iter()
        .filter_map(|b| Some((b["key"].as_str()?.to_owned(), b["doc_count"].as_u64()?)))
        .collect())
}

async fn stats(State(api): State<Api>) -> Json<Value> {
    Json(figures(&api.events))
}

/// Sizes, bounds and retention of logs and spans.
pub(crate) fn figures(events: &Events) -> Value {
    let of = |kind: Kind| {
        let lane = events.lane(kind);
        let (records, bytes) = lane.totals();
        let parts = lane.stats();
        json!({
            "records": records, "bytes": bytes, "max_bytes": lane.keep().size.0,
            "max_age_seconds": lane.keep().age.0.as_secs(), "parts": parts.len(),
            "first_ms": parts.iter().filter_map(|p| p.first_ms).min(),
            "last_ms": parts.iter().filter_map(|p| p.last_ms).max(),
            "damaged_parts": lane.damaged_parts(), "days": parts,
        })
    };
    let free = events.logs.free();
    json!({
        "logs": of(Kind::Logs), "spans": of(Kind::Spans),
        "disk": { "free_bytes": free, "min_free_bytes": events.logs.settings.min_free.0 },
    })
}
