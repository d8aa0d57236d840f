//! `/status/*`: what answers here, and how much it holds.
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::envelope::{Failure, Reply};
use super::params::Params;
use crate::store::metrics::Store;
use crate::store::metrics::labels::NAME;
use crate::store::metrics::matcher::{Matcher, Op};

/// The version of Prometheus whose API and language this is; clients decide by it what they may ask.
const SPEAKS: &str = "3.0.0";

pub(super) fn build(_: &Store, _: &Params, _: &AtomicBool) -> Result<Reply, Failure> {
    Reply::of(&serde_json::json!({
        "version": SPEAKS,
        "revision": concat!("sightline ", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

/// Rows of each table.
const TOP: usize = 10;

pub(super) fn tsdb(store: &Store, params: &Params, _: &AtomicBool) -> Result<Reply, Failure> {
    let limit = match params.get("limit") {
        Some(_) => params.limit("limit")?,
        None => TOP,
    };
    let stats = store.stats();
    let everything: Vec<Matcher> = Matcher::new(NAME, Op::NotEqual, "").into_iter().collect();
    let series = store.series(&everything, i64::MAX, i64::MAX);
    let (mut names, mut values, mut bytes, mut pairs) =
        (BTreeMap::new(), BTreeMap::<&str, BTreeMap<&str, u64>>::new(), BTreeMap::new(), BTreeMap::new());
    for (_, labels) in &series {
        *names.entry(labels.name()).or_insert(0u64) += 1;
        for (n, v) in labels.iter() {
            *values.entry(n).or_default().entry(v).or_default() += 1;
        }
    }
    let mut labels = BTreeMap::new();
    for (label, counts) in &values {
        labels.insert(*label, counts.len() as u64);
        bytes.insert(*label, counts.keys().map(|v| v.len() as u64).sum());
        for (v, n) in counts {
            pairs.insert(format!("{label}={v}"), *n);
        }
    }
    Reply::of(&serde_json::json!({
        "headStats": {
            "numSeries": stats.series,
            "numLabelPairs": pairs.len(),
            "chunkCount": stats.head_samples.div_ceil(120),
            "minTime": stats.oldest.unwrap_or(0),
            "maxTime": stats.newest.unwrap_or(0),
        },
        "seriesCountByMetricName": top(names, limit),
        "labelValueCountByLabelName": top(labels, limit),
        "memoryInBytesByLabelName": top(bytes, limit),
        "seriesCountByLabelValuePair": top(pairs, limit),
        "store": stats,
    }))
}

fn top<K: ToString>(counts: BTreeMap<K, u64>, limit: usize) -> Vec<serde_json::Value> {
    let mut rows: Vec<(K, u64)> = counts.into_iter().collect();
    rows.sort_by_key(|r| std::cmp::Reverse(r.1));
    rows.truncate(limit);
    rows.into_iter()
        .map(|(name, value)| serde_json::json!({ "name": name.to_string(), "value": value }))
        .collect()
}
