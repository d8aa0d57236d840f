//! An Elasticsearch-like search API over the store: enough for Grafana's data source, our page and scripts.
//!
//! `_search`, `_msearch`, `_count`, `_mapping`, `_field_caps`, `_cat/indices`, `_cluster/health`. The same routes lie
//! below `/elasticsearch`, where `GET /elasticsearch/` answers as the root of a cluster does.

pub(crate) mod aggs;
mod catalog;
mod dsl;
mod error;
mod request;
pub(crate) mod source;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::Api;
use crate::store::events::EventStore;
pub(crate) use catalog::fields_of;
use error::EsError;
use request::Indices;

/// Largest body of a request.
const LARGEST_BODY: usize = 4 << 20;
/// Searches in one `_msearch`.
const MOST_SEARCHES: usize = 200;

/// The routes, at the root and below `/elasticsearch`.
pub fn router(api: Api) -> Router {
    let below = routes().route("/", get(catalog::info));
    routes()
        .nest("/elasticsearch", below)
        .route("/elasticsearch/", get(catalog::info))
        .layer(axum::extract::DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(api)
}

fn routes() -> Router<Api> {
    Router::new()
        .route("/_search", get(search_all).post(search_all))
        .route("/{index}/_search", get(search).post(search))
        .route("/_msearch", post(msearch_all).get(msearch_all))
        .route("/{index}/_msearch", post(msearch).get(msearch))
        .route("/_count", get(count_all).post(count_all))
        .route("/{index}/_count", get(count).post(count))
        .route("/_mapping", get(catalog::mapping_all))
        .route("/{index}/_mapping", get(catalog::mapping))
        .route("/{index}/_mapping/field/{field}", get(catalog::mapping_of_field))
        .route("/_field_caps", get(catalog::caps_all).post(catalog::caps_all))
        .route("/{index}/_field_caps", get(catalog::caps).post(catalog::caps))
        .route("/_cat/indices", get(catalog::indices_all))
        .route("/_cat/indices/{index}", get(catalog::indices))
        .route("/_cluster/health", get(catalog::health))
        .route("/_cluster/health/{index}", get(catalog::health))
}

/// Clients refuse to talk to what does not call itself Elasticsearch.
fn answer(body: Value) -> Response {
    ([(header::HeaderName::from_static("x-elastic-product"), "Elasticsearch")], Json(body)).into_response()
}

/// The body, with the parameters of the address (`q`, `size`, `sort`, …) laid over it.
fn body_of(bytes: &[u8], query: Option<&str>) -> Result<Value, EsError> {
    let mut body = if bytes.iter().all(u8::is_ascii_whitespace) {
        Value::Object(Map::new())
    } else {
        serde_json::from_slice(bytes)
            .map_err(|error| EsError::parsing(format!("the body is not JSON: {error}")))?
    };
    let Some(object) = body.as_object_mut() else {
        return Err(EsError::parsing("the body must be a JSON object"));
    };
    for (key, value) in form(query.unwrap_or_default()) {
        match key.as_str() {
            "q" => {
                object.insert("query".to_owned(), json!({ "query_string": { "query": value } }));
            }
            "size" | "from" => {
                object.insert(key, Value::String(value));
            }
            "sort" | "_source" => {
                object.insert(key, Value::String(value));
            }
            "track_total_hits" => {
                object.insert(key, Value::Bool(value != "false"));
            }
            _ => {}
        }
    }
    Ok(body)
}

/// Decodes `a=b&c=d`.
pub(crate) fn form(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent(key), percent(value))
        })
        .collect()
}

/// Undoes percent-encoding; what is no encoding stays.
fn percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |n: usize| bytes.get(at + n).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[at], hex(1), hex(2)) {
            (b'+', ..) => out.push(b' '),
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b, ..) => out.push(b),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

async fn search_all(api: State<Api>, query: RawQuery, bytes: Bytes) -> Result<Response, EsError> {
    search(api, Path("_all".to_owned()), query, bytes).await
}

async fn search(
    State(api): State<Api>,
    Path(index): Path<String>,
    RawQuery(query): RawQuery,
    bytes: Bytes,
) -> Result<Response, EsError> {
    let indices = Indices::parse(&index)?;
    let body = body_of(&bytes, query.as_deref())?;
    Ok(answer(api.run(move |events| request::search(events, &indices, &body)).await??))
}

async fn count_all(api: State<Api>, query: RawQuery, bytes: Bytes) -> Result<Response, EsError> {
    count(api, Path("_all".to_owned()), query, bytes).await
}

async fn count(
    State(api): State<Api>,
    Path(index): Path<String>,
    RawQuery(query): RawQuery,
    bytes: Bytes,
) -> Result<Response, EsError> {
    let indices = Indices::parse(&index)?;
    let body = body_of(&bytes, query.as_deref())?;
    let found = api
        .run(move |events| {
            let selection = request::select(events, &indices, &body)?;
            Ok::<_, EsError>(events.lane(indices.kind).count(&selection))
        })
        .await??;
    let shards = found.searched.max(1);
    Ok(answer(json!({
        "count": found.value,
        "_shards": { "total": shards, "successful": shards - found.failed, "skipped": 0, "failed": found.failed },
    })))
}

async fn msearch_all(api: State<Api>, bytes: Bytes) -> Result<Response, EsError> {
    msearch(api, Path("_all".to_owned()), bytes).await
}

/// Pairs of lines: where, and what. One search that fails does not fail the others.
async fn msearch(
    State(api): State<Api>,
    Path(default): Path<String>,
    bytes: Bytes,
) -> Result<Response, EsError> {
    let text = std::str::from_utf8(&bytes).map_err(|_| EsError::parsing("the body is not UTF-8"))?;
    let lines: Vec<&str> = text.lines().collect();
    let mut pairs = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].trim().is_empty() && at + 1 >= lines.len() {
            break;
        }
        let Some(body) = lines.get(at + 1) else {
            return Err(EsError::parsing(
                "The msearch request must be terminated by a newline [\n] and have a body line after each header line",
            ));
        };
        pairs.push((lines[at].to_owned(), (*body).to_owned()));
        at += 2;
    }
    if pairs.is_empty() {
        return Err(EsError::argument("no requests added"));
    }
    if pairs.len() > MOST_SEARCHES {
        return Err(EsError::argument(format!("more than {MOST_SEARCHES} searches in one request")));
    }
    let answers = api
        .run(move |events| {
            let one = |header: &str, body: &str| -> Result<Value, EsError> {
                let header = body_of(header.as_bytes(), None)?;
                let index = match header.get("index") {
                    Some(Value::String(one)) => one.clone(),
                    Some(Value::Array(many)) => {
                        many.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
                    }
                    _ => default.clone(),
                };
                let mut found =
                    request::search(events, &Indices::parse(&index)?, &body_of(body.as_bytes(), None)?)?;
                found["status"] = 200.into();
                Ok(found)
            };
            pairs
                .iter()
                .map(|(header, body)| one(header, body).unwrap_or_else(|error| error.body()))
                .collect::<Vec<_>>()
        })
        .await?;
    let took = answers.iter().filter_map(|a| a.get("took")?.as_u64()).sum::<u64>();
    Ok(answer(json!({ "took": took, "responses": answers })))
}

#[cfg(test)]
mod tests;
