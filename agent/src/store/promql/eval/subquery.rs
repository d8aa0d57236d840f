//! Range vectors: raw samples of a selector, or a subquery's values taken as samples.
use super::Evaluator;
use crate::store::metrics::labels::Labels;
use crate::store::promql::ast::{Edge, Expr, Kind, Selector, Subquery};
use crate::store::promql::error::{Error, exec};
use crate::store::promql::histogram::{Hint, Histogram};
use crate::store::promql::value::{Found, Grid, Hints, RangeSeries, RangeShape, Sample, Samples, Value};

impl Evaluator<'_> {
    /// The whole of a range vector, in memory.
    pub(super) fn ranges(
        &mut self,
        expr: &Expr,
        grid: Grid,
        function: &str,
    ) -> Result<(RangeShape, Vec<RangeSeries>), Error> {
        let mut out = Vec::new();
        let shape = self.each_range(expr, grid, function, &mut |_, _, labels, drop_name, samples| {
            out.push(RangeSeries { labels: labels.clone(), drop_name, samples: samples.clone() });
            Ok(())
        })?;
        Ok((shape, out))
    }

    /// Calls `f` with each series of a range vector, without holding them all at once.
    pub(super) fn each_range(
        &mut self,
        expr: &Expr,
        grid: Grid,
        function: &str,
        f: &mut dyn FnMut(&mut Self, RangeShape, &Labels, bool, &Samples) -> Result<(), Error>,
    ) -> Result<RangeShape, Error> {
        match &expr.bare().kind {
            Kind::Selector(s) => self.each_selected(s, grid, function, f),
            Kind::Subquery(s) => {
                let (shape, series) = self.subquery(s, grid)?;
                for s in &series {
                    f(self, shape, &s.labels, s.drop_name, &s.samples)?;
                }
                Ok(shape)
            }
            _ => exec("expected a range vector"),
        }
    }

    fn each_selected(
        &mut self,
        s: &Selector,
        grid: Grid,
        function: &str,
        f: &mut dyn FnMut(&mut Self, RangeShape, &Labels, bool, &Samples) -> Result<(), Error>,
    ) -> Result<RangeShape, Error> {
        let Some(range) = &s.range else { return exec("expected a range vector") };
        let range = self.positive_span(range, grid)?;
        let (offset, at) = self.shift(&s.time, grid)?;
        let shape = RangeShape { range, offset, at, edge: s.edge };
        let (mut from, mut to) =
            (shape.end(grid.start) - range + 1, shape.end(grid.time(grid.len().max(1) - 1)));
        if s.edge != Edge::Sampled {
            from -= self.options.lookback;
        }
        if s.edge == Edge::Smoothed {
            to += self.options.lookback;
        }
        let hints = Hints { function, range, step: grid.step };
        let mut buffer = Samples::default();
        for Found { id, labels } in self.source.find(&s.matchers, from, to)? {
            self.source.read(id, from, to, hints, &mut buffer)?;
            buffer.drop_stale();
            self.touch(buffer.times.len() + grid.len())?;
            if !buffer.times.is_empty() {
                f(self, shape, &labels, false, &buffer)?;
            }
        }
        Ok(shape)
    }

    fn subquery(&mut self, s: &Subquery, grid: Grid) -> Result<(RangeShape, Vec<RangeSeries>), Error> {
        let range = self.positive_span(&s.range, grid)?;
        let step = s.step.as_ref().map_or(Ok(self.options.subquery_step), |s| self.positive_span(s, grid))?;
        let (offset, at) = self.shift(&s.time, grid)?;
        let shape = RangeShape { range, offset, at, edge: Edge::Sampled };
        let end = shape.end(grid.time(grid.len().max(1) - 1));
        let after = shape.end(grid.start) - range;
        // Steps lie on whole multiples, so that they do not wander with the query's time.
        let start = (after.div_euclid(step) + 1) * step;
        let inner = Grid { start, end, step };
        if inner.len() > self.options.max_samples {
            return Err(Error::TooManySamples);
        }
        if inner.len() == 0 {
            return Ok((shape, Vec::new()));
        }
        let series = match self.expr(&s.expr, inner)? {
            Value::Vector(series) => series,
            Value::Scalar(v) => vec![crate::store::promql::value::Series {
                labels: Labels::default(),
                drop_name: false,
                values: v.into_iter().map(Sample::Float).collect(),
            }],
            Value::Str(_) => return exec("expected an instant vector"),
        };
        let mut out = Vec::with_capacity(series.len());
        for s in series {
            let mut samples = Samples::default();
            for (i, v) in s.values.into_iter().enumerate() {
                samples.push(inner.time(i), without_hint(v));
            }
            self.touch(samples.times.len())?;
            if !samples.times.is_empty() {
                out.push(RangeSeries { labels: s.labels, drop_name: s.drop_name, samples });
            }
        }
        Ok((shape, out))
    }
}

/// What a storage knows of resets holds from each sample to the next one; a subquery leaves samples out.
fn without_hint(value: Sample) -> Sample {
    match value {
        Sample::Histogram(h) if matches!(h.hint, Hint::Reset | Hint::NotReset) => {
            Sample::histogram(Histogram { hint: Hint::Unknown, ..h.as_ref().clone() })
        }
        other => other,
    }
}
