//! Quantiles, fractions and spread of native histograms.
use super::histogram::{Bucket, Histogram};
use super::math::Sum;

/// What NaN among the observations did to an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NanNote {
    None,
    /// The estimate is too high.
    Skewed,
    /// The rank fell among the NaNs.
    IsNan,
}

pub(crate) fn quantile(q: f64, h: &Histogram) -> (f64, NanNote) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, NanNote::None);
    }
    if q > 1.0 {
        return (f64::INFINITY, NanNote::None);
    }
    if h.count == 0.0 || q.is_nan() {
        return (f64::NAN, NanNote::None);
    }
    // From the nearer end. NaN observations are in no bucket, they lie above all: count from below then.
    let forward = h.sum.is_nan() || q < 0.5;
    let mut rank = if forward { q * h.count } else { (1.0 - q) * h.count };
    let mut buckets = h.buckets();
    if !forward {
        buckets.reverse();
    }
    let mut seen = 0.0;
    let mut at: Option<Bucket> = None;
    for b in buckets.into_iter().filter(|b| b.count != 0.0) {
        seen += b.count;
        at = Some(b);
        if seen >= rank {
            break;
        }
    }
    let Some(mut bucket) = at else {
        // Nothing but NaN was observed.
        let note = if h.sum.is_nan() { NanNote::IsNan } else { NanNote::None };
        return (f64::NAN, note);
    };
    if !h.is_custom() && bucket.lower < 0.0 && bucket.upper > 0.0 {
        narrow_zero_bucket(h, &mut bucket);
    } else if h.is_custom() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return (bucket.upper, NanNote::None);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return (bucket.lower, NanNote::None);
        }
    }
    seen = seen.min(h.count);
    if seen < rank {
        let note = if h.sum.is_nan() { NanNote::IsNan } else { NanNote::None };
        return (f64::NAN, note);
    }
    let note = if h.sum.is_nan() { NanNote::Skewed } else { NanNote::None };
    rank = if forward { rank - (seen - bucket.count) } else { seen - rank };
    (interpolate(h, &bucket, rank / bucket.count), note)
}

fn interpolate(h: &Histogram, b: &Bucket, fraction: f64) -> f64 {
    if h.is_custom() || (b.lower <= 0.0 && b.upper >= 0.0) {
        return b.lower + (b.upper - b.lower) * fraction;
    }
    let (lower, upper) = (b.lower.abs().log2(), b.upper.abs().log2());
    if b.lower > 0.0 {
        (lower + (upper - lower) * fraction).exp2()
    } else {
        -(upper + (lower - upper) * (1.0 - fraction)).exp2()
    }
}

/// Where all other buckets lie on one side of zero, so does the zero bucket.
fn narrow_zero_bucket(h: &Histogram, b: &mut Bucket) {
    if h.negative.is_empty() && !h.positive.is_empty() {
        b.lower = 0.0;
    } else if h.positive.is_empty() && !h.negative.is_empty() {
        b.upper = 0.0;
    }
}

/// The part of all observations between two values.
pub(crate) fn fraction(lower: f64, upper: f64, h: &Histogram) -> f64 {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    // Observations of NaN are in no bucket and belong to no range.
    let total = if h.sum.is_nan() { h.buckets().iter().map(|b| b.count).sum() } else { h.count };
    let below = |v: f64| rank_below(v, h).unwrap_or(total).min(total);
    (below(upper) - below(lower)) / h.count
}

fn rank_below(v: f64, h: &Histogram) -> Option<f64> {
    let mut rank = 0.0;
    for mut b in h.buckets() {
        let around_zero = b.lower <= 0.0 && b.upper >= 0.0;
        if around_zero && !h.is_custom() {
            narrow_zero_bucket(h, &mut b);
        }
        if h.is_custom() && b.lower == f64::NEG_INFINITY && b.upper > 0.0 {
            b.lower = 0.0;
        }
        if b.lower >= v {
            return Some(rank);
        }
        if b.upper > v {
            // A bucket without an end cannot be divided: none of it is below the value, or, at the lower end, all.
            if b.lower == f64::NEG_INFINITY {
                return Some(b.count);
            }
            if b.upper == f64::INFINITY {
                return Some(rank);
            }
            return Some(rank + b.count * part_below(v, &b, h.is_custom() || around_zero));
        }
        rank += b.count;
    }
    None
}

/// Which part of a bucket's observations lies below a value in it.
pub(crate) fn part_below(v: f64, b: &Bucket, linear: bool) -> f64 {
    if linear {
        return (v - b.lower) / (b.upper - b.lower);
    }
    let (lower, upper, at) = (b.lower.abs().log2(), b.upper.abs().log2(), v.abs().log2());
    if v > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
}

/// The population's variance, each observation taken to lie in its bucket's middle.
pub(crate) fn variance(h: &Histogram) -> f64 {
    let mean = h.sum / h.count;
    let mut squares = Sum::default();
    for b in h.buckets().iter().filter(|b| b.count != 0.0) {
        let middle = if h.is_custom() {
            if b.upper == f64::INFINITY {
                b.lower
            } else if b.lower == f64::NEG_INFINITY {
                b.upper
            } else {
                (b.lower + b.upper) / 2.0
            }
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            let middle = (b.lower * b.upper).sqrt();
            if b.upper < 0.0 { -middle } else { middle }
        };
        squares.add(b.count * (middle - mean) * (middle - mean));
    }
    squares.value() / h.count
}
