//! Instant selectors: at each step the newest sample that is not too old and has not been ended, or, smoothed, what lies
//! between it and the next one.
use super::{Evaluator, edges_native};
use crate::store::promql::ast::{Expr, Selector};
use crate::store::promql::error::Error;
use crate::store::promql::histogram::Hint;
use crate::store::promql::value::{Found, Grid, Hints, Sample, Samples, Series, is_stale};

impl Evaluator<'_> {
    pub(super) fn selector(&mut self, s: &Selector, grid: Grid) -> Result<Vec<Series>, Error> {
        self.selected(s, grid, |_, sample| sample)
    }

    /// As `selector`, with the time of each sample instead of its value, in seconds.
    pub(super) fn selector_times(&mut self, s: &Selector, grid: Grid) -> Result<Vec<Series>, Error> {
        self.selected(s, grid, |time, _| Sample::Float(time as f64 / 1000.0))
    }

    fn selected(
        &mut self,
        s: &Selector,
        grid: Grid,
        give: impl Fn(i64, Sample) -> Sample,
    ) -> Result<Vec<Series>, Error> {
        let steps = grid.len();
        let (offset, at) = self.shift(&s.time, grid)?;
        let first = at.unwrap_or(grid.start) - offset;
        let last = at.unwrap_or(grid.time(steps.saturating_sub(1))) - offset;
        let lookback = self.options.lookback;
        let hints = Hints { function: "", range: lookback, step: grid.step };
        let (from, to) = (first - lookback + 1, last);
        let mut buffer = Samples::default();
        let mut out = Vec::new();
        for Found { id, labels } in self.source.find(&s.matchers, from, to)? {
            self.source.read(id, from, to, hints, &mut buffer)?;
            self.touch(buffer.times.len() + steps)?;
            // Roll-ups stand further apart than samples do.
            let lookback = lookback.max(buffer.spacing * 2);
            let mut values = vec![Sample::Absent; steps];
            let (mut next, mut any) = (0, false);
            for (i, value) in values.iter_mut().enumerate() {
                let time = at.unwrap_or_else(|| grid.time(i)) - offset;
                while next < buffer.times.len() && buffer.times[next] <= time {
                    next += 1;
                }
                let Some(newest) = next.checked_sub(1) else { continue };
                if buffer.times[newest] <= time - lookback || is_stale(buffer.floats[newest]) {
                    continue;
                }
                *value = give(buffer.times[newest], buffer.get(newest));
                any = true;
            }
            if any {
                out.push(Series { labels, drop_name: false, values });
            }
        }
        Ok(out)
    }

    /// As `selector`, at each step a part of the way from the newest sample to the next one.
    pub(super) fn smoothed(&mut self, at: &Expr, s: &Selector, grid: Grid) -> Result<Vec<Series>, Error> {
        let steps = grid.len();
        let (offset, fixed) = self.shift(&s.time, grid)?;
        let time_of = |i: usize| fixed.unwrap_or_else(|| grid.time(i)) - offset;
        let lookback = self.options.lookback;
        let hints = Hints { function: "", range: lookback, step: grid.step };
        let (from, to) = (time_of(0) - lookback + 1, time_of(steps.saturating_sub(1)) + lookback);
        let mut buffer = Samples::default();
        let mut out = Vec::new();
        for Found { id, labels } in self.source.find(&s.matchers, from, to)? {
            self.source.read(id, from, to, hints, &mut buffer)?;
            self.touch(buffer.times.len() + steps)?;
            let mut values = vec![Sample::Absent; steps];
            let mut next = 0;
            for (i, value) in values.iter_mut().enumerate() {
                let time = time_of(i);
                while next < buffer.times.len() && buffer.times[next] <= time {
                    next += 1;
                }
                let Some(newest) = next.checked_sub(1) else { continue };
                let before = buffer.times[newest];
                if before <= time - lookback || is_stale(buffer.floats[newest]) {
                    continue;
                }
                let follows = buffer.times.get(next).is_some_and(|after| *after < time + lookback);
                *value = if before == time || !follows || is_stale(buffer.floats[next]) {
                    buffer.get(newest)
                } else {
                    let part = (time - before) as f64 / (buffer.times[next] - before) as f64;
                    self.midway(at, labels.name(), (&buffer.get(newest), &buffer.get(next)), part)
                };
            }
            if values.iter().any(|v| !v.is_absent()) {
                out.push(Series { labels, drop_name: false, values });
            }
        }
        Ok(out)
    }

    fn midway(&mut self, at: &Expr, metric: &str, pair: (&Sample, &Sample), part: f64) -> Sample {
        match pair {
            (Sample::Float(a), Sample::Float(b)) => Sample::Float(a + (b - a) * part),
            (Sample::Histogram(a), Sample::Histogram(b)) => {
                let counter = a.hint != Hint::Gauge && b.hint != Hint::Gauge;
                edges_native::between(a, b, part, counter).map_or_else(
                    |_| {
                        self.warn_mixed_schemas(at, metric);
                        Sample::Absent
                    },
                    Sample::histogram,
                )
            }
            _ => {
                self.warn(
                    at,
                    format!("encountered a mix of histograms and floats for metric name {metric:?}"),
                );
                Sample::Absent
            }
        }
    }
}
