//! The records just before and after one record, of the same service and host or of everything.

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Map, Value, json};

use sightline_instrument::wire::field;

use super::tail::shown;
use super::{Parameters, size_of};
use crate::store::api::{Api, Refusal};
use crate::store::events::record::lookup_str;
use crate::store::events::{EventStore, Events, Hit, Search, Sort};
use crate::store::query::Node;

/// `id`, `size` (each side, default 10), `by` (`host`: same service and host, the default; `service`; `all`).
pub(super) async fn surrounding(
    State(api): State<Api>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    let id =
        parameters.get("id").cloned().ok_or_else(|| Refusal::bad("`id` is missing: the `_id` of a hit"))?;
    let size = size_of(&parameters, "size", 10, 500)?;
    let same: &'static [&'static str] = match parameters.get("by").map(String::as_str) {
        None | Some("host") => &[field::SERVICE_NAME, field::HOST_NAME],
        Some("service") => &[field::SERVICE_NAME],
        Some("all") => &[],
        Some(other) => return Err(Refusal::bad(format!("`by` is host, service or all, not `{other}`"))),
    };
    api.run(move |events| around(events, &id, size, same)).await?.map(Json)
}

fn around(events: &Events, id: &str, size: usize, same: &[&str]) -> Result<Value, Refusal> {
    let lane = &events.logs;
    let newest = Sort::Time { descending: true };
    let of = |name: &str, text: &str| Node::Value { field: Some(name.to_owned()), text: text.to_owned() };
    let selection = lane.select(&of("_id", id), None, None)?;
    let found =
        lane.search(&Search { selection, limit: 1, offset: 0, sort: newest.clone(), after: None }).value;
    let hit = found
        .into_iter()
        .next()
        .ok_or_else(|| Refusal::missing(format!("no record has the id `{id}`; it may have expired")))?;
    let source: Map<String, Value> = serde_json::from_slice(&hit.source).unwrap_or_default();
    let nodes: Vec<Node> =
        same.iter().filter_map(|name| Some(of(name, lookup_str(&source, name)?))).collect();
    let node = if nodes.is_empty() { Node::All } else { Node::And(nodes) };
    let side = |descending: bool| -> Result<Vec<Hit>, Refusal> {
        let selection = lane.select(&node, None, None)?;
        let after = Some((hit.at_ms, Some(hit.order)));
        Ok(lane
            .search(&Search { selection, limit: size, offset: 0, sort: Sort::Time { descending }, after })
            .value)
    };
    let mut before = side(true)?;
    before.reverse();
    let after = side(false)?;
    let list = |hits: &[Hit]| hits.iter().map(shown).collect::<Vec<_>>();
    Ok(json!({ "before": list(&before), "record": shown(&hit), "after": list(&after) }))
}
