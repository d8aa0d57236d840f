//! Functions of range vectors over windows that hold native histograms, alone or beside floats.
use super::Evaluator;
use super::edges::edged;
use super::edges_native::{self, Edged};
use super::slice::{Slice, float_window};
use super::windows::{Window, extrapolation};
use crate::store::promql::ast::{Edge, Expr};
use crate::store::promql::histogram::{Hint, Histogram};
use crate::store::promql::histogram_total;
use crate::store::promql::value::{Sample, Samples};
use std::sync::Arc;

impl Evaluator<'_> {
    /// A window with borders of its own over a series that has histograms.
    pub(super) fn edged_native(
        &mut self,
        name: &'static str,
        at: &Expr,
        metric: &str,
        samples: &Samples,
        edge: Edge,
        (start, end): (i64, i64),
    ) -> Sample {
        let lookback = self.options.lookback;
        match edges_native::edged(name, samples, edge, (start, end), lookback) {
            Edged::Nothing => Sample::Absent,
            Edged::Numbers => {
                edged(name, samples, edge, (start, end), lookback).map_or(Sample::Absent, Sample::Float)
            }
            Edged::Count(count) => Sample::Float(count),
            Edged::Mixed => {
                self.warn(
                    at,
                    format!("encountered a mix of histograms and floats for metric name {metric:?}"),
                );
                Sample::Absent
            }
            Edged::Schemas => {
                self.warn_mixed_schemas(at, metric);
                Sample::Absent
            }
            Edged::Rise { rise, gauges, samples } => {
                if name != "delta" && gauges > 0 {
                    self.warn(at, format!("this native histogram metric is not a counter: {metric:?}"));
                } else if name == "delta" && gauges < samples {
                    self.warn(at, format!("this native histogram metric is not a gauge: {metric:?}"));
                }
                let factor = if name == "rate" { 1000.0 / (end - start) as f64 } else { 1.0 };
                Sample::histogram(rise.scale(factor).as_gauge())
            }
        }
    }

    /// A window with histograms in it, alone or beside floats.
    pub(super) fn mixed_window(
        &mut self,
        name: &'static str,
        at: &Expr,
        metric: &str,
        w: &Slice<'_>,
    ) -> Sample {
        let n = w.histograms.len();
        let histograms: Vec<&Arc<Histogram>> = w.histograms.iter().flatten().collect();
        let mixed = histograms.len() < n;
        let warn_mixed = |ev: &mut Self| {
            ev.warn(at, format!("encountered a mix of histograms and floats for metric name {metric:?}"))
        };
        match name {
            "count_over_time" => Sample::Float(n as f64),
            "present_over_time" => Sample::Float(1.0),
            "last_over_time" => w.sample(n - 1),
            "first_over_time" => w.sample(0),
            "ts_of_last_over_time" => Sample::Float(w.floats.times[n - 1] as f64 / 1000.0),
            "ts_of_first_over_time" => Sample::Float(w.floats.times[0] as f64 / 1000.0),
            "changes" | "resets" => {
                let count = (1..n)
                    .filter(|i| match (w.sample(i - 1), w.sample(*i)) {
                        (Sample::Float(a), Sample::Float(b)) if name == "changes" => {
                            a != b && !(a.is_nan() && b.is_nan())
                        }
                        (Sample::Float(a), Sample::Float(b)) => b < a,
                        (Sample::Histogram(a), Sample::Histogram(b)) if name == "changes" => !a.equals(&b),
                        (Sample::Histogram(a), Sample::Histogram(b)) => b.resets_after(&a),
                        _ => true,
                    })
                    .count();
                Sample::Float(count as f64)
            }
            "sum_over_time" | "avg_over_time" if mixed => {
                warn_mixed(self);
                Sample::Absent
            }
            "sum_over_time" | "avg_over_time" => {
                self.histogram_total(at, metric, &histograms, name == "avg_over_time")
            }
            "rate" | "increase" | "delta" if mixed => {
                if n >= 2 {
                    warn_mixed(self);
                }
                Sample::Absent
            }
            "rate" | "increase" | "delta" => {
                let (start, end) = (w.floats.start, w.floats.end);
                self.histogram_rate(name, at, metric, &histograms, (w.floats.times, start, end))
            }
            "irate" | "idelta" if n < 2 => Sample::Absent,
            "irate" | "idelta" => {
                let seconds = (w.floats.times[n - 1] - w.floats.times[n - 2]) as f64 / 1000.0;
                match (w.sample(n - 2), w.sample(n - 1)) {
                    (Sample::Float(_), Sample::Float(_)) => {
                        let floats = Window {
                            times: &w.floats.times[n - 2..],
                            floats: &w.floats.floats[n - 2..],
                            ..w.floats
                        };
                        floats.instant(name == "irate").map_or(Sample::Absent, Sample::Float)
                    }
                    (Sample::Histogram(a), Sample::Histogram(b)) => {
                        self.histogram_instant(name == "irate", at, metric, &a, &b, seconds)
                    }
                    _ => {
                        warn_mixed(self);
                        Sample::Absent
                    }
                }
            }
            _ => {
                // The rest knows floats only.
                let keep: Vec<usize> = (0..n).filter(|i| w.histograms[*i].is_none()).collect();
                if keep.is_empty() {
                    return Sample::Absent;
                }
                let times: Vec<i64> = keep.iter().map(|i| w.floats.times[*i]).collect();
                let values: Vec<f64> = keep.iter().map(|i| w.floats.floats[*i]).collect();
                let needs_two = matches!(name, "deriv" | "predict_linear" | "double_exponential_smoothing");
                if !needs_two || (keep.len() >= 2 || n >= 2) {
                    self.info(at, format!("ignored histograms in a range containing both floats and histograms for metric name {metric:?}"));
                }
                let floats = Window { times: &times, floats: &values, ..w.floats };
                float_window(name, &Slice { floats, histograms: &[], params: w.params })
            }
        }
    }

    fn histogram_total(
        &mut self,
        at: &Expr,
        metric: &str,
        list: &[&Arc<Histogram>],
        average: bool,
    ) -> Sample {
        let Ok((total, merged)) = histogram_total::total(list, average) else {
            self.warn_mixed_schemas(at, metric);
            return Sample::Absent;
        };
        if merged.bounds_reconciled {
            self.info(at, "mismatched custom buckets were reconciled during aggregation");
        }
        if merged.hints_collided {
            self.warn(at, "conflicting counter resets during histogram aggregation");
        }
        Sample::histogram(total)
    }

    pub(super) fn warn_mixed_schemas(&mut self, at: &Expr, metric: &str) {
        self.warn(at, format!("vector contains a mix of histograms with exponential and custom buckets schemas for metric name {metric:?}"));
    }

    fn histogram_rate(
        &mut self,
        name: &str,
        at: &Expr,
        metric: &str,
        list: &[&Arc<Histogram>],
        (times, start, end): (&[i64], i64, i64),
    ) -> Sample {
        if list.len() < 2 {
            return Sample::Absent;
        }
        let counter = name != "delta";
        let Some(rise) = self.histogram_rise(at, metric, list, counter) else { return Sample::Absent };
        let first = counter.then_some(list[0].count);
        let factor = extrapolation(times, start, end, first, rise.count, name == "rate");
        Sample::histogram(rise.scale(factor).as_gauge())
    }

    /// Last minus first, with what a counter lost in resets put back.
    pub(super) fn histogram_rise(
        &mut self,
        at: &Expr,
        metric: &str,
        list: &[&Arc<Histogram>],
        counter: bool,
    ) -> Option<Histogram> {
        let restarted = counter && list.len() >= 2 && list[1].resets_after(list[0]);
        // A counter that starts anew at once: what was before it does not count, whatever its buckets were.
        let (empty, mut kept);
        let list = if restarted {
            let last = list[list.len() - 1].scaled(0.0).without_buckets();
            empty = Arc::new(Histogram { hint: list[0].hint, ..last });
            kept = list.to_vec();
            kept[0] = &empty;
            &kept[..]
        } else {
            list
        };
        let custom = list.iter().filter(|h| h.is_custom()).count();
        if custom != 0 && custom != list.len() {
            self.warn_mixed_schemas(at, metric);
            return None;
        }
        let gauges = list.iter().filter(|h| h.hint == Hint::Gauge).count();
        if counter && gauges > 0 {
            self.warn(at, format!("this native histogram metric is not a counter: {metric:?}"));
        } else if !counter && gauges < list.len() {
            self.warn(at, format!("this native histogram metric is not a gauge: {metric:?}"));
        }
        let mut reconciled = false;
        let (mut rise, merged) = list[list.len() - 1].sub(list[0]).ok()?;
        reconciled |= merged.bounds_reconciled;
        if counter {
            for (i, pair) in list.windows(2).enumerate() {
                if pair[1].resets_after(pair[0]) && !(i == 0 && restarted) {
                    let (sum, merged) = rise.add(pair[0]).ok()?;
                    reconciled |= merged.bounds_reconciled;
                    rise = sum;
                }
            }
        }
        if reconciled {
            self.info(at, "mismatched custom buckets were reconciled during subtraction");
        }
        Some(rise)
    }

    fn histogram_instant(
        &mut self,
        rate: bool,
        at: &Expr,
        metric: &str,
        a: &Arc<Histogram>,
        b: &Arc<Histogram>,
        seconds: f64,
    ) -> Sample {
        let gauges = usize::from(a.hint == Hint::Gauge) + usize::from(b.hint == Hint::Gauge);
        if rate && gauges > 0 {
            self.warn(at, format!("this native histogram metric is not a counter: {metric:?}"));
        } else if !rate && gauges < 2 {
            self.warn(at, format!("this native histogram metric is not a gauge: {metric:?}"));
        }
        if seconds == 0.0 {
            return Sample::Absent;
        }
        let change = if rate && b.resets_after(a) {
            Ok(b.as_ref().clone())
        } else {
            b.sub(a).map(|(h, merged)| {
                if merged.bounds_reconciled {
                    self.info(at, "mismatched custom buckets were reconciled during subtraction");
                }
                h
            })
        };
        match change {
            Ok(h) if rate => Sample::histogram(h.divided(seconds).as_gauge()),
            Ok(h) => Sample::histogram(h.as_gauge()),
            Err(_) => {
                self.warn_mixed_schemas(at, metric);
                Sample::Absent
            }
        }
    }
}
