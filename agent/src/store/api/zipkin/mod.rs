//! Zipkin's query API v2 over the stored spans, in Zipkin's own shapes.
//!
//! The routes lie at `/api/v2` and, for Zipkin's user interface, at `/zipkin/api/v2` with `/zipkin/config.json`.

mod links;
mod query;

use std::collections::{BTreeSet, HashMap};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::elasticsearch::aggs;
use super::{Api, Unavailable};
use crate::store::events::{EventStore, Events, Hit, Lane, Search, SearchError, Sort};
use crate::store::query::Node;
use query::TraceQuery;

type Parameters = Query<HashMap<String, String>>;

/// Spans of one trace that are shown.
const MOST_SPANS: usize = 10_000;
/// Spans looked at for distinct traces, in pages.
const PAGE: usize = 1000;
const MOST_PAGES: usize = 20;
/// Names in a list.
const MOST_NAMES: usize = 1000;
/// Spans from which dependencies are computed, newest first.
const MOST_LINKED: usize = 50_000;

/// The routes.
pub fn router(api: Api) -> Router {
    let routes = || {
        Router::new()
            .route("/services", get(services))
            .route("/spans", get(span_names))
            .route("/remoteServices", get(remote_services))
            .route("/traces", get(traces))
            .route("/trace/{id}", get(trace))
            .route("/traceMany", get(trace_many))
            .route("/dependencies", get(dependencies))
            .route("/autocompleteKeys", get(autocomplete_keys))
            .route("/autocompleteValues", get(autocomplete_values))
    };
    Router::new()
        .nest("/api/v2", routes())
        .nest("/zipkin/api/v2", routes())
        .route("/zipkin/config.json", get(config))
        .with_state(api)
}

/// A refusal as Zipkin's: a line of text.
#[derive(Debug)]
pub(super) struct Refused(StatusCode, String);

impl Refused {
    fn bad(message: impl Into<String>) -> Self {
        Refused(StatusCode::BAD_REQUEST, message.into())
    }
}

impl From<Unavailable> for Refused {
    fn from(error: Unavailable) -> Self {
        Refused(error.status(), error.to_string())
    }
}

impl From<SearchError> for Refused {
    fn from(error: SearchError) -> Self {
        Refused::bad(error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

async fn config() -> Json<Value> {
    Json(json!({
        "environment": "", "queryLimit": 10, "defaultLookback": 900_000, "searchEnabled": true,
        "logsUrl": null, "supportUrl": null, "archivePostUrl": null, "archiveUrl": null,
        "dependency": { "enabled": true, "lowErrorRate": 0.5, "highErrorRate": 0.75 },
    }))
}

/// The distinct values of a field among the spans that `node` selects, sorted.
fn names(events: &Events, node: &Node, field: &str) -> Result<Vec<String>, SearchError> {
    let lane = &events.spans;
    let selection = lane.select(node, None, None)?;
    let request = json!({ "names": { "terms": { "field": field, "size": MOST_NAMES } } });
    let found = aggs::evaluate(lane, &selection, &request)
        .map_err(|error| SearchError::Request(error.body().to_string()))?;
    let buckets = found["names"]["buckets"].as_array().cloned().unwrap_or_default();
    let names: BTreeSet<String> = buckets
        .iter()
        .filter_map(|b| b["key"].as_str().map(str::to_owned))
        .filter(|n| !n.is_empty())
        .collect();
    Ok(names.into_iter().collect())
}

fn of_service(name: &str) -> Node {
    Node::Value { field: Some("localEndpoint.serviceName".to_owned()), text: name.to_lowercase() }
}

async fn services(State(api): State<Api>) -> Result<Json<Vec<String>>, Refused> {
    Ok(Json(api.run(|events| names(events, &Node::All, "localEndpoint.serviceName")).await??))
}

async fn names_of_service(
    api: Api,
    parameters: &HashMap<String, String>,
    field: &'static str,
) -> Result<Json<Vec<String>>, Refused> {
    let service = parameters
        .get("serviceName")
        .ok_or_else(|| Refused::bad("Required parameter 'serviceName' is not present."))?;
    let node = of_service(service);
    Ok(Json(api.run(move |events| names(events, &node, field)).await??))
}

async fn span_names(
    State(api): State<Api>,
    Query(parameters): Parameters,
) -> Result<Json<Vec<String>>, Refused> {
    names_of_service(api, &parameters, "name").await
}

async fn remote_services(
    State(api): State<Api>,
    Query(parameters): Parameters,
) -> Result<Json<Vec<String>>, Refused> {
    names_of_service(api, &parameters, "remoteEndpoint.serviceName").await
}

async fn autocomplete_keys(State(api): State<Api>) -> Result<Json<Vec<String>>, Refused> {
    let fields = api.run(|events| super::elasticsearch::fields_of(&events.spans)).await?;
    let keys = fields.keys().filter_map(|name| name.strip_prefix("tags.")).take(100);
    Ok(Json(keys.map(str::to_owned).collect()))
}

async fn autocomplete_values(
    State(api): State<Api>,
    Query(parameters): Parameters,
) -> Result<Json<Vec<String>>, Refused> {
    let key =
        parameters.get("key").ok_or_else(|| Refused::bad("Required parameter 'key' is not present."))?;
    let field = format!("tags.{key}");
    Ok(Json(api.run(move |events| names(events, &Node::All, &field)).await??))
}

/// Reads a trace id in any of its spellings: up to 32 hexadecimal digits, padded to the left.
fn trace_id(text: &str) -> Result<String, Refused> {
    let id = text.trim().to_ascii_lowercase();
    if id.is_empty() || id.len() > 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Refused::bad(format!(
            "{text} should be a 1 to 32 character lower-hex string with no prefix"
        )));
    }
    Ok(format!("{id:0>32}"))
}

/// All spans of a trace, oldest first.
fn spans_of(lane: &Lane, id: &str) -> Result<Vec<Value>, SearchError> {
    let node = Node::Value { field: Some("traceId".to_owned()), text: id.to_owned() };
    let selection = lane.select(&node, None, None)?;
    let search = Search {
        selection,
        limit: MOST_SPANS,
        offset: 0,
        sort: Sort::Time { descending: false },
        after: None,
    };
    let mut spans: Vec<Value> = lane.search(&search).value.iter().filter_map(parse).collect();
    spans.sort_by_key(|span| span["timestamp"].as_i64().unwrap_or(i64::MAX));
    Ok(spans)
}

fn parse(hit: &Hit) -> Option<Value> {
    serde_json::from_slice(&hit.source).ok()
}

async fn trace(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Vec<Value>>, Refused> {
    let normal = trace_id(&id)?;
    let spans = api.run(move |events| spans_of(&events.spans, &normal)).await??;
    if spans.is_empty() {
        return Err(Refused(StatusCode::NOT_FOUND, format!("{id} not found")));
    }
    Ok(Json(spans))
}

async fn trace_many(
    State(api): State<Api>,
    Query(parameters): Parameters,
) -> Result<Json<Vec<Vec<Value>>>, Refused> {
    let ids = parameters.get("traceIds").map(String::as_str).unwrap_or_default();
    let ids: BTreeSet<String> =
        ids.split(',').filter(|id| !id.is_empty()).map(trace_id).collect::<Result<_, _>>()?;
    if ids.is_empty() || ids.len() > 1000 {
        return Err(Refused::bad("traceIds parameter must have 1 to 1000 trace ids separated by commas"));
    }
    let traces = api
        .run(move |events| {
            let traces = ids.iter().map(|id| spans_of(&events.spans, id)).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, SearchError>(traces.into_iter().filter(|spans| !spans.is_empty()).collect())
        })
        .await??;
    Ok(Json(traces))
}

async fn traces(
    State(api): State<Api>,
    Query(parameters): Parameters,
) -> Result<Json<Vec<Vec<Value>>>, Refused> {
    let now = (api.events.spans.clock)();
    let query = TraceQuery::read(&parameters, now)?;
    let traces = api
        .run(move |events| {
            let lane = &events.spans;
            let ids = matching(lane, &query)?;
            ids.iter().map(|id| spans_of(lane, id)).collect::<Result<Vec<_>, _>>()
        })
        .await??;
    Ok(Json(traces))
}

/// Ids of the newest traces with a span that matches.
fn matching(lane: &Lane, query: &TraceQuery) -> Result<Vec<String>, SearchError> {
    let (from, to) = (Some(query.from_ms), Some(query.to_ms));
    let selection = lane.select(&query.node, from, to)?;
    let (mut ids, mut seen, mut after) = (Vec::new(), BTreeSet::new(), None);
    for _ in 0..MOST_PAGES {
        let sort = Sort::Time { descending: true };
        let hits =
            lane.search(&Search { selection: selection.clone(), limit: PAGE, offset: 0, sort, after }).value;
        for span in hits.iter().filter_map(parse) {
            if let Some(id) = span["traceId"].as_str()
                && seen.insert(id.to_owned())
            {
                ids.push(id.to_owned());
                if ids.len() == query.limit {
                    return Ok(ids);
                }
            }
        }
        match hits.last() {
            Some(last) if hits.len() == PAGE => after = Some((last.at_ms, Some(last.order))),
            _ => break,
        }
    }
    Ok(ids)
}

async fn dependencies(
    State(api): State<Api>,
    Query(parameters): Parameters,
) -> Result<Json<Vec<Value>>, Refused> {
    let number = |key: &str| -> Result<Option<i64>, Refused> {
        parameters
            .get(key)
            .map(|text| {
                text.parse()
                    .ok()
                    .filter(|n| *n > 0)
                    .ok_or_else(|| Refused::bad(format!("{key} must be a positive number of milliseconds")))
            })
            .transpose()
    };
    let end = number("endTs")?.ok_or_else(|| Refused::bad("Required parameter 'endTs' is not present."))?;
    let lookback = number("lookback")?.unwrap_or(86_400_000);
    // Zipkin's answer has no durations; ours has them for those who ask.
    let with_durations = parameters.get("durations").is_some_and(|v| v == "true");
    let links = api
        .run(move |events| {
            let lane = &events.spans;
            let selection =
                lane.select(&Node::All, Some(end.saturating_sub(lookback)), Some(end.saturating_add(1)))?;
            let sort = Sort::Time { descending: true };
            let search = Search { selection, limit: MOST_LINKED, offset: 0, sort, after: None };
            let spans: Vec<Value> = lane.search(&search).value.iter().filter_map(parse).collect();
            Ok::<_, SearchError>(links::link(&spans, with_durations))
        })
        .await??;
    Ok(Json(links))
}

#[cfg(test)]
mod tests;
