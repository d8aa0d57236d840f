//! Panics grouped by fingerprint: how often, since when, where, and one of them in full.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use sightline_instrument::wire::field;

use super::elasticsearch::aggs;
use super::logs::{Parameters, range_of, size_of};
use super::{Api, Refusal};
use crate::store::events::record::{lookup, lookup_str};
use crate::store::events::{Events, Lane, Selection};
use crate::store::query::{Node, Operator, parse};

/// Groups of one answer.
const MOST_GROUPS: usize = 200;
/// Bars of a trend.
const BARS: i64 = 60;
const DAY_MS: i64 = 86_400_000;

/// `GET /api/panics?from&to&service&environment&fingerprint&q&limit`; the default range is the last seven days.
pub fn router(api: Api) -> Router {
    Router::new().route("/api/panics", get(panics)).with_state(api)
}

async fn panics(
    State(api): State<Api>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    let limit = size_of(&parameters, "limit", 50, MOST_GROUPS)?;
    api.run(move |events| groups(events, &parameters, limit)).await?.map(Json)
}

/// Records of the panic streams, and whatever else was given a fingerprint.
fn which(parameters: &Parameters) -> Result<Node, Refusal> {
    let of = |name: &str, text: &str| Node::Value { field: Some(name.to_owned()), text: text.to_owned() };
    let mut all = vec![Node::Or(vec![
        Node::Exists { field: field::ERROR_FINGERPRINT.to_owned() },
        Node::Wildcard { field: Some("_index".to_owned()), pattern: "logs-*.panic-*".to_owned() },
    ])];
    for (key, name) in [
        ("service", field::SERVICE_NAME),
        ("environment", field::SERVICE_ENVIRONMENT),
        ("fingerprint", field::ERROR_FINGERPRINT),
    ] {
        if let Some(text) = parameters.get(key).filter(|text| !text.is_empty()) {
            all.push(of(name, text));
        }
    }
    if let Some(text) = parameters.get("q").filter(|text| !text.is_empty()) {
        all.push(parse(text, Operator::Or)?);
    }
    Ok(Node::And(all))
}

fn groups(events: &Events, parameters: &Parameters, limit: usize) -> Result<Value, Refusal> {
    let lane = &events.logs;
    let now = (lane.clock)();
    let (from, to) = range_of(parameters, now)?;
    let to = to.unwrap_or(now + 1);
    let from = from.unwrap_or(to - 7 * DAY_MS);
    if from >= to {
        return Err(Refusal::bad("`from` must lie before `to`"));
    }
    let interval = bar((to - from) / BARS);
    let node = which(parameters)?;
    let selection = lane.select(&node, Some(from), Some(to))?;
    let names = |name: &str| json!({ "terms": { "field": name, "size": 20 } });
    let found = aggregate(
        lane,
        &selection,
        &json!({ "groups": {
            "terms": { "field": field::ERROR_FINGERPRINT, "size": limit, "missing": UNKNOWN },
            "aggs": {
                "first": { "min": { "field": field::TIMESTAMP } },
                "last": { "max": { "field": field::TIMESTAMP } },
                "services": names(field::SERVICE_NAME),
                "versions": names(field::SERVICE_VERSION),
                "environments": names(field::SERVICE_ENVIRONMENT),
                "hosts": names(field::HOST_NAME),
                "handlers": names(field::HANDLER),
                "trend": { "date_histogram": { "field": field::TIMESTAMP, "fixed_interval": format!("{interval}ms"), "min_doc_count": 1 } },
                "sample": { "top_hits": { "size": 1 } },
            }
        } }),
    )?;
    let ever = first_seen(lane, &node)?;
    let buckets = found["groups"]["buckets"].as_array().cloned().unwrap_or_default();
    let groups: Vec<Value> = buckets.iter().map(|bucket| group(bucket, &ever)).collect();
    let total: u64 = groups.iter().filter_map(|group| group["count"].as_u64()).sum();
    let other = found["groups"]["sum_other_doc_count"].as_u64().unwrap_or(0);
    Ok(json!({ "from": from, "to": to, "interval_ms": interval, "total": total + other, "groups": groups }))
}

/// Stands for records of the panic streams that nobody fingerprinted.
const UNKNOWN: &str = "unknown";

fn aggregate(lane: &Lane, selection: &Selection, request: &Value) -> Result<Value, Refusal> {
    aggs::evaluate(lane, selection, request).map_err(|error| Refusal::bad(error.reason()))
}

/// When each fingerprint was first seen in all that is kept, for "new since the deploy".
fn first_seen(lane: &Lane, node: &Node) -> Result<HashMap<String, i64>, Refusal> {
    let selection = lane.select(node, None, None)?;
    let request = json!({ "groups": {
        "terms": { "field": field::ERROR_FINGERPRINT, "size": 10_000, "missing": UNKNOWN },
        "aggs": { "first": { "min": { "field": field::TIMESTAMP } } }
    } });
    let found = aggregate(lane, &selection, &request)?;
    let buckets = found["groups"]["buckets"].as_array().cloned().unwrap_or_default();
    Ok(buckets
        .iter()
        .filter_map(|b| Some((b["key"].as_str()?.to_owned(), b["first"]["value"].as_i64()?)))
        .collect())
}

fn group(bucket: &Value, ever: &HashMap<String, i64>) -> Value {
    let names = |key: &str| -> Vec<Value> {
        let buckets = bucket[key]["buckets"].as_array().cloned().unwrap_or_default();
        buckets.iter().map(|b| json!({ "name": b["key"], "count": b["doc_count"] })).collect()
    };
    let trend: Vec<Value> = bucket["trend"]["buckets"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|b| json!([b["key"], b["doc_count"]]))
        .collect();
    let hit = &bucket["sample"]["hits"]["hits"][0];
    let empty = Map::new();
    let source = hit["_source"].as_object().unwrap_or(&empty);
    let text = |name: &str| lookup_str(source, name);
    let fingerprint = bucket["key"].as_str().unwrap_or(UNKNOWN);
    json!({
        "fingerprint": fingerprint,
        "count": bucket["doc_count"],
        "first_seen": ever.get(fingerprint).copied().or_else(|| bucket["first"]["value"].as_i64()),
        "last_seen": bucket["last"]["value"],
        "type": text(field::ERROR_TYPE),
        "message": text(field::ERROR_MESSAGE).or_else(|| text(field::MESSAGE)),
        "services": names("services"),
        "versions": names("versions"),
        "environments": names("environments"),
        "hosts": names("hosts"),
        "handlers": names("handlers"),
        "trend": trend,
        "sample": {
            "_id": hit["_id"],
            "_index": hit["_index"],
            "at": text(field::TIMESTAMP),
            "trace_id": text(field::TRACE_ID),
            "span_id": text(field::SPAN_ID),
            "request_id": text(field::HTTP_REQUEST_ID).or_else(|| text(field::REQUEST_ID)),
            "stack": text(field::ERROR_STACK),
            "status": lookup(source, field::STATUS),
            "method": text(field::METHOD).or_else(|| text(field::HTTP_METHOD)),
            "path": text(field::URL_PATH),
            "source": source,
        },
    })
}

/// A round width of bars: not less than `least` milliseconds.
fn bar(least: i64) -> i64 {
    const ROUND: [i64; 14] = [
        1_000,
        5_000,
        10_000,
        30_000,
        60_000,
        300_000,
        600_000,
        1_800_000,
        3_600_000,
        10_800_000,
        21_600_000,
        43_200_000,
        DAY_MS,
        7 * DAY_MS,
    ];
    ROUND.into_iter().find(|width| *width >= least).unwrap_or(30 * DAY_MS)
}
