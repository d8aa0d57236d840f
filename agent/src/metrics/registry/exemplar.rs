//! The trace behind a timing: the spans lane says it, the histogram of the same labels keeps it.

use std::borrow::Cow;
use std::sync::Arc;

use sightline_instrument::wire::{label, metric};

use super::Registry;
use super::series::{Value, read_labels, render_labels, unescape};
use super::walk::{PAGE, bound_text, with_label};
use crate::hooks;
use crate::metrics::histogram::Exemplar;

/// Takes one exemplar: name and labels (by ascending key) of its bucket, and what it says.
pub type EachExemplar<'e> = dyn FnMut(&str, &[(&str, &str)], &Exemplar) + 'e;

impl Registry {
    /// Remembers the trace behind a timing of the convention. Without that timing, or without a proper trace id,
    /// nothing happens: a span makes no series.
    pub fn exemplar(&self, exemplar: &hooks::Exemplar<'_>) {
        let Ok(trace_id) = <[u8; 32]>::try_from(exemplar.trace_id.as_bytes()) else { return };
        let hexadecimal = trace_id.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !hexadecimal || !exemplar.seconds.is_finite() {
            return;
        }
        let labels = render_labels([
            (label::ENVIRONMENT, exemplar.environment),
            (label::GROUP, exemplar.group),
            (label::HOST, exemplar.host),
            (label::SEGMENT, exemplar.segment),
            (label::SERVICE, exemplar.service),
        ]);
        let families = self.families.read();
        let Some(family) = families.get(metric::TIMING) else { return };
        let series = family.series.lock();
        if let Some(Value::Histogram(histogram)) = series.get(labels.as_str()).map(|s| &s.0.value) {
            histogram.lock().exemplar(Exemplar { trace_id, value: exemplar.seconds, at_ms: exemplar.at_ms });
        }
    }

    /// Calls `each` with the newest exemplar of every bucket that has one, under the names that
    /// [`Registry::samples`] gives to buckets. Only timings have exemplars.
    pub fn exemplars(&self, each: &mut EachExemplar<'_>) {
        let Some(family) = self.families.read().get(metric::TIMING).cloned() else { return };
        let name = format!("{}_bucket", family.name);
        let mut page = Vec::with_capacity(PAGE);
        let mut after: Option<Arc<super::Series>> = None;
        loop {
            family.page(after.as_ref().map(|s| &*s.labels), PAGE, &mut page);
            for series in &page {
                let Value::Histogram(histogram) = &series.value else { continue };
                let histogram = histogram.lock();
                if histogram.exemplars().is_empty() {
                    continue;
                }
                let histogram = histogram.clone();
                let owned: Vec<(&str, Cow<'_, str>)> =
                    read_labels(&series.labels).map(|(k, v)| (k, unescape(v))).collect();
                let labels: Vec<(&str, &str)> = owned.iter().map(|(k, v)| (*k, v.as_ref())).collect();
                let bounds = histogram.bounds().iter().copied().chain([f64::INFINITY]);
                for (bound, exemplar) in bounds.zip(histogram.exemplars()) {
                    if let Some(exemplar) = exemplar {
                        with_label(&labels, "le", &bound_text(bound), |l| each(&name, l, exemplar));
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
