//! The notation of native histograms in test files, and custom-bucket histograms made from classic ones.
use super::series::number;
use sightline_agent::store::metrics::labels::{Labels, NAME};
use sightline_agent::store::promql::histogram::{Buckets, CUSTOM, Hint, Histogram};
use sightline_agent::store::promql::{Sample, Samples};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads one `{{…}}`, `{{…}}x3` or `{{…}}+{{…}}x3` and gives what follows.
pub(crate) fn values<'a>(text: &'a str, out: &mut Vec<Sample>) -> &'a str {
    let (first, mut rest) = one(text);
    let mut step = None;
    if let Some(after) = rest.strip_prefix(['+', '-']) {
        let minus = rest.starts_with('-');
        let (h, after) = one(after);
        step = Some((minus, h));
        rest = after;
    }
    let mut times = 0;
    if let Some(after) = rest.strip_prefix('x') {
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        times = after[..end].parse().unwrap();
        rest = &after[end..];
    }
    let mut current = first;
    for i in 0..=times {
        if i > 0
            && let Some((minus, by)) = &step
        {
            let hint = current.hint;
            let next = if *minus { current.sub(by) } else { current.add(by) };
            current = next.unwrap().0;
            current.hint = hint;
        }
        out.push(Sample::Histogram(Arc::new(current.clone())));
    }
    rest
}

fn one(text: &str) -> (Histogram, &str) {
    let end = text.find("}}").unwrap();
    (fields(&text[2..end]), &text[end + 2..])
}

fn fields(text: &str) -> Histogram {
    let mut h = Histogram { zero_threshold: 0.0, ..Histogram::default() };
    let (mut offset, mut n_offset) = (0, 0);
    let (mut buckets, mut n_buckets): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').unwrap();
        let end = if after.starts_with('[') {
            after.find(']').unwrap() + 1
        } else {
            after.find(char::is_whitespace).unwrap_or(after.len())
        };
        let value = &after[..end];
        let list = || {
            value
                .trim_matches(['[', ']'])
                .split_whitespace()
                .map(|v| number(v).unwrap())
                .collect::<Vec<f64>>()
        };
        match key.trim() {
            "schema" => h.schema = value.parse().unwrap(),
            "sum" => h.sum = number(value).unwrap(),
            "count" => h.count = number(value).unwrap(),
            "z_bucket" => h.zero_count = number(value).unwrap(),
            "z_bucket_w" => h.zero_threshold = number(value).unwrap(),
            "buckets" => buckets = list(),
            "n_buckets" => n_buckets = list(),
            "offset" => offset = value.parse().unwrap(),
            "n_offset" => n_offset = value.parse().unwrap(),
            "custom_values" => h.custom = list().into(),
            "counter_reset_hint" => {
                h.hint = match value {
                    "gauge" => Hint::Gauge,
                    "reset" => Hint::Reset,
                    "not_reset" => Hint::NotReset,
                    _ => Hint::Unknown,
                }
            }
            other => panic!("unknown histogram field {other:?}"),
        }
        rest = after[end..].trim_start();
    }
    let place = |list: Vec<f64>, from: i32| -> Buckets {
        list.into_iter().enumerate().map(|(i, v)| (from + i as i32, v)).filter(|b| b.1 != 0.0).collect()
    };
    h.positive = place(buckets, offset);
    h.negative = place(n_buckets, n_offset);
    h
}

/// Sets the hints that a storage gives to histograms that it has kept in order.
pub(crate) fn hint(samples: &mut Samples) {
    let mut before: Option<Arc<Histogram>> = None;
    for slot in &mut samples.histograms {
        let Some(h) = slot else {
            before = None;
            continue;
        };
        if h.hint != Hint::Gauge {
            let mut new = h.as_ref().clone();
            // The first after a reset begins a chunk, of whose past a storage says nothing.
            new.hint = Hint::Unknown;
            if let Some(b) = before.as_ref().filter(|b| b.hint != Hint::Gauge)
                && h.hint != Hint::Reset
                && !new.resets_after(b)
            {
                new.hint = Hint::NotReset;
            }
            *slot = Some(Arc::new(new));
        }
        before = slot.clone();
    }
}

/// One series of custom-bucket histograms for each classic histogram among `series`.
pub(crate) fn from_classic(series: &[(Labels, Vec<Sample>)]) -> Vec<(Labels, Vec<Sample>)> {
    #[derive(Default)]
    struct Parts {
        buckets: Vec<(f64, Vec<Sample>)>,
        sum: Option<Vec<Sample>>,
        count: Option<Vec<Sample>>,
    }
    let mut groups: BTreeMap<Labels, Parts> = BTreeMap::new();
    for (labels, values) in series {
        let name = labels.name().to_owned();
        let Some((base, part)) =
            ["_bucket", "_sum", "_count"].iter().find_map(|s| Some((name.strip_suffix(s)?, *s)))
        else {
            continue;
        };
        let group = groups.entry(labels.with(NAME, base).with("le", "")).or_default();
        match part {
            "_bucket" => {
                let Some(le) = labels.get("le").and_then(|le| le.parse().ok()) else { continue };
                group.buckets.push((le, values.clone()));
            }
            "_sum" => group.sum = Some(values.clone()),
            _ => group.count = Some(values.clone()),
        }
    }
    let mut out = Vec::new();
    for (labels, mut parts) in groups {
        if parts.buckets.is_empty() {
            continue;
        }
        parts.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let steps = parts.buckets.iter().map(|b| b.1.len()).max().unwrap_or(0);
        let values = (0..steps).map(|i| custom(&parts.buckets, &parts.sum, &parts.count, i)).collect();
        out.push((labels, values));
    }
    out
}

fn custom(
    buckets: &[(f64, Vec<Sample>)],
    sum: &Option<Vec<Sample>>,
    count: &Option<Vec<Sample>>,
    i: usize,
) -> Sample {
    let at = |values: &Vec<Sample>| values.get(i).and_then(Sample::float);
    let mut bounds: Vec<f64> = Vec::new();
    let mut cumulative: Vec<f64> = Vec::new();
    for (le, values) in buckets {
        let Some(v) = at(values) else { continue };
        if bounds.last() == Some(le) {
            continue;
        }
        bounds.push(*le);
        cumulative.push(v);
    }
    if bounds.is_empty() {
        return Sample::Absent;
    }
    let total = count.as_ref().and_then(at);
    if bounds.last() != Some(&f64::INFINITY) {
        bounds.push(f64::INFINITY);
        cumulative.push(total.unwrap_or(*cumulative.last().unwrap()));
    }
    let mut positive = Buckets::new();
    let mut before = 0.0;
    for (k, c) in cumulative.iter().enumerate() {
        if *c != before {
            positive.push((k as i32, c - before));
        }
        before = *c;
    }
    bounds.pop();
    Sample::Histogram(Arc::new(Histogram {
        schema: CUSTOM,
        count: before,
        sum: sum.as_ref().and_then(at).unwrap_or(0.0),
        positive,
        custom: bounds.into(),
        ..Histogram::default()
    }))
}
