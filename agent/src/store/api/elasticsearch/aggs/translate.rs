//! One aggregation in the engine's words: its options, its column, its bounds, the width of its buckets.

use serde_json::{Map, Value, json};

use super::super::error::EsError;
use super::Agg;
use crate::store::events::Lane;
use crate::store::events::schema::Column;
use crate::store::query::dates;

pub(super) const MOST_BUCKETS: i64 = 65_535;

/// The field that a body names.
pub(super) fn field_of<'a>(body: &'a Value, kind: &str) -> Result<&'a str, EsError> {
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
pub(super) fn translate(lane: &Lane, name: &str, agg: &Agg<'_>) -> Result<Value, EsError> {
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
    let mut body = Map::new();
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
    let mut out = Map::new();
    out.insert(kind.to_owned(), Value::Object(body));
    if let Some(below) = agg.below {
        let mut aggs = Map::new();
        for (name, value) in below {
            aggs.insert(name.clone(), translate(lane, name, &Agg::read(name, value)?)?);
        }
        out.insert("aggs".to_owned(), Value::Object(aggs));
    }
    Ok(Value::Object(out))
}

pub(super) fn edge(lane: &Lane, bounds: &Value, key: &str) -> Result<i64, EsError> {
    let value = bounds.get(key).cloned().unwrap_or_default();
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    dates::interval(&text, (lane.clock)())
        .map(|(from, _)| from)
        .ok_or_else(|| EsError::parsing(format!("failed to parse [{key}] of the bounds: [{text}]")))
}

/// Width of a date histogram's buckets.
pub(super) fn interval_ms(body: &Value) -> Result<i64, EsError> {
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
