//! What the engine gives, in the form that Elasticsearch gives it. Pure.

use serde_json::{Value, json};

use sightline_instrument::wire::field;

use super::super::request::whole;
use super::Agg;
use super::translate::{MOST_BUCKETS, edge, interval_ms};
use crate::store::events::Lane;
use crate::store::events::schema::Column;

/// Makes the engine's result look like Elasticsearch's, also where no part held anything.
pub(super) fn polish(lane: &Lane, agg: &Agg<'_>, result: Option<Value>) -> Value {
    let Some(mut result) = result else { return empty(lane, agg) };
    if let Some(value) = result.get_mut("value") {
        *value = whole(value.as_f64());
    }
    // The engine counts time in nanoseconds.
    let over_time = agg.body.get("field").and_then(Value::as_str).is_some_and(|name| {
        lane.fields.column(lane.kind, name) == Column::Named(field::TIMESTAMP.to_owned())
    });
    if over_time
        && matches!(agg.kind, "min" | "max" | "avg")
        && let Some(ms) = result.get("value").and_then(Value::as_f64).map(|ns| (ns / 1e6).round() as i64)
    {
        result = json!({ "value": ms, "value_as_string": iso(ms) });
    }
    if let Some(Value::Object(values)) = result.get_mut("values") {
        values.values_mut().filter(|v| v.as_f64().is_some_and(f64::is_nan)).for_each(|v| *v = Value::Null);
    }
    let fix = |bucket: &mut Value| {
        if let Some(number) = bucket.get("key").and_then(Value::as_f64) {
            bucket["key"] = whole(Some(number));
        }
        if agg.kind == "date_histogram"
            && let Some(ms) = bucket.get("key").and_then(Value::as_i64)
        {
            bucket["key_as_string"] = iso(ms).into();
        }
        for (name, value) in agg.below.into_iter().flatten() {
            if let Ok(below) = Agg::read(name, value) {
                let inner = bucket.get_mut(name.as_str()).map(Value::take);
                bucket[name.as_str()] = polish(lane, &below, inner);
            }
        }
    };
    match result.get_mut("buckets") {
        Some(Value::Array(buckets)) => buckets.iter_mut().for_each(fix),
        Some(Value::Object(buckets)) => buckets.values_mut().for_each(fix),
        _ => {}
    }
    result
}

fn empty(lane: &Lane, agg: &Agg<'_>) -> Value {
    match agg.kind {
        "terms" => json!({ "doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": [] }),
        "date_histogram" => {
            // Charts want their whole time axis, also when it is empty.
            let bounds = agg.body.get("extended_bounds");
            let edges = bounds.and_then(|b| Some((edge(lane, b, "min").ok()?, edge(lane, b, "max").ok()?)));
            let least = agg.body.get("min_doc_count").and_then(Value::as_u64).unwrap_or(0);
            let mut buckets = Vec::new();
            if let (Some((min, max)), Ok(width), 0) = (edges, interval_ms(agg.body), least) {
                let mut at = min.div_euclid(width) * width;
                while at <= max && (buckets.len() as i64) < MOST_BUCKETS {
                    let mut bucket = json!({ "key": at, "key_as_string": iso(at), "doc_count": 0 });
                    for (name, value) in agg.below.into_iter().flatten() {
                        if let Ok(below) = Agg::read(name, value) {
                            bucket[name.as_str()] = empty(lane, &below);
                        }
                    }
                    buckets.push(bucket);
                    at += width;
                }
            }
            json!({ "buckets": buckets })
        }
        "histogram" | "range" => json!({ "buckets": [] }),
        "percentiles" => json!({ "values": {} }),
        "value_count" | "count" | "cardinality" => json!({ "value": 0 }),
        "stats" | "extended_stats" => json!({ "count": 0, "min": null, "max": null, "avg": null, "sum": 0 }),
        "sum" => json!({ "value": 0 }),
        _ => json!({ "value": null }),
    }
}

/// `2026-11-24T10:00:00.000Z`
pub(crate) fn iso(ms: i64) -> String {
    let Ok(at) = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000) else {
        return ms.to_string();
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}
