//! Function calls: finds what a name means and hands it on.
use super::ranges::is_range_function;
use super::{Evaluator, elements, time_functions};
use crate::store::metrics::labels::Labels;
use crate::store::promql::ast::{Expr, Kind};
use crate::store::promql::error::{Error, exec};
use crate::store::promql::value::{Grid, Sample, Series, Value};

impl Evaluator<'_> {
    pub(super) fn call(
        &mut self,
        expr: &Expr,
        name: &'static str,
        args: &[Expr],
        grid: Grid,
    ) -> Result<Value, Error> {
        if is_range_function(name, args) {
            return self.range_call(name, args, grid);
        }
        let steps = grid.len();
        let constant = |v: f64| Ok(Value::Scalar(vec![v; steps]));
        let query = self.query;
        match name {
            "time" => Ok(Value::Scalar((0..steps).map(|i| grid.time(i) as f64 / 1000.0).collect())),
            "pi" => constant(std::f64::consts::PI),
            "start" => constant(query.start as f64 / 1000.0),
            "end" => constant(query.end as f64 / 1000.0),
            "step" => constant(self.step_of(grid) as f64 / 1000.0),
            "range" => constant((query.end - query.start) as f64 / 1000.0),
            "vector" => {
                let values = self.scalar(&args[0], grid)?.into_iter().map(Sample::Float).collect();
                Ok(Value::Vector(vec![Series { labels: Labels::default(), drop_name: false, values }]))
            }
            "scalar" => self.scalar_of(&args[0], grid),
            "min_of" | "max_of" => {
                let (a, b) = (self.scalar(&args[0], grid)?, self.scalar(&args[1], grid)?);
                let pick = |(a, b): (f64, f64)| match name {
                    _ if a.is_nan() || b.is_nan() => f64::NAN,
                    "min_of" => a.min(b),
                    _ => a.max(b),
                };
                Ok(Value::Scalar(a.into_iter().zip(b).map(pick).collect()))
            }
            "absent" | "absent_over_time" => self.absent(name, &args[0], grid),
            "timestamp" => self.timestamp(&args[0], grid),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
                self.sort(expr, name, args, grid)
            }
            "label_replace" => self.label_replace(args, grid),
            "label_join" => self.label_join(args, grid),
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                self.histogram_estimate(name, args, grid)
            }
            "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev"
            | "histogram_stdvar" => self.histogram_part(name, &args[0], grid),
            "info" => self.info_join(args, grid),
            _ => self.element_call(name, args, grid),
        }
    }

    /// A function of each value alone: mathematics and calendar.
    fn element_call(&mut self, name: &'static str, args: &[Expr], grid: Grid) -> Result<Value, Error> {
        if let Some(f) = time_functions::named(name) {
            let series = match args.first() {
                Some(arg) => self.vector(arg, grid)?,
                None => {
                    let values =
                        (0..grid.len()).map(|i| Sample::Float(grid.time(i) as f64 / 1000.0)).collect();
                    vec![Series { labels: Labels::default(), drop_name: false, values }]
                }
            };
            return self
                .map_series(series, |v| v.float().map_or(Sample::Absent, |v| Sample::Float(f(v))))
                .map(Value::Vector);
        }
        if let Some(f) = elements::named(name) {
            let series = self.vector(&args[0], grid)?;
            return self
                .map_series(series, |v| v.float().map_or(Sample::Absent, |v| Sample::Float(f(v))))
                .map(Value::Vector);
        }
        let Some(f) = elements::with_params(name) else {
            return exec(format!("function {name:?} is not supported"));
        };
        let mut series = self.vector(&args[0], grid)?;
        let mut params = Vec::new();
        for arg in &args[1..] {
            params.push(self.scalar(arg, grid)?);
        }
        let mut step_params = vec![0.0; params.len()];
        for s in &mut series {
            for (i, v) in s.values.iter_mut().enumerate() {
                for (slot, p) in step_params.iter_mut().zip(&params) {
                    *slot = p[i];
                }
                *v = v.float().and_then(|v| f(v, &step_params)).map_or(Sample::Absent, Sample::Float);
            }
            self.lose_name(s);
        }
        self.merged(series).map(Value::Vector)
    }

    /// The one value of a vector with one series; NaN otherwise. Histograms do not count.
    fn scalar_of(&mut self, arg: &Expr, grid: Grid) -> Result<Value, Error> {
        let series = self.vector(arg, grid)?;
        let at = |i: usize| {
            let mut present = series.iter().filter_map(|s| s.values[i].float());
            match (present.next(), present.next()) {
                (Some(v), None) => v,
                _ => f64::NAN,
            }
        };
        Ok(Value::Scalar((0..grid.len()).map(at).collect()))
    }

    fn timestamp(&mut self, arg: &Expr, grid: Grid) -> Result<Value, Error> {
        let mut series = match &arg.bare().kind {
            Kind::Selector(s) => self.selector_times(s, grid)?,
            _ => {
                let mut series = self.vector(arg, grid)?;
                for s in &mut series {
                    for (i, v) in s.values.iter_mut().enumerate().filter(|(_, v)| !v.is_absent()) {
                        *v = Sample::Float(grid.time(i) as f64 / 1000.0);
                    }
                }
                series
            }
        };
        for s in &mut series {
            self.lose_name(s);
        }
        self.merged(series).map(Value::Vector)
    }
}
