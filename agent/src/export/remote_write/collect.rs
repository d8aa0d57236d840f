//! What there is to send at one moment: every series of the registry and of the agent itself, and a staleness marker
//! for each that was sent the last time and is gone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch::{Batch, Builder, Kind, Row, Value};
use super::native;
use crate::metrics::exposition::Exposition;
use crate::metrics::registry::Registry;
use crate::metrics::registry::family::{Family, Shape};
use crate::metrics::registry::series::{self, Series, read_labels, unescape};

/// The number by which Prometheus knows that a series has ended.
pub(super) const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// Series copied under one lock.
const PAGE: usize = 256;

/// Takes snapshots of a registry, and knows what the last one held.
#[derive(Debug)]
pub(super) struct Collector {
    /// Added to series without a label of that name.
    extra: Vec<(String, String)>,
    native: bool,
    most: usize,
    last: Vec<(Arc<Family>, Vec<Arc<Series>>)>,
    last_own: BTreeMap<String, Vec<(String, String)>>,
    last_ms: i64,
}

impl Collector {
    /// `extra` labels go to every series; batches hold at most `most` samples.
    pub(super) fn new(extra: Vec<(String, String)>, native: bool, most: usize) -> Self {
        Collector { extra, native, most, last: Vec::new(), last_own: BTreeMap::new(), last_ms: 0 }
    }

    /// Everything as it is at `now_ms`, in batches. `own` is the agent's own metrics as text 0.0.4.
    pub(super) fn collect(&mut self, registry: &Registry, own: &str, now_ms: i64) -> Vec<Batch> {
        let mut sink = Sink {
            extra: &self.extra,
            native: self.native,
            at_ms: now_ms,
            exemplars_after: self.last_ms,
            builder: Builder::new(self.most),
            batches: Vec::new(),
        };
        let families = registry.all_families();
        for (family, series) in &self.last {
            let now = families.binary_search_by(|f| f.name.cmp(&family.name)).ok().map(|at| &families[at]);
            let is_back = |s: &Series| now.is_some_and(|now| now.series.lock().contains::<str>(&s.labels));
            for gone in series.iter().filter(|s| s.has_ended() && !is_back(s)) {
                sink.series(family, gone, true);
            }
        }
        let mut current = Vec::with_capacity(families.len());
        let mut page = Vec::with_capacity(PAGE);
        for family in families {
            let mut all: Vec<Arc<Series>> = Vec::new();
            loop {
                family.page(all.last().map(|s| &*s.labels), PAGE, &mut page);
                for series in &page {
                    sink.series(&family, series, false);
                }
                let full = page.len() == PAGE;
                all.append(&mut page);
                if !full {
                    break;
                }
            }
            current.push((family, all));
        }
        let own = sink.own(own, &self.last_own);
        let Sink { mut builder, mut batches, .. } = sink;
        batches.extend(builder.finish());
        (self.last, self.last_own, self.last_ms) = (current, own, now_ms);
        batches
    }
}

struct Sink<'c> {
    extra: &'c [(String, String)],
    native: bool,
    at_ms: i64,
    exemplars_after: i64,
    builder: Builder,
    batches: Vec<Batch>,
}

/// What the rows of one series have in common.
#[derive(Clone, Copy)]
struct Common<'a> {
    labels: &'a [(&'a str, &'a str)],
    kind: Kind,
    help: &'a str,
    created_ms: i64,
    stale: bool,
}

impl Sink<'_> {
    fn series(&mut self, family: &Family, series: &Series, stale: bool) {
        let owned: Vec<(&str, Cow<'_, str>)> =
            read_labels(&series.labels).map(|(k, v)| (k, unescape(v))).collect();
        let labels: Vec<(&str, &str)> = owned.iter().map(|(k, v)| (*k, v.as_ref())).collect();
        let kind = match &family.shape {
            Shape::Counter => Kind::Counter,
            Shape::Gauge | Shape::Set => Kind::Gauge,
            Shape::Observer(_) if family.shape.type_word() == "summary" => Kind::Summary,
            Shape::Observer(_) => Kind::Histogram,
        };
        let common = Common {
            labels: &labels,
            kind,
            help: family.help.as_deref().unwrap_or_default(),
            created_ms: if kind == Kind::Gauge { 0 } else { i64::from(series.created) * 1000 },
            stale,
        };
        let now = u64::try_from(self.at_ms / 1000).unwrap_or_default();
        let name = &*family.name;
        match &series.value {
            series::Value::Counter(number) | series::Value::Gauge(number) => {
                self.row(common, name, None, Value::Float(number.get()), None);
            }
            series::Value::Set(set) => {
                let size = set.lock().size(now);
                self.row(common, name, None, Value::Float(size), None);
            }
            series::Value::Summary(summary) => {
                let mut quantiles = Vec::new();
                let (sum, count) = {
                    let mut summary = summary.lock();
                    summary.quantiles(now, &mut Vec::new(), |q, value| quantiles.push((q, value)));
                    (summary.sum(), summary.count())
                };
                for (quantile, value) in quantiles {
                    let bound = quantile.to_string();
                    self.row(common, name, Some(("quantile", &bound)), Value::Float(value), None);
                }
                self.row(common, &format!("{name}_sum"), None, Value::Float(sum), None);
                self.row(common, &format!("{name}_count"), None, Value::Float(count), None);
            }
            series::Value::Histogram(histogram) => {
                let histogram = histogram.lock().clone();
                let bucket = format!("{name}_bucket");
                let bounds = histogram.bounds().iter().map(f64::to_string).chain(["+Inf".to_owned()]);
                for (at, (bound, total)) in bounds.zip(histogram.cumulative()).enumerate() {
                    let exemplar = histogram.exemplars().get(at).and_then(Option::as_ref);
                    let exemplar = exemplar
                        .filter(|e| e.at_ms > self.exemplars_after && !stale)
                        .map(|e| (e.trace_id(), e.value, e.at_ms));
                    self.row(common, &bucket, Some(("le", &bound)), Value::Float(total), exemplar);
                }
                self.row(common, &format!("{name}_sum"), None, Value::Float(histogram.sum()), None);
                self.row(common, &format!("{name}_count"), None, Value::Float(histogram.count()), None);
                if self.native
                    && let Some(native) = native::convert(&histogram)
                {
                    self.row(common, name, None, Value::Native(Box::new(native)), None);
                }
            }
        }
    }

    /// The agent's own metrics. Returns what was sent, for the next time.
    fn own(
        &mut self,
        text: &str,
        last: &BTreeMap<String, Vec<(String, String)>>,
    ) -> BTreeMap<String, Vec<(String, String)>> {
        let Ok(own) = Exposition::parse(text) else { return BTreeMap::new() };
        let mut sent = BTreeMap::new();
        for sample in own.samples {
            let (family, kind) = own.types.get_key_value(&sample.name).map_or(("", ""), |(k, v)| (k, v));
            let help = own.helps.get(family).map_or("", String::as_str);
            let kind = match kind {
                "counter" => Kind::Counter,
                "gauge" => Kind::Gauge,
                _ => Kind::Unknown,
            };
            let labels: Vec<(&str, &str)> =
                sample.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let common = Common { labels: &labels, kind, help, created_ms: 0, stale: false };
            self.row(common, &sample.name, None, Value::Float(sample.value), None);
            let series = sample.series();
            let mut key = sample.labels;
            key.insert(0, (String::new(), sample.name));
            sent.insert(series, key);
        }
        for (_, key) in last.iter().filter(|(series, _)| !sent.contains_key(*series)) {
            let labels: Vec<(&str, &str)> = key[1..].iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let common =
                Common { labels: &labels, kind: Kind::Unknown, help: "", created_ms: 0, stale: true };
            self.row(common, &key[0].1, None, Value::Float(STALE), None);
        }
        sent
    }

    fn row(
        &mut self,
        common: Common<'_>,
        name: &str,
        bound: Option<(&str, &str)>,
        value: Value,
        exemplar: Option<(&str, f64, i64)>,
    ) {
        let mut labels = Vec::with_capacity(common.labels.len() + self.extra.len() + 2);
        labels.push(("__name__", name));
        labels.extend(bound);
        labels.extend_from_slice(common.labels);
        for (key, value) in self.extra {
            if !common.labels.iter().any(|(k, _)| k == key) {
                labels.push((key, value));
            }
        }
        // An empty label is none.
        labels.retain(|(_, value)| !value.is_empty());
        labels.sort_unstable();
        let row = Row {
            labels: &labels,
            value: if common.stale { Value::Float(STALE) } else { value },
            kind: common.kind,
            help: common.help,
            at_ms: self.at_ms,
            created_ms: common.created_ms,
            exemplar,
        };
        self.batches.extend(self.builder.add(&row));
    }
}

#[cfg(test)]
mod tests;
