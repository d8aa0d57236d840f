//! A sketch of a distribution for quantiles: counts in buckets whose width grows with the value.
//!
//! Buckets lie side by side in memory, so that an observation is one addition and no search. Their number is bounded:
//! a spread that does not fit halves the resolution. At the finest a bucket is 1.1% wide.

use std::sync::LazyLock;

/// Buckets for each doubling at the finest resolution: 2^6.
const FINEST: u32 = 6;
/// So many buckets hold seven orders of magnitude at 2.2%, or four and a half at 1.1%.
const MOST: usize = 1024;
/// Weights are counted in sixteenths, so that 1/rate need not be whole.
const UNIT: f64 = 16.0;

/// The leading ten bits of a mantissa to its bucket among the 64 of a doubling.
static WITHIN: LazyLock<[u8; 1024]> = LazyLock::new(|| {
    std::array::from_fn(|i| ((1.0 + (i as f64 + 0.5) / 1024.0).log2() * f64::from(1 << FINEST)) as u8)
});

/// Counts of values of one sign.
#[derive(Debug, Clone, Default)]
struct Side {
    /// Number of the first bucket.
    first: i32,
    counts: Vec<u32>,
}

/// Counts of values of both signs.
#[derive(Debug, Clone)]
pub struct Sketch {
    /// By how many halvings the resolution is coarser than the finest.
    coarseness: u32,
    positive: Side,
    negative: Side,
    zero: u32,
    least: f64,
    most: f64,
}

impl Default for Sketch {
    fn default() -> Self {
        Sketch {
            coarseness: 0,
            positive: Side::default(),
            negative: Side::default(),
            zero: 0,
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
        }
    }
}

/// The bucket of a positive value at the finest resolution. Subnormal values count as the smallest normal ones.
#[inline]
fn bucket(value: f64) -> i32 {
    let bits = value.max(f64::MIN_POSITIVE).to_bits();
    let exponent = (bits >> 52) as i32 - 1023;
    (exponent << FINEST) + i32::from(WITHIN[(bits >> 42 & 1023) as usize])
}

impl Sketch {
    /// Adds a finite value that stands for `weight` observations.
    #[inline]
    pub fn observe(&mut self, value: f64, weight: f64) {
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        let units = (weight * UNIT).round().max(1.0) as u32;
        if value == 0.0 {
            self.zero = self.zero.saturating_add(units);
            return;
        }
        let number = bucket(value.abs());
        loop {
            let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
            if side.add(number >> self.coarseness, units) {
                return;
            }
            self.positive.coarsen();
            self.negative.coarsen();
            self.coarseness += 1;
        }
    }

    /// Appends value and weight of every bucket that holds something.
    pub fn collect(&self, into: &mut Vec<(f64, f64)>) {
        let scale = f64::from(1 << FINEST) / f64::from(1u32 << self.coarseness.min(31));
        let middle = |number: i32| ((f64::from(number) + 0.5) / scale).exp2();
        let weight = |units: u32| f64::from(units) / UNIT;
        for (number, units) in self.negative.iter() {
            into.push(((-middle(number)).clamp(self.least, self.most), weight(units)));
        }
        if self.zero > 0 {
            into.push((0.0, weight(self.zero)));
        }
        for (number, units) in self.positive.iter() {
            into.push((middle(number).clamp(self.least, self.most), weight(units)));
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        (self.positive.counts.capacity() + self.negative.counts.capacity()) * 4
    }
}

impl Side {
    /// False if the bucket lies too far from the others.
    #[inline]
    fn add(&mut self, number: i32, units: u32) -> bool {
        if let Some(count) = self.counts.get_mut((i64::from(number) - i64::from(self.first)) as usize) {
            *count = count.saturating_add(units);
            return true;
        }
        self.grow(number) && self.add(number, units)
    }

    #[cold]
    fn grow(&mut self, number: i32) -> bool {
        if self.counts.is_empty() {
            self.first = number;
        }
        let last = (self.first + self.counts.len() as i32 - 1).max(number);
        let first = self.first.min(number);
        let len = (last - first + 1) as usize;
        if len > MOST {
            return false;
        }
        if len > self.counts.capacity() {
            // A little more than needed, so that neighbours find room without another copy.
            self.counts.reserve_exact((len + len / 4).clamp(32, MOST) - self.counts.len());
        }
        let before = (self.first - first) as usize;
        self.counts.resize(len, 0);
        self.counts.rotate_right(before);
        self.first = first;
        true
    }

    fn coarsen(&mut self) {
        let Some(last) = (self.first as i64 + self.counts.len() as i64).checked_sub(1) else { return };
        if self.counts.is_empty() {
            return;
        }
        let first = self.first >> 1;
        let mut counts = vec![0u32; ((last >> 1) - i64::from(first) + 1) as usize];
        for (number, units) in self.iter() {
            let count = &mut counts[((number >> 1) - first) as usize];
            *count = count.saturating_add(units);
        }
        self.first = first;
        self.counts = counts;
    }

    fn iter(&self) -> impl Iterator<Item = (i32, u32)> + '_ {
        self.counts
            .iter()
            .zip(self.first..)
            .filter(|(units, _)| **units > 0)
            .map(|(units, number)| (number, *units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_is_found_within_its_error(value in prop_oneof![1e-12f64..1e12, -1e12f64..-1e-12]) {
            let mut sketch = Sketch::default();
            // A second value keeps the bounds from making the answer exact.
            sketch.observe(value, 1.0);
            sketch.observe(value * 1.5, 1.0);
            sketch.observe(value / 1.5, 1.0);
            let mut found = Vec::new();
            sketch.collect(&mut found);
            let (middle, weight) = found[1];
            prop_assert!((middle / value - 1.0).abs() < 0.0075, "{} for {}", middle, value);
            prop_assert_eq!(weight, 1.0);
        }

        #[test]
        fn no_value_is_lost(values in prop::collection::vec(any::<f64>().prop_filter("finite", |v| v.is_finite()), 1..300)) {
            let mut sketch = Sketch::default();
            for &value in &values {
                sketch.observe(value, 1.0);
            }
            let mut found = Vec::new();
            sketch.collect(&mut found);
            prop_assert_eq!(found.iter().map(|(_, weight)| weight).sum::<f64>(), values.len() as f64);
            prop_assert!(sketch.heap_bytes() <= 2 * 4 * MOST + 64);
        }
    }
}
