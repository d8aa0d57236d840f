//! Functions of range vectors: slides a window over each series and applies the function at each step.
use super::edges::edged;
use super::slice::{Slice, float_window};
use super::windows::Window;
use super::{Evaluator, exec};
use crate::store::promql::ast::{Edge, Expr, Kind};
use crate::store::promql::error::Error;
use crate::store::promql::value::{Grid, RangeShape, Sample, Samples, Series, Value};

impl Evaluator<'_> {
    pub(super) fn range_call(
        &mut self,
        name: &'static str,
        args: &[Expr],
        grid: Grid,
    ) -> Result<Value, Error> {
        let matrix_at = usize::from(name == "quantile_over_time");
        let matrix = &args[matrix_at];
        let mut params: Vec<Vec<f64>> = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            if i != matrix_at {
                params.push(self.scalar(arg, grid)?);
            }
        }
        self.check_params(name, args, &params)?;
        let keeps_name = matches!(name, "last_over_time" | "first_over_time");
        let mut out: Vec<Series> = Vec::new();
        self.each_range(matrix, grid, name, &mut |ev, shape, labels, drop_name, samples| {
            let values = ev.slide(name, matrix, shape, labels.name(), samples, grid, &params)?;
            if values.iter().any(|v| !v.is_absent()) {
                if matches!(name, "rate" | "increase") {
                    ev.note_counter(matrix, labels, samples);
                }
                let mut series = Series { labels: labels.clone(), drop_name, values };
                if !keeps_name {
                    ev.lose_name(&mut series);
                }
                out.push(series);
            }
            Ok(())
        })?;
        self.merged(out).map(Value::Vector)
    }

    fn check_params(&mut self, name: &str, args: &[Expr], params: &[Vec<f64>]) -> Result<(), Error> {
        match name {
            "quantile_over_time" => {
                for q in params[0].clone() {
                    self.check_quantile(&args[0], q);
                }
            }
            "double_exponential_smoothing" => {
                for (values, what) in params.iter().zip(["smoothing", "trend"]) {
                    if let Some(bad) = values.iter().find(|v| **v <= 0.0 || **v >= 1.0) {
                        let short = if what == "trend" { "tf" } else { "sf" };
                        return exec(format!(
                            "invalid {what} factor. Expected: 0 < {short} < 1, got: {bad:.6}"
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // one caller; a struct would only rename the list
    fn slide(
        &mut self,
        name: &'static str,
        at: &Expr,
        shape: RangeShape,
        metric: &str,
        samples: &Samples,
        grid: Grid,
        params: &[Vec<f64>],
    ) -> Result<Vec<Sample>, Error> {
        let steps = grid.len();
        let mut values = vec![Sample::Absent; steps];
        let mut step_params = vec![0.0; params.len()];
        // Roll-ups stand apart: a window that could hold no two of them is widened, its rise scaled back.
        let range = if samples.spacing > 0 {
            shape.range.max(samples.spacing * 2 + samples.spacing / 2)
        } else {
            shape.range
        };
        let scale =
            if name == "increase" || name == "delta" { shape.range as f64 / range as f64 } else { 1.0 };
        let (mut from, mut to) = (0, 0);
        for (i, value) in values.iter_mut().enumerate() {
            let now = grid.time(i);
            let end = shape.end(now);
            let start = end - range;
            while to < samples.times.len() && samples.times[to] <= end {
                to += 1;
            }
            while from < to && samples.times[from] <= start {
                from += 1;
            }
            for (slot, p) in step_params.iter_mut().zip(params) {
                *slot = p[i];
            }
            if shape.edge != Edge::Sampled {
                let lookback = self.options.lookback;
                *value = if samples.histograms.is_empty() {
                    let edged = edged(name, samples, shape.edge, (start, end), lookback);
                    edged.map_or(Sample::Absent, Sample::Float)
                } else {
                    self.edged_native(name, at, metric, samples, shape.edge, (start, end))
                };
                continue;
            }
            if from == to {
                continue;
            }
            let floats = Window {
                times: &samples.times[from..to],
                floats: &samples.floats[from..to],
                start,
                end,
                now,
            };
            let histograms =
                if samples.histograms.is_empty() { &[][..] } else { &samples.histograms[from..to] };
            let slice = Slice { floats, histograms, params: &step_params };
            let result = if slice.has_histograms() {
                self.mixed_window(name, at, metric, &slice)
            } else {
                float_window(name, &slice)
            };
            *value = match result {
                Sample::Float(v) if scale != 1.0 => Sample::Float(v * scale),
                Sample::Histogram(h) if scale != 1.0 => Sample::histogram(h.scaled(scale)),
                other => other,
            };
        }
        Ok(values)
    }

    fn note_counter(&mut self, at: &Expr, labels: &crate::store::metrics::labels::Labels, samples: &Samples) {
        let only_histograms =
            !samples.histograms.is_empty() && samples.histograms.iter().all(Option::is_some);
        let metric = labels.name();
        if only_histograms || metric.is_empty() {
            return;
        }
        if self.options.type_and_unit_labels {
            let kind = labels.get("__type__").unwrap_or("");
            if !matches!(kind, "counter" | "histogram") {
                let text = format!(
                    "metric might not be a counter, __type__ label is not set to {:?} or {:?}, got {kind:?}: {metric:?}",
                    "counter", "histogram"
                );
                self.info(at, text);
            }
            return;
        }
        let counts = ["_total", "_sum", "_count", "_bucket"].iter().any(|s| metric.ends_with(s));
        if !counts {
            let text = format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric:?}"
            );
            self.info(at, text);
        }
    }
}

/// Whether a name is a function of a range vector that slides a window.
pub(super) fn is_range_function(name: &str, args: &[Expr]) -> bool {
    name != "absent_over_time"
        && args.iter().any(|a| match &a.bare().kind {
            Kind::Selector(s) => s.range.is_some(),
            Kind::Subquery(_) => true,
            _ => false,
        })
}
