//! Native histograms: sparse buckets of exponential or custom width, and their arithmetic.
use super::histogram_align::{aligned, same_bounds};
use std::sync::Arc;

/// The schema number that means "bounds are given one by one".
pub const CUSTOM: i32 = -53;

/// What is known of a counter's resets between this histogram and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hint {
    #[default]
    Unknown,
    Reset,
    NotReset,
    Gauge,
}

impl Hint {
    /// As remote write and the store's chunks number it; what is not known says nothing.
    pub fn of(number: u64) -> Self {
        match number {
            1 => Hint::Reset,
            2 => Hint::NotReset,
            3 => Hint::Gauge,
            _ => Hint::Unknown,
        }
    }

    /// What [`Hint::of`] reads.
    pub fn number(self) -> u64 {
        match self {
            Hint::Unknown => 0,
            Hint::Reset => 1,
            Hint::NotReset => 2,
            Hint::Gauge => 3,
        }
    }
}

/// Index and count, sorted by index, no zeros. Bucket `i` of an exponential schema ends at `base^i`.
pub type Buckets = Vec<(i32, f64)>;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    pub schema: i32,
    pub hint: Hint,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    pub positive: Buckets,
    pub negative: Buckets,
    /// Upper bounds of custom buckets; the last bucket, up to infinity, has none.
    pub custom: Arc<[f64]>,
}

/// One bucket with its bounds.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
    pub lower_in: bool,
    pub upper_in: bool,
}

/// Two histograms that cannot be put together: one has custom buckets, the other exponential ones.
#[derive(Debug, PartialEq, Eq)]
pub struct Incompatible;

/// What happened while two histograms were put together.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub struct Merged {
    /// One said "reset", the other "not reset".
    pub hints_collided: bool,
    /// Custom bounds differed; only the common ones were kept.
    pub bounds_reconciled: bool,
}

impl Histogram {
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM
    }

    pub fn as_gauge(mut self) -> Self {
        self.hint = Hint::Gauge;
        self
    }

    pub fn upper_bound(&self, index: i32) -> f64 {
        if self.is_custom() {
            return usize::try_from(index)
                .ok()
                .and_then(|i| self.custom.get(i))
                .copied()
                .unwrap_or(f64::INFINITY);
        }
        if self.schema <= 0 {
            return 2f64.powi(index.saturating_mul(1 << (-self.schema).clamp(0, 30)));
        }
        // Split, so that whole powers of two come out exact.
        let per = 1i32 << self.schema.min(30);
        let (whole, part) = (index.div_euclid(per), index.rem_euclid(per));
        2f64.powi(whole) * (f64::from(part) / f64::from(per)).exp2()
    }

    pub(crate) fn lower_bound(&self, index: i32) -> f64 {
        if self.is_custom() && index <= 0 { f64::NEG_INFINITY } else { self.upper_bound(index - 1) }
    }

    /// All buckets from the least to the greatest, the zero bucket in its place.
    pub fn buckets(&self) -> Vec<Bucket> {
        let mut out = Vec::with_capacity(self.positive.len() + self.negative.len() + 1);
        for &(i, count) in self.negative.iter().rev() {
            let (lower, upper) = (-self.upper_bound(i), -self.lower_bound(i));
            out.push(Bucket { lower, upper, count, lower_in: true, upper_in: false });
        }
        if self.zero_count != 0.0 {
            let z = self.zero_threshold;
            out.push(Bucket { lower: -z, upper: z, count: self.zero_count, lower_in: true, upper_in: true });
        }
        for &(i, count) in &self.positive {
            let lower_in = self.is_custom() && i == 0;
            out.push(Bucket {
                lower: self.lower_bound(i),
                upper: self.upper_bound(i),
                count,
                lower_in,
                upper_in: true,
            });
        }
        out
    }

    /// The same layout with nothing observed.
    pub(crate) fn without_buckets(mut self) -> Self {
        self.positive.clear();
        self.negative.clear();
        self.zero_count = 0.0;
        self.count = 0.0;
        self.sum = 0.0;
        self
    }

    pub fn scaled(&self, factor: f64) -> Histogram {
        self.clone().scale(factor)
    }

    pub(crate) fn scale(self, factor: f64) -> Histogram {
        let mut h = self;
        h.count *= factor;
        h.sum *= factor;
        h.zero_count *= factor;
        for b in h.positive.iter_mut().chain(h.negative.iter_mut()) {
            b.1 *= factor;
        }
        if factor < 0.0 {
            h.hint = Hint::Gauge;
        }
        h
    }

    pub fn divided(&self, by: f64) -> Histogram {
        let mut h = self.clone();
        h.count /= by;
        h.sum /= by;
        h.zero_count /= by;
        for b in h.positive.iter_mut().chain(h.negative.iter_mut()) {
            b.1 /= by;
        }
        if by < 0.0 {
            h.hint = Hint::Gauge;
        }
        if by == 0.0 {
            // Counts over nothing say nothing about single buckets.
            h.positive.clear();
            h.negative.clear();
        }
        h
    }

    pub fn add(&self, other: &Histogram) -> Result<(Histogram, Merged), Incompatible> {
        let (mut h, merged) = self.combine(other, 1.0)?;
        let (hint, hints_collided) = joint_hint(self.hint, other.hint);
        h.hint = hint;
        Ok((h, Merged { hints_collided, ..merged }))
    }

    pub fn sub(&self, other: &Histogram) -> Result<(Histogram, Merged), Incompatible> {
        let (mut h, merged) = self.combine(other, -1.0)?;
        let hints_collided = joint_hint(self.hint, other.hint).1;
        h.hint = Hint::Gauge;
        Ok((h, Merged { hints_collided, ..merged }))
    }

    fn combine(&self, other: &Histogram, sign: f64) -> Result<(Histogram, Merged), Incompatible> {
        if self.same_layout(other) {
            return Ok((self.plus(other, sign), Merged::default()));
        }
        let (a, b, bounds_reconciled) = aligned(self, other)?;
        Ok((a.plus(&b, sign), Merged { hints_collided: false, bounds_reconciled }))
    }

    /// Whether buckets of the same place are the same buckets.
    pub(crate) fn same_layout(&self, other: &Histogram) -> bool {
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && same_bounds(&self.custom, &other.custom)
    }

    fn plus(&self, other: &Histogram, sign: f64) -> Histogram {
        Histogram {
            schema: self.schema,
            hint: self.hint,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count + sign * other.zero_count,
            count: self.count + sign * other.count,
            sum: self.sum + sign * other.sum,
            positive: added(&self.positive, &other.positive, sign),
            negative: added(&self.negative, &other.negative, sign),
            custom: self.custom.clone(),
        }
    }

    /// The same observations; what is known of resets does not matter.
    pub fn equals(&self, other: &Histogram) -> bool {
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && same(self.zero_count, other.zero_count)
            && same(self.count, other.count)
            && same(self.sum, other.sum)
            && self.positive == other.positive
            && self.negative == other.negative
            && same_bounds(&self.custom, &other.custom)
    }

    /// Whether a counter began anew between `previous` and this one.
    pub fn resets_after(&self, previous: &Histogram) -> bool {
        match self.hint {
            Hint::Reset => return true,
            Hint::NotReset => return false,
            _ => {}
        }
        if self.count < previous.count || self.is_custom() != previous.is_custom() {
            return true;
        }
        if self.is_custom() {
            return match aligned(self, previous) {
                Ok((now, before, _)) => fell(&now.positive, &before.positive),
                Err(_) => true,
            };
        }
        if self.schema > previous.schema {
            return true;
        }
        if self.schema == previous.schema && self.zero_threshold == previous.zero_threshold {
            return self.zero_count < previous.zero_count
                || fell(&self.positive, &previous.positive)
                || fell(&self.negative, &previous.negative);
        }
        let before = previous.at_schema(self.schema).with_zero_threshold(self.zero_threshold);
        before.zero_threshold != self.zero_threshold
            || self.zero_count < before.zero_count
            || fell(&self.positive, &before.positive)
            || fell(&self.negative, &before.negative)
    }
}

impl std::fmt::Display for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use super::format::short;
        write!(f, "{{count:{}, sum:{}", short(self.count), short(self.sum))?;
        for b in self.buckets().iter().filter(|b| b.count != 0.0) {
            let (open, close) = (if b.lower_in { '[' } else { '(' }, if b.upper_in { ']' } else { ')' });
            write!(f, ", {open}{},{}{close}:{}", short(b.lower), short(b.upper), short(b.count))?;
        }
        f.write_str("}")
    }
}

pub(crate) fn joint_hint(a: Hint, b: Hint) -> (Hint, bool) {
    match (a, b) {
        (a, b) if a == b => (a, false),
        (Hint::Gauge, _) | (_, Hint::Gauge) => (Hint::Gauge, false),
        (Hint::Unknown, _) | (_, Hint::Unknown) => (Hint::Unknown, false),
        _ => (Hint::Unknown, true),
    }
}

fn added(a: &Buckets, b: &Buckets, sign: f64) -> Buckets {
    let mut out: Buckets = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let take_a = j >= b.len() || (i < a.len() && a[i].0 <= b[j].0);
        let take_b = i >= a.len() || (j < b.len() && b[j].0 <= a[i].0);
        let index = if take_a { a[i].0 } else { b[j].0 };
        let mut count = 0.0;
        if take_a {
            count += a[i].1;
            i += 1;
        }
        if take_b {
            count += sign * b[j].1;
            j += 1;
        }
        out.push((index, count));
    }
    out.retain(|(_, count)| *count != 0.0);
    out
}

fn fell(now: &Buckets, before: &Buckets) -> bool {
    before.iter().any(|(i, count)| {
        let current = now.binary_search_by_key(i, |b| b.0).map_or(0.0, |at| now[at].1);
        current < *count
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponential(schema: i32, buckets: &[(i32, f64)]) -> Histogram {
        let count = buckets.iter().map(|b| b.1).sum();
        Histogram { schema, count, positive: buckets.to_vec(), ..Histogram::default() }
    }

    #[test]
    fn bounds_are_powers_of_the_base() {
        let h = exponential(0, &[]);
        assert_eq!((h.upper_bound(0), h.upper_bound(1), h.upper_bound(-1)), (1.0, 2.0, 0.5));
        assert_eq!(exponential(-1, &[]).upper_bound(1), 4.0);
        assert_eq!(exponential(1, &[]).upper_bound(2), 2.0);
    }

    #[test]
    fn adds_at_the_coarser_schema() {
        let (h, _) = exponential(-1, &[(1, 1.0)]).add(&exponential(0, &[(1, 2.0), (2, 2.0)])).unwrap();
        assert_eq!((h.schema, h.positive, h.count), (-1, vec![(1, 5.0)], 5.0));
    }

    #[test]
    fn a_fallen_bucket_is_a_reset() {
        let before = exponential(0, &[(0, 2.0), (1, 1.0)]);
        assert!(exponential(0, &[(0, 1.0), (1, 9.0)]).resets_after(&before));
        assert!(!exponential(0, &[(0, 2.0), (1, 9.0)]).resets_after(&before));
    }

    #[test]
    fn differing_custom_bounds_keep_what_is_common() {
        let custom = |bounds: &[f64], buckets: &[(i32, f64)]| Histogram {
            custom: bounds.into(),
            ..exponential(CUSTOM, buckets)
        };
        let (h, merged) =
            custom(&[1.0, 2.0], &[(0, 1.0), (1, 2.0)]).add(&custom(&[2.0, 3.0], &[(1, 4.0)])).unwrap();
        assert!(merged.bounds_reconciled);
        assert_eq!((&*h.custom, h.positive), (&[2.0][..], vec![(0, 3.0), (1, 4.0)]));
        assert!(exponential(0, &[]).add(&custom(&[], &[])).is_err());
    }
}
