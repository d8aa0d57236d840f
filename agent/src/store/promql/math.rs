//! Sums that do not lose small parts, variance, quantiles, regression: the arithmetic that functions share.

/// A sum with the low bits kept beside it (Neumaier's method).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, v: f64) {
        let total = self.sum + v;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= v.abs() {
            self.lost += (self.sum - total) + v;
        } else {
            self.lost += (v - total) + self.sum;
        }
        self.sum = total;
    }

    pub(crate) fn value(&self) -> f64 {
        self.sum + self.lost
    }

    pub(crate) fn divided(&self, by: f64) -> f64 {
        self.sum / by + self.lost / by
    }

    /// The sum passed the greatest float although no value was infinite.
    pub(crate) fn overflowed(&self) -> bool {
        self.sum.is_infinite()
    }
}

/// The mean; it is kept as a mean from where the sum would not fit into a float.
pub(crate) fn average(floats: &[f64]) -> f64 {
    let mut sum = Sum::default();
    for (i, v) in floats.iter().enumerate() {
        let before = sum;
        sum.add(*v);
        if sum.overflowed() {
            let mut mean = Mean::start(before, i);
            floats[i..].iter().for_each(|v| mean.add(*v));
            return mean.value();
        }
    }
    sum.divided(floats.len() as f64)
}

/// The mean as it goes; `from` values are known to sum up without overflow.
pub(crate) fn running_mean(values: &[f64], from: usize) -> f64 {
    let mut sum = Sum::default();
    values[..from].iter().for_each(|v| sum.add(*v));
    let mut mean = Mean::start(sum, from);
    values[from..].iter().for_each(|v| mean.add(*v));
    mean.value()
}

/// A mean kept as a mean, for values whose sum does not fit into a float.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mean {
    mean: Sum,
    count: f64,
}

impl Mean {
    pub(crate) fn start(sum: Sum, count: usize) -> Self {
        let n = count as f64;
        let mean = if count == 0 { Sum::default() } else { Sum { sum: sum.sum / n, lost: sum.lost / n } };
        Mean { mean, count: n }
    }

    pub(crate) fn add(&mut self, v: f64) {
        self.count += 1.0;
        let mean = self.mean.value();
        if mean.is_infinite() && (v.is_finite() || v == mean) {
            // An infinite mean stays so, whatever finite follows.
            return;
        }
        // Weighted, since the difference itself could overflow.
        let kept = (self.count - 1.0) / self.count;
        self.mean = Sum { sum: self.mean.sum * kept, lost: self.mean.lost * kept };
        self.mean.add(v / self.count);
    }

    pub(crate) fn value(&self) -> f64 {
        self.mean.value()
    }
}

/// The population's variance.
pub(crate) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for v in values {
        count += 1.0;
        let delta = v - mean.value();
        mean.add(delta / count);
        squares.add(delta * (v - mean.value()));
    }
    squares.value() / count
}

/// Interpolated between the two nearest values; sorts its input. Outside 0 to 1 it is an infinity.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    // NaN counts as the least.
    values.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        _ => a.total_cmp(b),
    });
    let n = values.len() as f64;
    let rank = q * (n - 1.0);
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(n - 1.0);
    let weight = rank - lower;
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}

/// Slope per second and value at `at` of the straight line through the samples.
pub(crate) fn linear_regression(times: &[i64], values: &[f64], at: i64) -> (f64, f64) {
    let first = values[0];
    if values.iter().all(|v| *v == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = values.len() as f64;
    let (mut x, mut y, mut xy, mut xx) = (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (t, v) in times.iter().zip(values) {
        let dx = (t - at) as f64 / 1000.0;
        x.add(dx);
        y.add(*v);
        xy.add(dx * v);
        xx.add(dx * dx);
    }
    let (x, y) = (x.value(), y.value());
    let covariance = xy.value() - x * y / n;
    let spread = xx.value() - x * x / n;
    let slope = covariance / spread;
    (slope, y / n - slope * x / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_what_is_small() {
        let mut s = Sum::default();
        [1e100, 1.0, -1e100].iter().for_each(|v| s.add(*v));
        assert_eq!(s.value(), 1.0);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0]), 2.0);
        assert_eq!(quantile(1.0, &mut [3.0, 1.0]), 3.0);
        assert_eq!(quantile(2.0, &mut [3.0]), f64::INFINITY);
        assert!(quantile(f64::NAN, &mut [3.0]).is_nan());
    }

    #[test]
    fn a_mean_survives_a_sum_past_the_greatest_float() {
        assert_eq!(running_mean(&[f64::MAX, f64::MAX], 1), f64::MAX);
    }

    #[test]
    fn regression_finds_slope_and_intercept() {
        assert_eq!(linear_regression(&[0, 1000, 2000], &[1.0, 3.0, 5.0], 1000), (2.0, 3.0));
    }
}
