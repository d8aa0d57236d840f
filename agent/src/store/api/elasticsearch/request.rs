//! One `_search` request: which lane, which records, in what order, and the answer's shape.

use std::ops::Bound;
use std::time::Instant;

use serde_json::{Map, Value, json};
use tantivy::query::{BooleanQuery, Query};

use sightline_instrument::wire::field;

use super::aggs;
use super::dsl;
use super::error::EsError;
use super::source::Wanted;
use crate::store::events::schema::Column;
use crate::store::events::{EventStore, Events, Hit, Kind, Search, Selection, Sort};
use crate::store::query::compile::Scope;
use crate::store::query::{Node, dates};

/// `from` and `size` together, as with Elasticsearch.
const DEEPEST_PAGE: usize = 10_000;

/// Which records an index pattern names: the kind, and patterns over data streams where it names less than all.
pub(super) struct Indices {
    pub(super) kind: Kind,
    streams: Vec<String>,
}

impl Indices {
    /// Reads `logs-*`, `logs-kittenserver.panic-*,logs-other.*`, `zipkin-span-*`, `_all`.
    pub(super) fn parse(pattern: &str) -> Result<Self, EsError> {
        let mut streams = Vec::new();
        let mut kinds = Vec::new();
        let (mut logs, mut spans) = (false, false);
        for name in pattern.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "_all" | "*" | "logs" | "logs*" | "logs-*" | "*logs*" => {
                    logs = true;
                    kinds.push(Kind::Logs);
                }
                "spans" | "traces" => {
                    spans = true;
                    kinds.push(Kind::Spans);
                }
                name if name.starts_with("zipkin")
                    || name.starts_with("*zipkin")
                    || name.starts_with("traces") =>
                {
                    if name.ends_with("span-*")
                        || name.ends_with("span*")
                        || name.ends_with("zipkin*")
                        || name.starts_with("traces")
                    {
                        spans = true;
                    } else {
                        streams.push(name.to_owned());
                    }
                    kinds.push(Kind::Spans);
                }
                name if name.starts_with("logs-") || name.contains('*') => {
                    streams.push(name.to_owned());
                    kinds.push(Kind::Logs);
                }
                other => return Err(EsError::no_index(other)),
            }
        }
        let kind = kinds.first().copied().unwrap_or(Kind::Logs);
        if kinds.iter().any(|other| *other != kind) {
            return Err(EsError::argument("logs and spans cannot be searched in one request; use _msearch"));
        }
        if match kind {
            Kind::Logs => logs,
            Kind::Spans => spans,
        } {
            streams.clear();
        }
        Ok(Indices { kind, streams })
    }

    fn narrow(&self, scope: &Scope<'_>, query: Box<dyn Query>) -> Result<Box<dyn Query>, EsError> {
        if self.streams.is_empty() {
            return Ok(query);
        }
        let node = Node::Or(
            self.streams
                .iter()
                .map(|name| Node::Wildcard { field: Some("_index".to_owned()), pattern: name.clone() })
                .collect(),
        );
        Ok(Box::new(BooleanQuery::intersection(vec![query, scope.compile(&node)?])))
    }
}

/// Compiles the body's query within the indices.
pub(super) fn select(events: &Events, indices: &Indices, body: &Value) -> Result<Selection, EsError> {
    let lane = events.lane(indices.kind);
    let mut query = match body.get("query") {
        None | Some(Value::Null) => json!({ "match_all": {} }),
        Some(query) => query.clone(),
    };
    let (from, to) = time_range(&mut query, (lane.clock)())?;
    let mut refused = None;
    let selection = lane.select_with(from, to, |scope| {
        dsl::compile(scope, &query).and_then(|compiled| indices.narrow(scope, compiled)).or_else(|error| {
            refused = Some(error);
            Ok(Box::new(tantivy::query::EmptyQuery))
        })
    });
    match refused {
        Some(error) => Err(error),
        None => Ok(selection?),
    }
}

/// Takes ranges over the timestamp that every hit must lie in out of the query: they decide which parts are opened.
fn time_range(query: &mut Value, now_ms: i64) -> Result<(Option<i64>, Option<i64>), EsError> {
    let (mut from, mut to) = (None::<i64>, None::<i64>);
    let mut take = |clause: &mut Value| -> Result<(), EsError> {
        let Some(limits) = clause.get("range").and_then(|r| r.get(field::TIMESTAMP)) else { return Ok(()) };
        let (lower, upper) = dsl::bounds(field::TIMESTAMP, limits)?;
        let read = |text: &str| {
            dates::interval(text, now_ms).ok_or_else(|| {
                EsError::parsing(format!(
                    "failed to parse date field [{text}]: write RFC 3339, now-15m or milliseconds since 1970"
                ))
            })
        };
        let first = match &lower {
            Bound::Included(text) => Some(read(text)?.0),
            Bound::Excluded(text) => Some(read(text)?.1),
            Bound::Unbounded => None,
        };
        let end = match &upper {
            Bound::Included(text) => Some(read(text)?.1),
            Bound::Excluded(text) => Some(read(text)?.0),
            Bound::Unbounded => None,
        };
        from = from.max(first);
        to = match (to, end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        *clause = json!({ "match_all": {} });
        Ok(())
    };
    take(query)?;
    if let Some(all) = query.get_mut("bool").and_then(Value::as_object_mut) {
        for key in ["must", "filter"] {
            match all.get_mut(key) {
                Some(Value::Array(items)) => items.iter_mut().try_for_each(&mut take)?,
                Some(one) => take(one)?,
                None => {}
            }
        }
    }
    Ok((from, to))
}

/// Answers one search.
pub(super) fn search(events: &Events, indices: &Indices, body: &Value) -> Result<Value, EsError> {
    let started = Instant::now();
    let lane = events.lane(indices.kind);
    if let Some(unknown) = body.as_object().and_then(|b| b.keys().find(|key| !KNOWN.contains(&key.as_str())))
    {
        return Err(EsError::parsing(format!("unknown key [{unknown}] in the body of a search")));
    }
    let limit = number(body, "size", 10)?;
    let offset = number(body, "from", 0)?;
    if limit + offset > DEEPEST_PAGE {
        return Err(EsError::argument(format!(
            "Result window is too large, from + size must be less than or equal to: [{DEEPEST_PAGE}] but was [{}]; use search_after",
            limit + offset
        )));
    }
    let selection = select(events, indices, body)?;
    let (sort, sorted) = sorting(events, indices.kind, body)?;
    let after = after(body, &sort)?;
    let total = match body.get("track_total_hits") {
        Some(Value::Bool(false)) => None,
        _ => Some(lane.count(&selection)),
    };
    let found =
        lane.search(&Search { selection: selection.clone(), limit, offset, sort: sort.clone(), after });
    let wanted = Wanted::from(body)?;
    let hits: Vec<Value> =
        found.value.iter().map(|hit| present(hit, &wanted, sorted.then_some(&sort))).collect();
    let aggregations = match body.get("aggs").or_else(|| body.get("aggregations")) {
        Some(request) => Some(aggs::evaluate(lane, &selection, request)?),
        None => None,
    };
    let failed = found.failed + total.as_ref().map_or(0, |t| t.failed);
    let shards = total.as_ref().map_or(found.searched, |t| t.searched).max(1);
    let timed_out = selection.budget.spent();
    let mut answer = json!({
        "took": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "timed_out": timed_out,
        "_shards": { "total": shards, "successful": shards.saturating_sub(failed), "skipped": 0, "failed": failed },
        "hits": { "max_score": null, "hits": hits },
    });
    if let Some(total) = total {
        let relation = if timed_out || failed > 0 { "gte" } else { "eq" };
        answer["hits"]["total"] = json!({ "value": total.value, "relation": relation });
    }
    if let Some(aggregations) = aggregations {
        answer["aggregations"] = aggregations;
    }
    Ok(answer)
}

/// What a body may contain; what has no meaning here is accepted and ignored.
const KNOWN: [&str; 29] = [
    "query",
    "size",
    "from",
    "sort",
    "search_after",
    "_source",
    "fields",
    "docvalue_fields",
    "stored_fields",
    "script_fields",
    "aggs",
    "aggregations",
    "track_total_hits",
    "track_scores",
    "highlight",
    "timeout",
    "version",
    "explain",
    "profile",
    "min_score",
    "runtime_mappings",
    "indices_boost",
    "terminate_after",
    "pit",
    "stats",
    "seq_no_primary_term",
    "preference",
    "allow_partial_search_results",
    "_name",
];

fn number(body: &Value, key: &str, default: usize) -> Result<usize, EsError> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value
            .as_u64()
            .or_else(|| value.as_str()?.parse().ok())
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| {
                EsError::parsing(format!(
                    "[{key}] must be a whole number that is not negative, found {value}"
                ))
            }),
    }
}

fn sorting(events: &Events, kind: Kind, body: &Value) -> Result<(Sort, bool), EsError> {
    let newest = Sort::Time { descending: true };
    let first = match body.get("sort") {
        None | Some(Value::Null) => return Ok((newest, false)),
        Some(Value::Array(items)) => match items.first() {
            Some(first) => first.clone(),
            None => return Ok((newest, false)),
        },
        Some(one) => one.clone(),
    };
    let (name, order) = match &first {
        Value::String(name) => {
            name.split_once(':').map_or((name.as_str(), None), |(name, order)| (name, Some(order)))
        }
        Value::Object(object) => match object.iter().next() {
            Some((name, Value::String(order))) => (name.as_str(), Some(order.as_str())),
            Some((name, options)) => (name.as_str(), options.get("order").and_then(Value::as_str)),
            None => return Ok((newest, false)),
        },
        _ => return Err(EsError::parsing("[sort] expects the name of a field or an object")),
    };
    let descending = match order {
        Some("desc") => true,
        Some("asc") => false,
        None => name == "_score",
        Some(other) => {
            return Err(EsError::parsing(format!("unknown sort order [{other}]; use asc or desc")));
        }
    };
    match name {
        "_score" => return Ok((newest, true)),
        "_doc" | "_shard_doc" | "_seq_no" => return Ok((Sort::Time { descending }, true)),
        _ => {}
    }
    match events.lane(kind).fields.column(kind, name) {
        Column::Named(column) if column == field::TIMESTAMP => Ok((Sort::Time { descending }, true)),
        Column::Named(column) => Ok((Sort::Number { column, descending }, true)),
        Column::None => {
            Err(EsError::argument(format!("cannot sort by [{name}]: it is text, found by its words")))
        }
    }
}

fn after(body: &Value, sort: &Sort) -> Result<Option<(i64, Option<u64>)>, EsError> {
    let Some(values) = body.get("search_after").filter(|v| !v.is_null()) else { return Ok(None) };
    if !matches!(sort, Sort::Time { .. }) {
        return Err(EsError::argument(
            "search_after works with a sort by @timestamp only; use from and size",
        ));
    }
    let values = values.as_array().ok_or_else(|| EsError::parsing("[search_after] must be an array"))?;
    let first = values.first().and_then(crate::store::events::record::millis);
    let first = first.ok_or_else(|| {
        EsError::parsing("[search_after] must begin with the time of the last hit, in milliseconds")
    })?;
    Ok(Some((first, values.get(1).and_then(Value::as_u64))))
}

/// One hit.
pub(super) fn present(hit: &Hit, wanted: &Wanted, sort: Option<&Sort>) -> Value {
    let source = serde_json::from_slice(&hit.source).unwrap_or(Value::Object(Map::new()));
    let mut shown = json!({ "_index": hit.stream, "_id": hit.id, "_score": null });
    if let Some(fields) = wanted.fields(&source) {
        shown["fields"] = fields;
    }
    if let Some(source) = wanted.source(source) {
        shown["_source"] = source;
    }
    match sort {
        Some(Sort::Time { .. }) => shown["sort"] = json!([hit.at_ms, hit.order]),
        Some(Sort::Number { .. }) => shown["sort"] = json!([whole(hit.sorted_by), hit.order]),
        None => {}
    }
    shown
}

/// 200 rather than 200.0.
pub(super) fn whole(value: Option<f64>) -> Value {
    match value {
        Some(n) if n.fract() == 0.0 && n.abs() < 9e15 => json!(n as i64),
        Some(n) => json!(n),
        None => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Indices, time_range};
    use crate::store::events::Kind;

    #[test]
    fn ranges_over_time_leave_the_query_and_narrow_the_parts() {
        let mut query = json!({"bool": {"filter": [
            {"range": {"@timestamp": {"gte": 1000000000000_i64, "lte": 1000000000999_i64, "format": "epoch_millis"}}},
            {"term": {"status": 500}},
            {"range": {"@timestamp": {"lt": "2001-09-09T01:46:40.500Z"}}}
        ]}});
        assert_eq!(time_range(&mut query, 0).unwrap(), (Some(1_000_000_000_000), Some(1_000_000_000_500)));
        assert_eq!(
            query["bool"]["filter"],
            json!([{"match_all": {}}, {"term": {"status": 500}}, {"match_all": {}}])
        );
        let mut should = json!({"bool": {"should": [{"range": {"@timestamp": {"gte": 5}}}]}});
        assert_eq!(time_range(&mut should, 0).unwrap(), (None, None));
        assert!(time_range(&mut json!({"range": {"@timestamp": {"gte": "soon"}}}), 0).is_err());
    }

    #[test]
    fn patterns_name_a_kind_and_streams() {
        for (pattern, kind, streams) in [
            ("", Kind::Logs, vec![]),
            ("_all", Kind::Logs, vec![]),
            ("logs-*", Kind::Logs, vec![]),
            ("logs-*,logs-a.app-prod", Kind::Logs, vec![]),
            ("logs-kittenserver.panic-*", Kind::Logs, vec!["logs-kittenserver.panic-*"]),
            ("zipkin-span-*", Kind::Spans, vec![]),
            ("zipkin-span-2025-11-24", Kind::Spans, vec!["zipkin-span-2025-11-24"]),
        ] {
            let indices = Indices::parse(pattern).unwrap_or_else(|_| panic!("{pattern}"));
            assert_eq!(
                (indices.kind, indices.streams),
                (kind, streams.into_iter().map(str::to_owned).collect()),
                "{pattern}"
            );
        }
        assert!(Indices::parse("logs-*,zipkin-span-*").is_err());
        assert!(Indices::parse("kittens").is_err());
    }
}
