//! Functions of histograms: classic ones put together from their buckets' series, and native ones.
use super::{Evaluator, exec};
use crate::store::metrics::labels::Labels;
use crate::store::promql::ast::Expr;
use crate::store::promql::error::Error;
use crate::store::promql::format;
use crate::store::promql::histogram::Histogram;
use crate::store::promql::native_quantile::{self, NanNote};
use crate::store::promql::quantile::{Le, bucket_fraction, bucket_quantile};
use crate::store::promql::value::{Grid, Sample, Series, Value};
use std::collections::HashMap;

/// The series of one histogram: classic buckets by bound, and a native one.
struct Group {
    labels: Labels,
    drop_name: bool,
    buckets: Vec<(f64, usize)>,
    native: Vec<usize>,
}

impl Evaluator<'_> {
    pub(super) fn histogram_estimate(
        &mut self,
        name: &'static str,
        args: &[Expr],
        grid: Grid,
    ) -> Result<Value, Error> {
        let vector_at = match name {
            "histogram_quantile" => 1,
            "histogram_quantiles" => 0,
            _ => 2,
        };
        let at = &args[vector_at];
        let mut params = Vec::new();
        let mut label = None;
        for (i, arg) in args.iter().enumerate().filter(|(i, _)| *i != vector_at) {
            if name == "histogram_quantiles" && i == 1 {
                label = Some(self.string(arg)?);
                continue;
            }
            let values = self.scalar(arg, grid)?;
            if name != "histogram_fraction" {
                values.iter().for_each(|q| self.check_quantile(arg, *q));
            }
            params.push(values);
        }
        let series = self.vector(at, grid)?;
        let groups = self.histogram_groups(at, &series, label.as_deref())?;
        let mut out = Vec::new();
        for group in &groups {
            if name == "histogram_fraction" {
                out.push(self.estimate(group, &series, grid, at, |ev, i, source| {
                    ev.fraction_of(at, group, params[0][i], params[1][i], source)
                }));
                continue;
            }
            for qs in &params {
                let mut one = self.estimate(group, &series, grid, at, |ev, i, source| {
                    ev.quantile_of(at, name, group, qs[i], source)
                });
                if let Some(label) = &label {
                    // Each step may ask for another quantile; a series has one label, so it splits.
                    out.extend(split_by_quantile(&one, label, qs));
                } else {
                    out.push(std::mem::replace(&mut one, empty_series()));
                }
            }
        }
        for s in &mut out {
            self.lose_name(s);
        }
        self.merged(out).map(Value::Vector)
    }

    fn histogram_groups(
        &mut self,
        at: &Expr,
        series: &[Series],
        label: Option<&str>,
    ) -> Result<Vec<Group>, Error> {
        let mut index: HashMap<Labels, usize> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        for (i, s) in series.iter().enumerate() {
            if label.is_some_and(|l| s.labels.get(l).is_some()) {
                return exec(format!(
                    "label {:?} already exists in the input of histogram_quantiles",
                    label.unwrap_or("")
                ));
            }
            let classic = s.values.iter().any(|v| matches!(v, Sample::Float(_)));
            let native = s.values.iter().any(|v| matches!(v, Sample::Histogram(_)));
            let mut add = |labels: Labels| {
                *index.entry(labels.clone()).or_insert_with(|| {
                    groups.push(Group {
                        labels,
                        drop_name: s.drop_name,
                        buckets: Vec::new(),
                        native: Vec::new(),
                    });
                    groups.len() - 1
                })
            };
            if classic {
                let le = s.labels.get("le").unwrap_or("");
                match format::parse_float(le) {
                    Some(bound) => {
                        let group = add(s.labels.filter(|n| n != "le"));
                        groups[group].buckets.push((bound, i));
                    }
                    None => {
                        let metric = s.labels.name();
                        self.warn(at, format!("bucket label \"le\" is missing or has a malformed value of {le:?} for metric name {metric:?}"));
                    }
                }
            }
            if native {
                // A label `le` of a native histogram means nothing.
                let group = match index.get(&s.labels.filter(|n| n != "le")) {
                    Some(group) => *group,
                    None => {
                        let labels = s.labels.clone();
                        *index.entry(labels.clone()).or_insert_with(|| {
                            groups.push(Group {
                                labels,
                                drop_name: s.drop_name,
                                buckets: Vec::new(),
                                native: Vec::new(),
                            });
                            groups.len() - 1
                        })
                    }
                };
                groups[group].native.push(i);
            }
        }
        Ok(groups)
    }

    fn estimate(
        &mut self,
        group: &Group,
        series: &[Series],
        grid: Grid,
        at: &Expr,
        mut f: impl FnMut(&mut Self, usize, Source<'_>) -> Sample,
    ) -> Series {
        let mut values = vec![Sample::Absent; grid.len()];
        let mut buckets: Vec<Le> = Vec::with_capacity(group.buckets.len());
        for (i, value) in values.iter_mut().enumerate() {
            buckets.clear();
            for (upper, s) in &group.buckets {
                if let Sample::Float(count) = series[*s].values[i] {
                    buckets.push(Le { upper: *upper, count });
                }
            }
            let native = group.native.iter().find_map(|s| match &series[*s].values[i] {
                Sample::Histogram(h) => Some(h.clone()),
                _ => None,
            });
            *value = match (native, buckets.is_empty()) {
                (None, true) => Sample::Absent,
                (Some(h), true) => f(self, i, Source::Native(&h)),
                (None, false) => f(self, i, Source::Classic(&mut buckets)),
                (Some(_), false) => {
                    let metric = group.labels.name();
                    self.warn(at, format!("vector contains a mix of classic and native histograms for metric name {metric:?}"));
                    Sample::Absent
                }
            };
        }
        Series { labels: group.labels.clone(), drop_name: group.drop_name, values }
    }

    fn quantile_of(&mut self, at: &Expr, _name: &str, group: &Group, q: f64, source: Source<'_>) -> Sample {
        let metric = group.labels.name();
        match source {
            Source::Native(h) => {
                let (v, note) = native_quantile::quantile(q, h);
                let what = match note {
                    NanNote::None => return Sample::Float(v),
                    NanNote::Skewed => "result is skewed higher",
                    NanNote::IsNan => "result is NaN",
                };
                self.info(
                    at,
                    format!(
                        "input to histogram_quantile has NaN observations, {what} for metric name {metric:?}"
                    ),
                );
                Sample::Float(v)
            }
            Source::Classic(buckets) => {
                let (v, forced) = bucket_quantile(q, buckets);
                if forced.forced {
                    let text = format!(
                        "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), from buckets {} to {}, with a max diff of {} for metric name {metric:?}",
                        format::short(forced.lowest),
                        format::short(forced.highest),
                        format::short(forced.difference),
                    );
                    self.info(at, text);
                }
                Sample::Float(v)
            }
        }
    }

    fn fraction_of(
        &mut self,
        at: &Expr,
        group: &Group,
        lower: f64,
        upper: f64,
        source: Source<'_>,
    ) -> Sample {
        Sample::Float(match source {
            Source::Native(h) => {
                if h.sum.is_nan() && h.count > 0.0 {
                    let metric = group.labels.name();
                    self.info(at, format!("input to histogram_fraction has NaN observations, which are excluded from all fractions for metric name {metric:?}"));
                }
                native_quantile::fraction(lower, upper, h)
            }
            Source::Classic(buckets) => bucket_fraction(lower, upper, buckets),
        })
    }

    pub(super) fn check_quantile(&mut self, at: &Expr, q: f64) {
        if q.is_nan() || !(0.0..=1.0).contains(&q) {
            self.warn(at, format!("quantile value should be between 0 and 1, got {}", format::short(q)));
        }
    }

    /// Count, sum and what follows from them; floats are no histograms and go.
    pub(super) fn histogram_part(
        &mut self,
        name: &'static str,
        arg: &Expr,
        grid: Grid,
    ) -> Result<Value, Error> {
        let series = self.vector(arg, grid)?;
        let part = |h: &Histogram| match name {
            "histogram_count" => h.count,
            "histogram_sum" => h.sum,
            "histogram_avg" => h.sum / h.count,
            "histogram_stddev" => native_quantile::variance(h).sqrt(),
            _ => native_quantile::variance(h),
        };
        let series = self.map_series(series, |v| match v {
            Sample::Histogram(h) => Sample::Float(part(&h)),
            _ => Sample::Absent,
        })?;
        Ok(Value::Vector(series))
    }
}

enum Source<'a> {
    Classic(&'a mut Vec<Le>),
    Native(&'a Histogram),
}

fn empty_series() -> Series {
    Series { labels: Labels::default(), drop_name: false, values: Vec::new() }
}

fn split_by_quantile(series: &Series, label: &str, qs: &[f64]) -> Vec<Series> {
    let mut out: Vec<(u64, Series)> = Vec::new();
    for (i, q) in qs.iter().enumerate() {
        let at = match out.iter().position(|(bits, _)| *bits == q.to_bits()) {
            Some(at) => at,
            None => {
                let labels = series.labels.with(label, &format::open_metrics(*q));
                let values = vec![Sample::Absent; qs.len()];
                out.push((q.to_bits(), Series { labels, drop_name: series.drop_name, values }));
                out.len() - 1
            }
        };
        out[at].1.values[i] = series.values[i].clone();
    }
    out.into_iter().map(|(_, s)| s).collect()
}
