//! Aggregations: most go to the engine as they are, with field names turned into columns; `filter`, `filters`,
//! `missing`, `global` and `top_hits` are computed here, as is whatever stands below them.

mod shape;

use serde_json::{Map, Value, json};
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::query::{AllQuery, BooleanQuery, Occur, Query};

use super::dsl;
use super::error::EsError;
use super::request::{present, whole};
use super::source::Wanted;
use crate::store::events::schema::Column;
use crate::store::events::{EventStore, Lane, Search, Selection, Sort};
use crate::store::query::{Node, dates};
pub(crate) use shape::iso;
use shape::polish;

type Object = Map<String, Value>;

const DEEPEST: usize = 8;
/// Buckets below which something is computed here, one search each.
const MOST_SEARCHED_BUCKETS: usize = 500;
const MOST_BUCKETS: i64 = 65_535;

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

fn field_of<'a>(body: &'a Value, kind: &str) -> Result<&'a str, EsError> {
    body.get("field")
        .and_then(Value::as_str)
        .ok_or_else(|| EsError::parsing(format!("Required [field] for [{kind}]; scripts are not supported")))
}

/// Options that the engine understands, for each of its aggregations.
fn options(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "terms" => &["size", "shard_size", "min_doc_count", "order", "missing", "include", "exclude"],
        "date_histogram" => {
            &["fixed_interval", "offset", "min_doc_count", "extended_bounds", "hard_bounds", "keyed"]
        }
        "histogram" => &["interval", "offset", "min_doc_count", "extended_bounds", "hard_bounds", "keyed"],
        "range" => &["ranges", "keyed"],
        "percentiles" => &["percents", "keyed", "missing"],
        "cardinality" => &["missing"],
        "avg" | "min" | "max" | "sum" | "stats" | "extended_stats" | "value_count" => &["missing"],
        _ => return None,
    })
}

/// The aggregation in the engine's words.
fn translate(lane: &Lane, name: &str, agg: &Agg<'_>) -> Result<Value, EsError> {
    let kind = if agg.kind == "count" { "value_count" } else { agg.kind };
    let Some(known) = options(kind) else {
        return Err(EsError::parsing(format!("Unknown aggregation type [{kind}] of [{name}]")));
    };
    let field = field_of(agg.body, kind)?;
    let column = match lane.fields.column(lane.kind, field) {
        Column::Named(column) => column,
        Column::None if kind == "value_count" && field == "_id" => {
            crate::store::events::schema::ORDER.to_owned()
        }
        Column::None => {
            return Err(EsError::argument(format!(
                "Fielddata is disabled on [{field}]: it is text, found by its words; aggregate over a field with exact values"
            )));
        }
    };
    let mut body = Object::new();
    body.insert("field".to_owned(), column.into());
    for (key, value) in agg.body.as_object().into_iter().flatten() {
        if known.contains(&key.as_str()) {
            body.insert(key.clone(), value.clone());
        }
    }
    match kind {
        "terms" => {
            if let Some(Value::Array(orders)) = body.get("order") {
                let first = orders.first().cloned().unwrap_or_else(|| json!({ "_count": "desc" }));
                body.insert("order".to_owned(), first);
            }
            if let Some(Value::Object(order)) = body.get_mut("order")
                && let Some(direction) = order.remove("_term")
            {
                order.insert("_key".to_owned(), direction);
            }
            if body.get("size").and_then(Value::as_u64) == Some(0) {
                body.insert("size".to_owned(), MOST_BUCKETS.into());
            }
        }
        "date_histogram" => {
            let width = interval_ms(agg.body)?;
            body.insert("fixed_interval".to_owned(), format!("{width}ms").into());
            for key in ["extended_bounds", "hard_bounds"] {
                if let Some(bounds) = body.get(key).cloned() {
                    let (min, max) = (edge(lane, &bounds, "min")?, edge(lane, &bounds, "max")?);
                    if (max - min) / width > MOST_BUCKETS {
                        return Err(EsError::argument(format!(
                            "Trying to create too many buckets. Must be less than or equal to: [{MOST_BUCKETS}]"
                        )));
                    }
                    body.insert(key.to_owned(), json!({ "min": min, "max": max }));
                }
            }
        }
        _ => {}
    }
    let mut out = Object::new();
    out.insert(kind.to_owned(), Value::Object(body));
    if let Some(below) = agg.below {
        let mut aggs = Object::new();
        for (name, value) in below {
            aggs.insert(name.clone(), translate(lane, name, &Agg::read(name, value)?)?);
        }
        out.insert("aggs".to_owned(), Value::Object(aggs));
    }
    Ok(Value::Object(out))
}

fn edge(lane: &Lane, bounds: &Value, key: &str) -> Result<i64, EsError> {
    let value = bounds.get(key).cloned().unwrap_or_default();
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    dates::interval(&text, (lane.clock)())
        .map(|(from, _)| from)
        .ok_or_else(|| EsError::parsing(format!("failed to parse [{key}] of the bounds: [{text}]")))
}

/// Width of a date histogram's buckets.
fn interval_ms(body: &Value) -> Result<i64, EsError> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let given = text("fixed_interval").or_else(|| text("calendar_interval")).or_else(|| text("interval"));
    let given = given.ok_or_else(|| {
        EsError::parsing(
            "Required one of fields [fixed_interval, calendar_interval], but none were specified",
        )
    })?;
    let (digits, unit) = given.split_at(given.find(|c: char| !c.is_ascii_digit()).unwrap_or(given.len()));
    let count: i64 = if digits.is_empty() { 1 } else { digits.parse().unwrap_or(0) };
    let unit = match unit {
        "ms" => 1,
        "s" | "second" => 1_000,
        "m" | "minute" => 60_000,
        "h" | "hour" => 3_600_000,
        "d" | "day" => 86_400_000,
        "w" | "week" => 7 * 86_400_000,
        "M" | "month" | "q" | "quarter" | "y" | "year" => {
            return Err(EsError::argument(format!(
                "[{given}] has no fixed length and is not supported; use days, as in 30d"
            )));
        }
        _ => {
            return Err(EsError::parsing(format!(
                "failed to parse the interval [{given}]; write 30s, 5m, 1h, 1d"
            )));
        }
    };
    count
        .checked_mul(unit)
        .filter(|ms| *ms > 0)
        .ok_or_else(|| EsError::parsing(format!("the interval [{given}] must be greater than 0")))
}
