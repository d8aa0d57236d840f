//! Quantiles and fractions estimated from the buckets of classic histograms.

/// One bucket of a classic histogram: its `le` and how many observations are at or below it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Le {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// What had to be done to the counts before they grew from bucket to bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Forced {
    /// More than rounding can explain.
    pub(crate) forced: bool,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    pub(crate) difference: f64,
}

/// Differences up to this part of a count are rounding.
const SMALL: f64 = 1e-12;

/// The value below which the part `q` of all observations lies.
pub(crate) fn bucket_quantile(q: f64, buckets: &mut Vec<Le>) -> (f64, Forced) {
    if q.is_nan() {
        return (f64::NAN, Forced::default());
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, Forced::default());
    }
    if q > 1.0 {
        return (f64::INFINITY, Forced::default());
    }
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return (f64::NAN, Forced::default());
    }
    coalesce(buckets);
    let forced = make_monotonic(buckets);
    if buckets.len() < 2 {
        return (f64::NAN, forced);
    }
    let last = buckets.len() - 1;
    let total = buckets[last].count;
    if total == 0.0 {
        return (f64::NAN, forced);
    }
    let mut rank = q * total;
    let b = buckets[..last].partition_point(|b| b.count < rank);
    if b == last {
        return (buckets[last - 1].upper, forced);
    }
    if b == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, forced);
    }
    let (mut start, end, mut count) = (0.0, buckets[b].upper, buckets[b].count);
    if b > 0 {
        start = buckets[b - 1].upper;
        count -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    (start + (end - start) * (rank / count), forced)
}

/// The part of all observations between two values.
pub(crate) fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Le>) -> f64 {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let total = buckets[buckets.len() - 1].count;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |v: f64| {
        let (mut start, mut rank) = (f64::NEG_INFINITY, 0.0);
        for (i, b) in buckets.iter().enumerate() {
            if i == 0 && b.upper > 0.0 {
                // The first bucket of what is measured from zero begins there.
                start = 0.0;
            }
            if start >= v {
                return rank;
            }
            if b.upper > v {
                // A bucket without an end cannot be divided: none of it is below the value, or, at the lower end, all.
                if start == f64::NEG_INFINITY {
                    return b.count;
                }
                if b.upper == f64::INFINITY {
                    return rank;
                }
                return rank + (b.count - rank) * (v - start) / (b.upper - start);
            }
            start = b.upper;
            rank = b.count;
        }
        total
    };
    (below(upper).min(total) - below(lower).min(total)) / total
}

/// Buckets with the same bound, written differently, count as one.
fn coalesce(buckets: &mut Vec<Le>) {
    let mut out: Vec<Le> = Vec::with_capacity(buckets.len());
    for b in buckets.iter() {
        match out.last_mut() {
            Some(last) if last.upper == b.upper => last.count += b.count,
            _ => out.push(*b),
        }
    }
    *buckets = out;
}

/// A scrape can catch buckets at different moments; counts that fall are lifted to the one before.
fn make_monotonic(buckets: &mut [Le]) -> Forced {
    let mut out = Forced { lowest: f64::INFINITY, highest: f64::NEG_INFINITY, ..Forced::default() };
    let mut previous = buckets[0].count;
    for b in buckets.iter_mut().skip(1) {
        if b.count == previous {
            continue;
        }
        let difference = (b.count - previous).abs();
        if difference <= SMALL * b.count.abs().max(previous.abs()) {
            b.count = previous;
        } else if b.count < previous {
            out.forced = true;
            out.lowest = out.lowest.min(b.upper);
            out.highest = out.highest.max(b.upper);
            out.difference = out.difference.max(previous - b.count);
            b.count = previous;
        } else {
            previous = b.count;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn le(list: &[(f64, f64)]) -> Vec<Le> {
        list.iter().map(|(upper, count)| Le { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn interpolates_within_the_bucket() {
        let mut b = le(&[(1.0, 10.0), (2.0, 20.0), (f64::INFINITY, 20.0)]);
        assert_eq!(bucket_quantile(0.75, &mut b).0, 1.5);
        assert_eq!(bucket_quantile(1.0, &mut b).0, 2.0);
        assert!(bucket_quantile(0.5, &mut le(&[(1.0, 1.0)])).0.is_nan());
    }

    #[test]
    fn falling_counts_are_lifted_and_told() {
        let mut b = le(&[(1.0, 10.0), (2.0, 5.0), (f64::INFINITY, 20.0)]);
        assert!(bucket_quantile(0.5, &mut b).1.forced);
        assert!(!bucket_quantile(0.5, &mut le(&[(1.0, 1.0), (f64::INFINITY, 1.0 - 1e-14)])).1.forced);
    }

    #[test]
    fn fractions() {
        let mut b = le(&[(1.0, 10.0), (2.0, 20.0), (f64::INFINITY, 40.0)]);
        assert_eq!(bucket_fraction(0.0, 1.5, &mut b), 15.0 / 40.0);
        assert_eq!(bucket_fraction(f64::NEG_INFINITY, f64::INFINITY, &mut b), 1.0);
        assert_eq!(bucket_fraction(2.0, 1.0, &mut b), 0.0);
    }
}
