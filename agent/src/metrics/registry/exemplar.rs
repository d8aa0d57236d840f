//! The trace behind a timing: the spans lane says it, the histogram of the same labels keeps it.

use sightline_instrument::wire::{label, metric};

use super::Registry;
use super::series::{Value, render_labels};
use crate::hooks;
use crate::metrics::histogram::Exemplar;

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
}
