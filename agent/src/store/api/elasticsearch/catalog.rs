//! What there is: version, health, indices, and the fields with their types.

use std::collections::BTreeMap;

use axum::extract::{Path, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tantivy::schema::Type;

use sightline_instrument::wire::field;

use super::error::EsError;
use super::request::Indices;
use super::source::matches;
use super::{Api, answer, form};
use crate::store::events::schema::REST;
use crate::store::events::{Events, Kind, Lane};

/// The version whose API this is like; data sources choose their dialect by it.
const VERSION: &str = "8.17.0";
/// Parts whose fields are looked at, newest first.
const MOST_PARTS: usize = 8;

pub(super) async fn info() -> Response {
    answer(json!({
        "name": "sightline",
        "cluster_name": "sightline",
        "cluster_uuid": "sightline-embedded",
        "version": { "number": VERSION, "build_flavor": "default", "lucene_version": "9.12.0",
                     "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0" },
        "tagline": "You Know, for Search",
        "sightline": { "version": env!("CARGO_PKG_VERSION") },
    }))
}

pub(super) async fn health(State(api): State<Api>) -> Response {
    let parts = api.events.logs.stats().len() + api.events.spans.stats().len();
    answer(json!({
        "cluster_name": "sightline", "status": "green", "timed_out": false, "number_of_nodes": 1,
        "number_of_data_nodes": 1, "active_primary_shards": parts, "active_shards": parts, "relocating_shards": 0,
        "initializing_shards": 0, "unassigned_shards": 0, "delayed_unassigned_shards": 0,
        "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0, "active_shards_percent_as_number": 100.0,
    }))
}

/// Name and type of each field that any of the newest parts has.
pub(crate) fn fields_of(lane: &Lane) -> BTreeMap<String, &'static str> {
    let mut fields = BTreeMap::new();
    fields.insert(field::TIMESTAMP.to_owned(), "date");
    fields.insert(field::MESSAGE.to_owned(), "text");
    if lane.kind == Kind::Logs {
        fields.insert(field::ERROR_MESSAGE.to_owned(), "text");
        fields.insert(field::ERROR_STACK.to_owned(), "text");
    }
    for part in lane.parts().iter().rev().take(MOST_PARTS) {
        for segment in part.searcher().segment_readers() {
            let Ok(found) = segment.fields_metadata() else { continue };
            for known in found {
                let Some(path) = known.field_name.strip_prefix(REST).and_then(|rest| rest.strip_prefix('.'))
                else {
                    continue;
                };
                if path.starts_with('_') {
                    continue;
                }
                let kind = match known.typ {
                    Type::I64 | Type::U64 => "long",
                    Type::F64 => "double",
                    Type::Bool => "boolean",
                    Type::Date => "date",
                    _ => "keyword",
                };
                let entry = fields.entry(path.to_owned()).or_insert(kind);
                if *entry == "long" && kind == "double" {
                    *entry = kind;
                }
            }
        }
    }
    fields
}

pub(super) async fn mapping_all(api: State<Api>) -> Result<Response, EsError> {
    mapping(api, Path("_all".to_owned())).await
}

pub(super) async fn mapping(State(api): State<Api>, Path(index): Path<String>) -> Result<Response, EsError> {
    let kind = Indices::parse(&index)?.kind;
    let fields = api.run(move |events| fields_of(events.lane(kind))).await?;
    let mut properties = Map::new();
    for (name, kind) in &fields {
        insert(&mut properties, name, kind);
    }
    let name = match kind {
        Kind::Logs => "logs-all",
        Kind::Spans => "zipkin-span-all",
    };
    let mut body = Map::new();
    body.insert(name.to_owned(), json!({ "mappings": { "properties": properties } }));
    Ok(answer(Value::Object(body)))
}

pub(super) async fn mapping_of_field(
    State(api): State<Api>,
    Path((index, pattern)): Path<(String, String)>,
) -> Result<Response, EsError> {
    let kind = Indices::parse(&index)?.kind;
    let fields = api.run(move |events| fields_of(events.lane(kind))).await?;
    let mut found = Map::new();
    for (name, kind) in fields.iter().filter(|(name, _)| matches(&pattern, name)) {
        let last = name.rsplit('.').next().unwrap_or(name);
        found.insert(name.clone(), json!({ "full_name": name, "mapping": { last: { "type": kind } } }));
    }
    Ok(answer(json!({ "logs-all": { "mappings": found } })))
}

/// Puts `a.b.c` into nested `properties`. A name that is both a value and an object keeps both.
fn insert(properties: &mut Map<String, Value>, name: &str, kind: &str) {
    let (head, tail) = name.split_once('.').map_or((name, None), |(head, tail)| (head, Some(tail)));
    let entry = properties.entry(head.to_owned()).or_insert_with(|| json!({}));
    match tail {
        None => entry["type"] = kind.into(),
        Some(tail) => {
            if entry.get("properties").is_none() {
                entry["properties"] = json!({});
            }
            if let Some(inner) = entry["properties"].as_object_mut() {
                insert(inner, tail, kind);
            }
        }
    }
}

pub(super) async fn caps_all(api: State<Api>, query: RawQuery) -> Result<Response, EsError> {
    caps(api, Path("_all".to_owned()), query).await
}

pub(super) async fn caps(
    State(api): State<Api>,
    Path(index): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, EsError> {
    let kind = Indices::parse(&index)?.kind;
    let patterns: Vec<String> = form(query.as_deref().unwrap_or_default())
        .into_iter()
        .filter(|(key, _)| key == "fields")
        .flat_map(|(_, value)| value.split(',').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let fields = api.run(move |events| fields_of(events.lane(kind))).await?;
    let mut found = Map::new();
    for (name, kind) in fields {
        if !patterns.is_empty() && !patterns.iter().any(|pattern| matches(pattern, &name)) {
            continue;
        }
        found.insert(
            name,
            json!({ kind: { "type": kind, "metadata_field": false, "searchable": true, "aggregatable": kind != "text" } }),
        );
    }
    let indices: Vec<String> =
        rows(&api.events).into_iter().filter(|row| row.kind == kind).map(|row| row.name).collect();
    Ok(answer(json!({ "indices": indices, "fields": found })))
}

struct Row {
    kind: Kind,
    name: String,
    records: u64,
    bytes: u64,
}

fn rows(events: &Events) -> Vec<Row> {
    let of = |kind: Kind, prefix: &str| {
        events
            .lane(kind)
            .stats()
            .into_iter()
            .map(|part| Row {
                kind,
                name: format!("{prefix}-{}", part.name),
                records: part.records,
                bytes: part.bytes,
            })
            .collect::<Vec<_>>()
    };
    let mut rows = of(Kind::Logs, "logs");
    rows.extend(of(Kind::Spans, "zipkin-span"));
    rows
}

pub(super) async fn indices_all(api: State<Api>, query: RawQuery) -> Response {
    indices(api, Path("*".to_owned()), query).await
}

pub(super) async fn indices(
    State(api): State<Api>,
    Path(pattern): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let parameters = form(query.as_deref().unwrap_or_default());
    let rows: Vec<Row> = rows(&api.events)
        .into_iter()
        .filter(|row| pattern == "_all" || pattern.split(',').any(|p| matches(p, &row.name)))
        .collect();
    if parameters.iter().any(|(key, value)| key == "format" && value == "json") {
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({ "health": "green", "status": "open", "index": row.name, "uuid": row.name, "pri": "1", "rep": "0",
                        "docs.count": row.records.to_string(), "docs.deleted": "0",
                        "store.size": row.bytes.to_string(), "pri.store.size": row.bytes.to_string() })
            })
            .collect();
        return answer(Value::Array(rows));
    }
    let mut text = String::new();
    if parameters.iter().any(|(key, _)| key == "v") {
        text.push_str("health status index uuid pri rep docs.count docs.deleted store.size pri.store.size\n");
    }
    for row in rows {
        text.push_str(&format!("green open {0} {0} 1 0 {1} 0 {2} {2}\n", row.name, row.records, row.bytes));
    }
    ([(header::CONTENT_TYPE, "text/plain; charset=UTF-8")], text).into_response()
}
