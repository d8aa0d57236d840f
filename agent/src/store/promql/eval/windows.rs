//! Functions of one window of float samples. Pure: slices in, a number out.
use crate::store::promql::math::{Sum, linear_regression, quantile, variance};

/// The float samples of a window; times in milliseconds, never empty.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) times: &'a [i64],
    pub(super) floats: &'a [f64],
    /// The window's own borders and length.
    pub(super) start: i64,
    pub(super) end: i64,
    /// The time of the evaluation, which an offset moves away from the window.
    pub(super) now: i64,
}

impl Window<'_> {
    /// The rise (or, for a gauge, the change) over the whole window, extrapolated to its borders.
    pub(super) fn extrapolated(&self, counter: bool, per_second: bool) -> Option<f64> {
        let n = self.times.len();
        if n < 2 {
            return None;
        }
        let mut rise = self.floats[n - 1] - self.floats[0];
        if counter {
            for pair in self.floats.windows(2) {
                if pair[1] < pair[0] {
                    rise += pair[0];
                }
            }
        }
        let first = if counter { Some(self.floats[0]) } else { None };
        Some(rise * extrapolation(self.times, self.start, self.end, first, rise, per_second))
    }

    /// From the last two samples: the change, or for a counter the rate.
    pub(super) fn instant(&self, rate: bool) -> Option<f64> {
        let n = self.times.len();
        if n < 2 {
            return None;
        }
        let (a, b) = (self.floats[n - 2], self.floats[n - 1]);
        if !rate {
            return Some(b - a);
        }
        let seconds = (self.times[n - 1] - self.times[n - 2]) as f64 / 1000.0;
        (seconds != 0.0).then(|| if b < a { b } else { b - a } / seconds)
    }

    pub(super) fn changes(&self) -> f64 {
        self.floats.windows(2).filter(|p| p[0] != p[1] && !(p[0].is_nan() && p[1].is_nan())).count() as f64
    }

    pub(super) fn resets(&self) -> f64 {
        self.floats.windows(2).filter(|p| p[1] < p[0]).count() as f64
    }

    pub(super) fn average(&self) -> f64 {
        let mut sum = Sum::default();
        for (i, v) in self.floats.iter().enumerate() {
            sum.add(*v);
            if sum.overflowed() {
                return self.running_mean(i);
            }
        }
        sum.divided(self.floats.len() as f64)
    }

    /// A mean that never exceeds its inputs, for sums past the greatest float.
    fn running_mean(&self, from: usize) -> f64 {
        crate::store::promql::math::running_mean(self.floats, from)
    }

    pub(super) fn sum(&self) -> f64 {
        let mut sum = Sum::default();
        self.floats.iter().for_each(|v| sum.add(*v));
        sum.value()
    }

    /// Where the extreme is: the first NaN gives way to any number.
    pub(super) fn extreme(&self, better: impl Fn(f64, f64) -> bool) -> usize {
        let mut best = 0;
        for (i, v) in self.floats.iter().enumerate() {
            if better(*v, self.floats[best]) || self.floats[best].is_nan() {
                best = i;
            }
        }
        best
    }

    pub(super) fn variance(&self) -> f64 {
        variance(self.floats.iter().copied())
    }

    pub(super) fn quantile(&self, q: f64) -> f64 {
        quantile(q, &mut self.floats.to_vec())
    }

    /// The median distance from the median.
    pub(super) fn median_deviation(&self) -> f64 {
        let median = self.quantile(0.5);
        let mut distances: Vec<f64> = self.floats.iter().map(|v| (v - median).abs()).collect();
        quantile(0.5, &mut distances)
    }

    pub(super) fn slope(&self) -> Option<f64> {
        let n = self.times.len();
        (n >= 2).then(|| linear_regression(self.times, self.floats, self.times[0]).0)
    }

    pub(super) fn predicted(&self, seconds: f64) -> Option<f64> {
        let n = self.times.len();
        (n >= 2).then(|| {
            let (slope, intercept) = linear_regression(self.times, self.floats, self.now);
            slope * seconds + intercept
        })
    }

    /// Holt's linear method: `smoothing` of the level, `trend` of the slope.
    pub(super) fn smoothed(&self, smoothing: f64, trend: f64) -> Option<f64> {
        let n = self.floats.len();
        if n < 2 {
            return None;
        }
        let (mut level, mut before) = (self.floats[0], 0.0);
        let mut slope = self.floats[1] - self.floats[0];
        for i in 1..n {
            if i > 1 {
                slope = trend * (level - before) + (1.0 - trend) * slope;
            }
            let next = smoothing * self.floats[i] + (1.0 - smoothing) * (level + slope);
            before = level;
            level = next;
        }
        Some(level)
    }
}

/// By how much a change between the first and the last sample is enlarged to cover the window.
///
/// `first` is the first value of a counter, which cannot have been below zero before it.
pub(super) fn extrapolation(
    times: &[i64],
    start: i64,
    end: i64,
    first: Option<f64>,
    rise: f64,
    per_second: bool,
) -> f64 {
    let n = times.len();
    let mut to_start = (times[0] - start) as f64 / 1000.0;
    let mut to_end = (end - times[n - 1]) as f64 / 1000.0;
    let sampled = (times[n - 1] - times[0]) as f64 / 1000.0;
    let between = sampled / (n - 1) as f64;
    // Further from the border than samples usually are from each other: the series begins or ends there.
    let threshold = between * 1.1;
    if to_start >= threshold {
        to_start = between / 2.0;
    }
    if let Some(first) = first
        && rise > 0.0
        && first >= 0.0
    {
        to_start = to_start.min(sampled * (first / rise));
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    let factor = (sampled + to_start + to_end) / sampled;
    if per_second { factor / ((end - start) as f64 / 1000.0) } else { factor }
}
