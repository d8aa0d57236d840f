//! Brings two native histograms to the same buckets: the coarser schema, the wider zero bucket, the custom bounds that both have.
use super::histogram::{Buckets, Histogram, Incompatible};
use std::sync::Arc;

pub(crate) fn aligned(a: &Histogram, b: &Histogram) -> Result<(Histogram, Histogram, bool), Incompatible> {
    if a.is_custom() != b.is_custom() {
        return Err(Incompatible);
    }
    if a.is_custom() {
        if same_bounds(&a.custom, &b.custom) {
            return Ok((a.clone(), b.clone(), false));
        }
        let common: Arc<[f64]> = a.custom.iter().copied().filter(|v| b.custom.contains(v)).collect();
        return Ok((a.at_bounds(&common), b.at_bounds(&common), true));
    }
    let schema = a.schema.min(b.schema);
    let (mut a, mut b) = (a.clone(), b.clone());
    while a.zero_threshold != b.zero_threshold {
        let widest = a.zero_threshold.max(b.zero_threshold);
        a = a.with_zero_threshold(widest);
        b = b.with_zero_threshold(widest);
    }
    Ok((a.at_schema(schema), b.at_schema(schema), false))
}

pub(crate) fn same_bounds(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits())
}

fn regroup(list: &Buckets, to: impl Fn(i32) -> i32) -> Buckets {
    let mut out: Buckets = Vec::with_capacity(list.len());
    for &(i, count) in list {
        let index = to(i);
        match out.last_mut() {
            Some(last) if last.0 == index => last.1 += count,
            _ => out.push((index, count)),
        }
    }
    out
}

impl Histogram {
    pub(super) fn at_schema(&self, schema: i32) -> Histogram {
        let mut h = self.clone();
        if schema >= self.schema {
            return h;
        }
        let shift = (self.schema - schema).min(30) as u32;
        let coarse = |list: &Buckets| regroup(list, |i| ((i - 1) >> shift) + 1);
        h.positive = coarse(&h.positive);
        h.negative = coarse(&h.negative);
        h.schema = schema;
        h
    }

    /// With a zero bucket at least as wide as asked; wider if the border falls into a filled bucket.
    pub(super) fn with_zero_threshold(&self, asked: f64) -> Histogram {
        let mut h = self.clone();
        let mut threshold = asked.max(h.zero_threshold);
        loop {
            let straddling = |list: &Buckets| {
                list.iter()
                    .filter(|(i, _)| self.lower_bound(*i) < threshold && self.upper_bound(*i) > threshold)
                    .map(|(i, _)| self.upper_bound(*i))
                    .fold(threshold, f64::max)
            };
            let wider = straddling(&self.positive).max(straddling(&self.negative));
            if wider == threshold {
                break;
            }
            threshold = wider;
        }
        for list in [&mut h.positive, &mut h.negative] {
            list.retain(|(i, count)| {
                let inside = self.upper_bound(*i) <= threshold;
                if inside {
                    h.zero_count += count;
                }
                !inside
            });
        }
        h.zero_threshold = threshold;
        h
    }

    /// With the given custom bounds, a subset of its own.
    fn at_bounds(&self, bounds: &Arc<[f64]>) -> Histogram {
        let mut h = self.clone();
        h.positive = regroup(&self.positive, |i| {
            let upper = self.upper_bound(i);
            bounds.partition_point(|b| *b < upper) as i32
        });
        h.custom = bounds.clone();
        h
    }
}
