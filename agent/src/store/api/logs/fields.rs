//! The fields of the records that a search finds, each with its most frequent values: a side bar.

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Map, Value, json};

use sightline_instrument::wire::field;

use super::{Parameters, select, size_of};
use crate::store::api::elasticsearch::{aggs, fields_of};
use crate::store::api::{Api, Refusal};
use crate::store::events::{EventStore, Events};

/// Shown first, and shown with values when nobody names fields.
const USUAL: [&str; 14] = [
    field::LEVEL,
    field::SERVICE_NAME,
    field::SERVICE_ENVIRONMENT,
    field::HOST_NAME,
    field::HANDLER,
    field::STATUS,
    field::METHOD,
    field::EVENT_DATASET,
    field::EVENT_OUTCOME,
    field::URL_PATH,
    field::ERROR_TYPE,
    field::SOURCE_IP,
    field::USER_NAME,
    field::SERVICE_VERSION,
];
const MOST_FIELDS: usize = 50;

/// `q`, `from`, `to`, `fields` (comma-separated; default the usual ones), `size` (values of each, default 10).
pub(super) async fn fields(
    State(api): State<Api>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    let size = size_of(&parameters, "size", 10, 100)?;
    api.run(move |events| values(events, &parameters, size)).await?.map(Json)
}

fn values(events: &Events, parameters: &Parameters, size: usize) -> Result<Value, Refusal> {
    let lane = &events.logs;
    let selection = select(lane, parameters)?;
    let known = fields_of(lane);
    let wanted: Vec<&str> = match parameters.get("fields").filter(|names| !names.is_empty()) {
        Some(names) => names.split(',').map(str::trim).take(MOST_FIELDS).collect(),
        None => USUAL.iter().copied().filter(|name| known.contains_key(*name)).collect(),
    };
    let mut request = Map::new();
    for name in
        wanted.iter().filter(|name| known.get(**name).is_none_or(|kind| !matches!(*kind, "text" | "date")))
    {
        request.insert((*name).to_owned(), json!({ "terms": { "field": name, "size": size } }));
    }
    let found = aggs::evaluate(lane, &selection, &Value::Object(request))
        .map_err(|error| Refusal::bad(error.reason()))?;
    let shown: Vec<Value> = wanted
        .iter()
        .map(|name| {
            let result = &found[*name];
            let buckets = result["buckets"].as_array().cloned().unwrap_or_default();
            let other = result["sum_other_doc_count"].as_u64().unwrap_or(0);
            let counted: u64 = buckets.iter().filter_map(|b| b["doc_count"].as_u64()).sum();
            let values: Vec<Value> = buckets
                .iter()
                .map(|b| json!({ "value": b.get("key_as_string").unwrap_or(&b["key"]), "count": b["doc_count"] }))
                .collect();
            json!({ "name": name, "type": known.get(*name), "count": counted + other, "values": values })
        })
        .collect();
    let all: Vec<Value> = known.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
    Ok(json!({ "total": lane.count(&selection).value, "fields": shown, "known": all }))
}
