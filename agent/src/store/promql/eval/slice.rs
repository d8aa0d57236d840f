//! The samples of one window, and what the functions of plain numbers make of them.
use super::windows::Window;
use crate::store::promql::histogram::Histogram;
use crate::store::promql::value::Sample;
use std::sync::Arc;

/// The samples of one window, with histograms where there are any.
pub(super) struct Slice<'a> {
    pub(super) floats: Window<'a>,
    pub(super) histograms: &'a [Option<Arc<Histogram>>],
    pub(super) params: &'a [f64],
}

impl Slice<'_> {
    pub(super) fn has_histograms(&self) -> bool {
        self.histograms.iter().any(Option::is_some)
    }

    pub(super) fn sample(&self, i: usize) -> Sample {
        match self.histograms.get(i) {
            Some(Some(h)) => Sample::Histogram(h.clone()),
            _ => Sample::Float(self.floats.floats[i]),
        }
    }
}

/// What a function gives over the numbers of a window, of which there is at least one.
pub(super) fn float_window(name: &str, w: &Slice<'_>) -> Sample {
    let f = &w.floats;
    let last = f.floats.len() - 1;
    let seconds = |i: usize| Some(f.times[i] as f64 / 1000.0);
    let value = match name {
        "rate" => f.extrapolated(true, true),
        "increase" => f.extrapolated(true, false),
        "delta" => f.extrapolated(false, false),
        "irate" => f.instant(true),
        "idelta" => f.instant(false),
        "changes" => Some(f.changes()),
        "resets" => Some(f.resets()),
        "avg_over_time" => Some(f.average()),
        "sum_over_time" => Some(f.sum()),
        "count_over_time" => Some(f.floats.len() as f64),
        "min_over_time" => Some(f.floats[f.extreme(|a, b| a < b)]),
        "max_over_time" => Some(f.floats[f.extreme(|a, b| a > b)]),
        "ts_of_min_over_time" => seconds(f.extreme(|a, b| a <= b)),
        "ts_of_max_over_time" => seconds(f.extreme(|a, b| a >= b)),
        "ts_of_last_over_time" => seconds(last),
        "ts_of_first_over_time" => seconds(0),
        "last_over_time" => Some(f.floats[last]),
        "first_over_time" => Some(f.floats[0]),
        "present_over_time" => Some(1.0),
        "stddev_over_time" => Some(f.variance().sqrt()),
        "stdvar_over_time" => Some(f.variance()),
        "quantile_over_time" => Some(f.quantile(w.params[0])),
        "mad_over_time" => Some(f.median_deviation()),
        "deriv" => f.slope(),
        "predict_linear" => f.predicted(w.params[0]),
        "double_exponential_smoothing" => f.smoothed(w.params[0], w.params[1]),
        _ => None,
    };
    value.map_or(Sample::Absent, Sample::Float)
}
