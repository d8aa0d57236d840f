//! The operators `</` and `>/`: a histogram without what lies above or below a value.
//!
//! A bucket that the value cuts keeps its share, by the exponent within exponential buckets and by the line within
//! custom ones and the zero bucket. The sum of what is left is estimated from the middles of what is left.
use super::histogram::{Bucket, Histogram};

/// Which part is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// `</`
    Below,
    /// `>/`
    Above,
}

/// How observations are assumed to lie within a bucket.
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Line,
    Exponent,
}

/// What is left of a bucket: its count, and the value that its observations have on average.
struct Left {
    count: f64,
    middle: f64,
}

impl Histogram {
    pub(crate) fn trimmed(&self, keep: Keep, at: f64) -> Histogram {
        let mut out = self.clone();
        let mut sum = 0.0;
        let mut take = |bucket: Bucket, scale: Scale| {
            let left = left(&bucket, scale, keep, at);
            if left.count != 0.0 {
                sum += left.count * left.middle;
            }
            left.count
        };
        for (index, count) in &mut out.negative {
            *count = take(
                Bucket {
                    lower: -self.upper_bound(*index),
                    upper: -self.lower_bound(*index),
                    count: *count,
                    lower_in: true,
                    upper_in: false,
                },
                Scale::Exponent,
            );
        }
        if self.zero_count != 0.0 {
            out.zero_count = take(self.zero_bucket(), Scale::Line);
        }
        let scale = if self.is_custom() { Scale::Line } else { Scale::Exponent };
        for (index, count) in &mut out.positive {
            *count = take(
                Bucket {
                    lower: self.lower_bound(*index),
                    upper: self.upper_bound(*index),
                    count: *count,
                    lower_in: false,
                    upper_in: true,
                },
                scale,
            );
        }
        if (&out.negative, out.zero_count, &out.positive) == (&self.negative, self.zero_count, &self.positive)
        {
            return out;
        }
        out.negative.retain(|b| b.1 != 0.0);
        out.positive.retain(|b| b.1 != 0.0);
        let buckets = out.negative.iter().chain(&out.positive);
        out.count = out.zero_count + buckets.map(|b| b.1).sum::<f64>();
        out.sum = sum;
        out
    }

    /// The zero bucket with observations on one side of zero only, if the other buckets say so.
    fn zero_bucket(&self) -> Bucket {
        let z = self.zero_threshold;
        let lower = if self.negative.is_empty() && !self.positive.is_empty() { 0.0 } else { -z };
        let upper = if self.positive.is_empty() && !self.negative.is_empty() { 0.0 } else { z };
        Bucket { lower, upper, count: self.zero_count, lower_in: true, upper_in: true }
    }
}

fn left(bucket: &Bucket, scale: Scale, keep: Keep, at: f64) -> Left {
    let all = |middle| Left { count: bucket.count, middle };
    let none = Left { count: 0.0, middle: 0.0 };
    let (mut lower, upper) = (bucket.lower, bucket.upper);
    if at.is_nan() {
        return none;
    }
    match (lower.is_infinite(), upper.is_infinite(), keep) {
        // Open ends have no width to share out: the bucket stays or goes as a whole.
        (true, true, Keep::Below) => return if at == f64::INFINITY { all(0.0) } else { none },
        (true, true, Keep::Above) => return if at == f64::NEG_INFINITY { all(0.0) } else { none },
        (false, true, Keep::Below) => return if at == f64::INFINITY { all(lower) } else { none },
        (false, true, Keep::Above) => {
            return if at == f64::INFINITY { none } else { all(lower.max(at)) };
        }
        (true, false, Keep::Below) if upper <= 0.0 => {
            return if at == f64::NEG_INFINITY { none } else { all(upper.min(at)) };
        }
        (true, false, Keep::Above) if at == f64::NEG_INFINITY => {
            return all(if upper > 0.0 { upper / 2.0 } else { upper });
        }
        (true, false, Keep::Above) if upper <= 0.0 || at < 0.0 => return none,
        // Measurements rarely are negative: the first bucket is taken to begin at zero.
        (true, false, _) => lower = 0.0,
        (false, false, _) => {}
    }
    let (from, to) = match keep {
        Keep::Below => (lower, upper.min(at)),
        Keep::Above => (lower.max(at), upper),
    };
    if from >= to {
        return none;
    }
    let count = if (from, to) == (lower, upper) {
        bucket.count
    } else {
        let width = |a: f64, b: f64| match scale {
            Scale::Line => b - a,
            Scale::Exponent => (b.abs().log2() - a.abs().log2()).abs(),
        };
        bucket.count * width(from, to) / width(lower, upper)
    };
    let middle = match scale {
        Scale::Line => f64::midpoint(from, to),
        Scale::Exponent => (from * to).sqrt().copysign(to + from),
    };
    Left { count, middle }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_and_what_is_above_make_the_whole() {
        let h = Histogram {
            zero_threshold: 0.001,
            zero_count: 1.0,
            count: 34.0,
            sum: 120.0,
            positive: vec![(0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0)],
            negative: vec![(0, 1.0), (1, 2.0)],
            ..Histogram::default()
        };
        for at in [-3.0, -1.5, -1.0, -0.0003, 0.0, 0.7, 1.0, 3.3, 100.0, f64::INFINITY, f64::NEG_INFINITY] {
            let (below, above) = (h.trimmed(Keep::Below, at), h.trimmed(Keep::Above, at));
            assert!(
                (below.count + above.count - h.count).abs() < 1e-9,
                "{at}: {} {}",
                below.count,
                above.count
            );
        }
        assert_eq!(h.trimmed(Keep::Below, f64::INFINITY), h, "nothing trimmed: the true sum stays");
        assert_eq!(h.trimmed(Keep::Below, f64::NAN).count, 0.0);
    }
}
