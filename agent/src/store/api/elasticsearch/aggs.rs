//! Aggregations: most go to the engine as they are, with field names turned into columns; `filter`, `filters`,
//! `missing`, `global` and `top_hits` are computed here, as is whatever stands below them.

mod shape;
mod translate;

use serde_json::{Map, Value, json};
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::query::{AllQuery, BooleanQuery, Occur, Query};

use super::dsl;
use super::error::EsError;
use super::request::{present, whole};
use super::source::Wanted;
use crate::store::events::{EventStore, Lane, Search, Selection, Sort};
use crate::store::query::Node;
pub(crate) use shape::iso;
use shape::polish;
use translate::{field_of, interval_ms, translate};

type Object = Map<String, Value>;

const DEEPEST: usize = 8;
/// Buckets below which something is computed here, one search each.
const MOST_SEARCHED_BUCKETS: usize = 500;

/// Computes all aggregations of a request over a selection.
pub(crate) fn evaluate(lane: &Lane, selection: &Selection, request: &Value) -> Result<Value, EsError> {
    let request = request.as_object().ok_or_else(|| EsError::parsing("[aggs] expects an object"))?;
    Ok(Value::Object(level(lane, selection, request, 0)?))
}

/// One aggregation taken apart.
struct Agg<'a> {
    kind: &'a str,
    body: &'a Value,
    below: Option<&'a Object>,
}

impl<'a> Agg<'a> {
    fn read(name: &str, value: &'a Value) -> Result<Self, EsError> {
        let object = value
            .as_object()
            .ok_or_else(|| EsError::parsing(format!("aggregation [{name}] must be an object")))?;
        let (mut kind, mut below) = (None, None);
        for (key, value) in object {
            match key.as_str() {
                "aggs" | "aggregations" => below = value.as_object(),
                "meta" => {}
                key if kind.is_none() => kind = Some((key, value)),
                key => {
                    return Err(EsError::parsing(format!(
                        "aggregation [{name}] has two types, the second is [{key}]"
                    )));
                }
            }
        }
        let (kind, body) =
            kind.ok_or_else(|| EsError::parsing(format!("Missing definition for aggregation [{name}]")))?;
        Ok(Agg { kind, body, below: below.filter(|below| !below.is_empty()) })
    }

    fn is_ours(&self) -> bool {
        matches!(self.kind, "filter" | "filters" | "missing" | "global" | "top_hits" | "sampler" | "nested")
    }

    /// True if this or anything below has to be computed here.
    fn holds_ours(&self) -> Result<bool, EsError> {
        if self.is_ours() {
            return Ok(true);
        }
        for (name, value) in self.below.into_iter().flatten() {
            if Agg::read(name, value)?.holds_ours()? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn level(lane: &Lane, selection: &Selection, request: &Object, depth: usize) -> Result<Object, EsError> {
    if depth > DEEPEST {
        return Err(EsError::parsing(format!("aggregations are nested deeper than {DEEPEST}")));
    }
    let (mut native, mut out) = (Object::new(), Object::new());
    for (name, value) in request {
        let agg = Agg::read(name, value)?;
        if !agg.holds_ours()? {
            native.insert(name.clone(), translate(lane, name, &agg)?);
        } else if agg.is_ours() {
            out.insert(name.clone(), ours(lane, selection, &agg, depth)?);
        } else {
            out.insert(name.clone(), split(lane, selection, name, &agg, depth)?);
        }
    }
    if !native.is_empty() {
        let results = run(lane, selection, &native)?;
        for (name, value) in request {
            if !native.contains_key(name) {
                continue;
            }
            let agg = Agg::read(name, value)?;
            let result = results.get(name).cloned();
            out.insert(name.clone(), polish(lane, &agg, result));
        }
    }
    Ok(out)
}

fn run(lane: &Lane, selection: &Selection, native: &Object) -> Result<Value, EsError> {
    let request: Aggregations = serde_json::from_value(Value::Object(native.clone()))
        .map_err(|error| EsError::parsing(format!("failed to parse the aggregations: {error}")))?;
    Ok(lane.histogram(selection, &request)?.value)
}

/// A selection narrowed by one more query.
fn within(selection: &Selection, occur: Occur, query: Box<dyn Query>) -> Selection {
    let mut narrowed = selection.clone();
    let all: Box<dyn Query> = Box::new(AllQuery);
    narrowed.query = Box::new(BooleanQuery::new(vec![
        (Occur::Must, selection.query.box_clone()),
        (Occur::Must, all),
        (occur, query),
    ]));
    narrowed
}

fn compiled(lane: &Lane, query: &Value) -> Result<Box<dyn Query>, EsError> {
    let mut refused = None;
    let selection = lane.select_with(None, None, |scope| {
        dsl::compile(scope, query).or_else(|error| {
            refused = Some(error);
            Ok(Box::new(tantivy::query::EmptyQuery))
        })
    });
    match refused {
        Some(error) => Err(error),
        None => Ok(selection?.query),
    }
}

fn ours(lane: &Lane, selection: &Selection, agg: &Agg<'_>, depth: usize) -> Result<Value, EsError> {
    let bucket = |selection: &Selection| -> Result<Value, EsError> {
        let mut bucket = Object::new();
        bucket.insert("doc_count".to_owned(), lane.count(selection).value.into());
        if let Some(below) = agg.below {
            bucket.extend(level(lane, selection, below, depth + 1)?);
        }
        Ok(Value::Object(bucket))
    };
    match agg.kind {
        "filter" => bucket(&within(selection, Occur::Must, compiled(lane, agg.body)?)),
        "filters" => {
            let filters =
                agg.body.get("filters").ok_or_else(|| EsError::parsing("[filters] requires [filters]"))?;
            let one = |query: &Value| bucket(&within(selection, Occur::Must, compiled(lane, query)?));
            match filters {
                Value::Object(named) => {
                    let buckets = named
                        .iter()
                        .map(|(name, query)| Ok((name.clone(), one(query)?)))
                        .collect::<Result<Object, EsError>>()?;
                    Ok(json!({ "buckets": buckets }))
                }
                Value::Array(list) => {
                    let buckets = list.iter().map(one).collect::<Result<Vec<_>, EsError>>()?;
                    Ok(json!({ "buckets": buckets }))
                }
                _ => Err(EsError::parsing("[filters] must be an object or an array")),
            }
        }
        "missing" => {
            let field = field_of(agg.body, "missing")?;
            let exists = lane.select(&Node::Exists { field: field.to_owned() }, None, None)?.query;
            bucket(&within(selection, Occur::MustNot, exists))
        }
        "global" => {
            let all = lane.select(&Node::All, None, None)?;
            bucket(&all)
        }
        "top_hits" => top_hits(lane, selection, agg.body),
        _ => bucket(selection),
    }
}

fn top_hits(lane: &Lane, selection: &Selection, body: &Value) -> Result<Value, EsError> {
    let limit =
        body.get("size").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or(3).min(100);
    let oldest = body.get("sort").is_some_and(|sort| sort.to_string().contains("asc"));
    let sort = Sort::Time { descending: !oldest };
    let wanted = Wanted::from(body)?;
    let total = lane.count(selection).value;
    let found = lane.search(&Search {
        selection: selection.clone(),
        limit,
        offset: 0,
        sort: sort.clone(),
        after: None,
    });
    let hits: Vec<Value> = found.value.iter().map(|hit| present(hit, &wanted, Some(&sort))).collect();
    Ok(json!({ "hits": { "total": { "value": total, "relation": "eq" }, "max_score": null, "hits": hits } }))
}

/// A bucket aggregation of the engine's with something of ours below: the engine makes the buckets, and each bucket
/// becomes a selection for what is below.
fn split(
    lane: &Lane,
    selection: &Selection,
    name: &str,
    agg: &Agg<'_>,
    depth: usize,
) -> Result<Value, EsError> {
    let mut alone = Object::new();
    let mut own = Object::new();
    for (below_name, value) in agg.below.into_iter().flatten() {
        let below = Agg::read(below_name, value)?;
        if below.holds_ours()? {
            own.insert(below_name.clone(), value.clone());
        } else {
            alone.insert(below_name.clone(), value.clone());
        }
    }
    let native = Agg { kind: agg.kind, body: agg.body, below: (!alone.is_empty()).then_some(&alone) };
    let mut request = Object::new();
    request.insert(name.to_owned(), translate(lane, name, &native)?);
    let result = run(lane, selection, &request)?.get(name).cloned();
    let mut result = polish(lane, &native, result);
    let Some(buckets) = result.get_mut("buckets").and_then(Value::as_array_mut) else {
        return Err(EsError::argument(format!(
            "[{name}] of type [{}] cannot hold the aggregations below it",
            agg.kind
        )));
    };
    if buckets.len() > MOST_SEARCHED_BUCKETS {
        return Err(EsError::argument(format!(
            "[{name}] has more than {MOST_SEARCHED_BUCKETS} buckets with searches below"
        )));
    }
    let field = field_of(agg.body, agg.kind)?;
    for bucket in buckets {
        let key = bucket.get("key").cloned().unwrap_or_default();
        let query = match agg.kind {
            "terms" => {
                let text = bucket.get("key_as_string").and_then(Value::as_str).map(str::to_owned);
                let text =
                    text.unwrap_or_else(|| key.as_str().map_or_else(|| key.to_string(), str::to_owned));
                json!({ "term": { field: { "value": text } } })
            }
            "date_histogram" | "histogram" => {
                let width = if agg.kind == "histogram" {
                    agg.body.get("interval").and_then(Value::as_f64).unwrap_or(1.0)
                } else {
                    interval_ms(agg.body)? as f64
                };
                let from = key.as_f64().unwrap_or(0.0);
                json!({ "range": { field: { "gte": whole(Some(from)), "lt": whole(Some(from + width)) } } })
            }
            other => {
                return Err(EsError::argument(format!(
                    "[{other}] cannot hold the aggregations below [{name}]"
                )));
            }
        };
        let narrowed = within(selection, Occur::Must, compiled(lane, &query)?);
        if let Some(bucket) = bucket.as_object_mut() {
            bucket.extend(level(lane, &narrowed, &own, depth + 1)?);
        }
    }
    Ok(result)
}
