//! Instant selectors: at each step the newest sample that is not too old and has not been ended.
use super::Evaluator;
use crate::store::promql::ast::Selector;
use crate::store::promql::error::Error;
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
}
