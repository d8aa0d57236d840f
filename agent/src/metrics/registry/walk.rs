//! Every sample of the registry as plain name, labels and number: for stores that keep numbers.

use std::borrow::Cow;
use std::sync::Arc;

use super::Registry;
use super::family::Shape;
use super::series::{Value, read_labels, unescape};
use crate::metrics::histogram::Native;
use crate::metrics::naming::Observer;

/// How many series are copied under one lock.
pub(crate) const PAGE: usize = 512;

/// Takes one sample: its name, its labels by ascending key, its value.
pub type Each<'e> = dyn FnMut(&str, &[(&str, &str)], f64) + 'e;

impl Registry {
    /// Calls `each` with every sample as a scrape would show it: buckets, sums, counts and quantiles under their own
    /// names. Labels are by ascending key. `now` is in seconds since the epoch.
    pub fn samples(&self, now: u64, each: &mut Each<'_>) {
        let mut page = Vec::with_capacity(PAGE);
        let mut scratch = Vec::new();
        for family in self.all_families() {
            let [bucket, sum, count] = ["_bucket", "_sum", "_count"].map(|s| format!("{}{s}", family.name));
            let mut after: Option<Arc<super::Series>> = None;
            loop {
                family.page(after.as_ref().map(|s| &*s.labels), PAGE, &mut page);
                for series in &page {
                    let owned: Vec<(&str, Cow<'_, str>)> =
                        read_labels(&series.labels).map(|(k, v)| (k, unescape(v))).collect();
                    let labels: Vec<(&str, &str)> = owned.iter().map(|(k, v)| (*k, v.as_ref())).collect();
                    match &series.value {
                        Value::Counter(number) | Value::Gauge(number) => {
                            each(&family.name, &labels, number.get())
                        }
                        Value::Set(set) => {
                            let size = set.lock().size(now);
                            each(&family.name, &labels, size);
                        }
                        Value::Summary(summary) => {
                            let mut summary = summary.lock();
                            summary.quantiles(now, &mut scratch, |quantile, value| {
                                with_label(&labels, "quantile", &quantile.to_string(), |l| {
                                    each(&family.name, l, value);
                                });
                            });
                            each(&sum, &labels, summary.sum());
                            each(&count, &labels, summary.count());
                        }
                        Value::Histogram(histogram) => {
                            let histogram = histogram.lock().clone();
                            let bounds = histogram.bounds().iter().copied().chain([f64::INFINITY]);
                            for (bound, total) in bounds.zip(histogram.cumulative()) {
                                with_label(&labels, "le", &bound_text(bound), |l| each(&bucket, l, total));
                            }
                            each(&sum, &labels, histogram.sum());
                            each(&count, &labels, histogram.count());
                        }
                    }
                }
                match page.pop() {
                    Some(last) if page.len() + 1 == PAGE => after = Some(last),
                    _ => break,
                }
            }
        }
    }
}

/// Takes one native histogram: its name, its labels by ascending key, its buckets, the sum of what was observed.
pub type EachNative<'e> = dyn FnMut(&str, &[(&str, &str)], &Native, f64) + 'e;

impl Registry {
    /// Calls `each` with every histogram that keeps native buckets. Labels are by ascending key.
    pub fn natives(&self, each: &mut EachNative<'_>) {
        let mut page = Vec::with_capacity(PAGE);
        let families = self.all_families();
        for family in families.iter().filter(|f| matches!(f.shape, Shape::Observer(Observer::Histogram(_)))) {
            let mut after: Option<Arc<super::Series>> = None;
            loop {
                family.page(after.as_ref().map(|s| &*s.labels), PAGE, &mut page);
                for series in &page {
                    let Value::Histogram(histogram) = &series.value else { continue };
                    let (native, sum) = {
                        let histogram = histogram.lock();
                        let Some(native) = histogram.native() else { continue };
                        (native.clone(), histogram.sum())
                    };
                    let owned: Vec<(&str, Cow<'_, str>)> =
                        read_labels(&series.labels).map(|(k, v)| (k, unescape(v))).collect();
                    let labels: Vec<(&str, &str)> = owned.iter().map(|(k, v)| (*k, v.as_ref())).collect();
                    each(&family.name, &labels, &native, sum);
                }
                match page.pop() {
                    Some(last) if page.len() + 1 == PAGE => after = Some(last),
                    _ => break,
                }
            }
        }
    }
}

/// An upper bound as the label `le` says it.
pub(super) fn bound_text(bound: f64) -> String {
    if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() }
}

pub(super) fn with_label(
    labels: &[(&str, &str)],
    key: &str,
    value: &str,
    then: impl FnOnce(&[(&str, &str)]),
) {
    let mut with = labels.to_vec();
    let at = with.partition_point(|(k, _)| *k < key);
    with.insert(at, (key, value));
    then(&with);
}
