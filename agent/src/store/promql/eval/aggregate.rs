//! Aggregation: puts series into groups and reduces each group at each step.
use super::Evaluator;
use super::aggregators::{self, Reduced};
use crate::store::metrics::labels::{Labels, NAME};
use crate::store::promql::ast::{AggOp, Aggregate, Expr, Grouping};
use crate::store::promql::error::{Error, exec};
use crate::store::promql::format;
use crate::store::promql::value::{Grid, Sample, Series};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

struct Group {
    labels: Labels,
    drop_name: bool,
    members: Vec<usize>,
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&mut self, expr: &Expr, a: &Aggregate, grid: Grid) -> Result<Vec<Series>, Error> {
        let label = match &a.param {
            Some(p) if a.op == AggOp::CountValues => Some(self.string(p)?),
            _ => None,
        };
        let params = match &a.param {
            Some(p) if label.is_none() => self.scalar(p, grid)?,
            _ => vec![0.0; grid.len()],
        };
        let series = self.vector(&a.expr, grid)?;
        let groups = self.groups(&series, &a.grouping);
        match a.op {
            AggOp::Topk | AggOp::Bottomk | AggOp::Limitk | AggOp::LimitRatio => {
                self.selecting(a, &series, &groups, &params, grid)
            }
            AggOp::CountValues => self.count_values(&series, &groups, &label.unwrap_or_default(), grid),
            _ => self.reducing(expr, a, &series, &groups, &params, grid),
        }
    }

    fn groups(&self, series: &[Series], grouping: &Grouping) -> Vec<Group> {
        let listed = |n: &str| grouping.labels.iter().any(|l| l == n);
        let hidden = |n: &str| {
            n == NAME || (self.options.type_and_unit_labels && (n == "__type__" || n == "__unit__"))
        };
        let mut index: HashMap<Labels, usize> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        for (i, s) in series.iter().enumerate() {
            let labels = if grouping.without {
                s.labels.filter(|n| !hidden(n) && !listed(n))
            } else if grouping.labels.is_empty() {
                Labels::default()
            } else {
                s.labels.filter(listed)
            };
            let at = *index.entry(labels.clone()).or_insert_with(|| {
                groups.push(Group { labels, drop_name: false, members: Vec::new() });
                groups.len() - 1
            });
            groups[at].members.push(i);
            groups[at].drop_name |= s.drop_name;
        }
        groups
    }

    fn reducing(
        &mut self,
        _expr: &Expr,
        a: &Aggregate,
        series: &[Series],
        groups: &[Group],
        params: &[f64],
        grid: Grid,
    ) -> Result<Vec<Series>, Error> {
        if a.op == AggOp::Quantile
            && let Some(p) = &a.param
        {
            params.iter().for_each(|q| self.check_quantile(p, *q));
        }
        let mut out = Vec::with_capacity(groups.len());
        let mut floats: Vec<f64> = Vec::new();
        for group in groups {
            self.touch(grid.len())?;
            let mut values = vec![Sample::Absent; grid.len()];
            for (i, value) in values.iter_mut().enumerate() {
                floats.clear();
                let mut histograms = Vec::new();
                for m in &group.members {
                    match &series[*m].values[i] {
                        Sample::Float(v) => floats.push(*v),
                        Sample::Histogram(h) => histograms.push(h),
                        Sample::Absent => {}
                    }
                }
                if floats.is_empty() && histograms.is_empty() {
                    continue;
                }
                let reduced = aggregators::reduce(a.op, &mut floats, &histograms, params[i]);
                *value = self.tell(a, reduced);
            }
            out.push(Series { labels: group.labels.clone(), drop_name: group.drop_name, values });
        }
        Ok(out)
    }

    fn tell(&mut self, a: &Aggregate, reduced: Reduced) -> Sample {
        if reduced.mixed {
            self.warn(&a.expr, "encountered a mix of histograms and floats for aggregation");
        }
        if reduced.ignored_histograms {
            self.info(&a.expr, format!("ignored histogram in {} aggregation", a.op.name()));
        }
        if reduced.incompatible {
            self.warn_mixed_schemas(&a.expr, "");
        }
        if reduced.hints_collided {
            self.warn(&a.expr, "conflicting counter resets during histogram aggregation");
        }
        if reduced.bounds_reconciled {
            self.info(&a.expr, "mismatched custom buckets were reconciled during aggregation");
        }
        reduced.value
    }

    /// Aggregations that let some series through as they are.
    fn selecting(
        &mut self,
        a: &Aggregate,
        series: &[Series],
        groups: &[Group],
        params: &[f64],
        grid: Grid,
    ) -> Result<Vec<Series>, Error> {
        let mut out: Vec<Series> = series
            .iter()
            .map(|s| Series {
                labels: s.labels.clone(),
                drop_name: s.drop_name,
                values: vec![Sample::Absent; grid.len()],
            })
            .collect();
        let mut order: Vec<usize> = Vec::new();
        for (i, param) in params.iter().enumerate() {
            self.alive()?;
            if a.op == AggOp::LimitRatio {
                self.limit_ratio(a, *param, i, series, &mut out)?;
                continue;
            }
            if param.is_nan() {
                return exec("Parameter value is NaN");
            }
            if *param >= 9.223_372_036_854_776e18 || *param <= -9.223_372_036_854_776e18 {
                return exec(format!("Scalar value {} overflows int64", format::short(*param)));
            }
            if *param < 1.0 {
                continue;
            }
            let k = *param as usize;
            for group in groups {
                let mut present: Vec<usize> =
                    group.members.iter().copied().filter(|m| !series[*m].values[i].is_absent()).collect();
                if a.op != AggOp::Limitk {
                    let before = present.len();
                    present.retain(|m| series[*m].values[i].float().is_some());
                    if present.len() < before {
                        self.info(&a.expr, format!("ignored histogram in {} aggregation", a.op.name()));
                    }
                    let value = |m: &usize| series[*m].values[i].float().unwrap_or(f64::NAN);
                    present.sort_by(|x, y| aggregators::rank(value(x), value(y), a.op == AggOp::Topk));
                }
                for m in present.into_iter().take(k) {
                    out[m].values[i] = series[m].values[i].clone();
                    if self.instant {
                        order.push(m);
                    }
                }
            }
        }
        if self.instant && a.op != AggOp::LimitRatio && grid.len() == 1 {
            let mut slots: Vec<Option<Series>> = out.into_iter().map(Some).collect();
            return Ok(order.into_iter().filter_map(|m| slots[m].take()).collect());
        }
        out.retain(|s| s.values.iter().any(|v| !v.is_absent()));
        Ok(out)
    }

    fn limit_ratio(
        &mut self,
        a: &Aggregate,
        ratio: f64,
        step: usize,
        series: &[Series],
        out: &mut [Series],
    ) -> Result<(), Error> {
        if ratio.is_nan() {
            return exec("Ratio value is NaN");
        }
        let capped = ratio.clamp(-1.0, 1.0);
        if capped != ratio
            && let Some(p) = &a.param
        {
            let text = format!(
                "ratio value should be between -1 and 1, got {}, capping to {}",
                format::short(ratio),
                format::short(capped)
            );
            self.warn(p, text);
        }
        for (from, to) in series.iter().zip(out) {
            let place = place_of(&from.labels);
            let taken = if capped >= 0.0 { place < capped } else { place >= 1.0 + capped };
            if taken {
                to.values[step] = from.values[step].clone();
            }
        }
        Ok(())
    }

    fn count_values(
        &mut self,
        series: &[Series],
        groups: &[Group],
        label: &str,
        grid: Grid,
    ) -> Result<Vec<Series>, Error> {
        let mut out: Vec<Series> = Vec::new();
        for group in groups {
            let mut index: HashMap<String, usize> = HashMap::new();
            for i in 0..grid.len() {
                for m in &group.members {
                    let text = match &series[*m].values[i] {
                        Sample::Absent => continue,
                        Sample::Float(v) => format::plain(*v),
                        Sample::Histogram(h) => h.to_string(),
                    };
                    let at = match index.get(&text) {
                        Some(at) => *at,
                        None => {
                            self.touch(grid.len())?;
                            let labels = group.labels.with(label, &text);
                            out.push(Series {
                                labels,
                                drop_name: group.drop_name,
                                values: vec![Sample::Absent; grid.len()],
                            });
                            index.insert(text, out.len() - 1);
                            out.len() - 1
                        }
                    };
                    let value = &mut out[at].values[i];
                    *value = Sample::Float(value.float().unwrap_or(0.0) + 1.0);
                }
            }
        }
        Ok(out)
    }
}

/// A fixed place between 0 and 1 for each set of labels, so that a ratio and its complement share nothing.
fn place_of(labels: &Labels) -> f64 {
    let mut hasher = std::hash::DefaultHasher::new();
    labels.hash(&mut hasher);
    hasher.finish() as f64 / u64::MAX as f64
}
