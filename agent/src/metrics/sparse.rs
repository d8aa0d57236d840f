//! Exponential buckets kept only where something fell: the shape of Prometheus' native histograms.
//!
//! Bucket `i` of schema `s` covers (2^((i-1)/2^s), 2^(i/2^s)]. Summaries use the same buckets as a sketch, so one
//! piece of code decides about bounds. Weights are fractional.

use std::sync::LazyLock;

/// Finest and coarsest resolution that Prometheus knows.
pub const MAX_SCHEMA: i8 = 8;
/// See [`MAX_SCHEMA`].
pub const MIN_SCHEMA: i8 = -4;

/// 2^(i/256) / 2 for i in 0..256: the bounds of the finest schema within one power of two.
static BOUNDS: LazyLock<[f64; 256]> =
    LazyLock::new(|| std::array::from_fn(|i| 0.5 * (i as f64 / 256.0).exp2()));

/// Weights by exponential bucket.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sparse {
    /// Resolution: 2^schema buckets for each doubling.
    pub schema: i8,
    /// Bucket numbers, ascending.
    keys: Vec<i32>,
    /// Their weights.
    weights: Vec<f64>,
}

impl Sparse {
    /// Empty buckets of a resolution, confined to what Prometheus knows.
    pub fn new(schema: i8) -> Self {
        Sparse { schema: schema.clamp(MIN_SCHEMA, MAX_SCHEMA), keys: Vec::new(), weights: Vec::new() }
    }

    /// The coarsest schema whose buckets grow by at most `factor`.
    pub fn schema_for(factor: f64) -> i8 {
        if factor <= 1.0 {
            return MAX_SCHEMA;
        }
        (-factor.log2().log2().floor()).clamp(f64::from(MIN_SCHEMA), f64::from(MAX_SCHEMA)) as i8
    }

    /// The bucket that holds `value`, which must be finite and above zero.
    pub fn key(schema: i8, value: f64) -> i32 {
        let (fraction, exponent) = frexp(value);
        if schema > 0 {
            let step = 1usize << (MAX_SCHEMA - schema);
            let (mut low, mut high) = (0usize, 256 / step);
            while low < high {
                let middle = usize::midpoint(low, high);
                if BOUNDS[middle * step] < fraction { low = middle + 1 } else { high = middle }
            }
            return low as i32 + ((exponent - 1) << schema);
        }
        let key = if fraction == 0.5 { exponent - 1 } else { exponent };
        let shift = u32::from(schema.unsigned_abs());
        (key + ((1 << shift) - 1)) >> shift
    }

    /// Upper bound of a bucket.
    pub fn upper_bound(schema: i8, key: i32) -> f64 {
        (f64::from(key) * (-f64::from(schema)).exp2()).exp2()
    }

    /// Adds weight to the bucket of `value` (finite, above zero).
    pub fn add(&mut self, value: f64, weight: f64) {
        self.add_to(Self::key(self.schema, value), weight);
    }

    /// Adds weight to a bucket by number.
    pub fn add_to(&mut self, key: i32, weight: f64) {
        match self.keys.binary_search(&key) {
            Ok(at) => self.weights[at] += weight,
            Err(at) => {
                if self.keys.len() == self.keys.capacity() {
                    // Grow by half: there are many of these, and most stay small.
                    let more = (self.keys.len() / 2).max(4);
                    self.keys.reserve_exact(more);
                    self.weights.reserve_exact(more);
                }
                self.keys.insert(at, key);
                self.weights.insert(at, weight);
            }
        }
    }

    /// Halves the resolution; false when it is the coarsest already.
    pub fn coarsen(&mut self) -> bool {
        if self.schema <= MIN_SCHEMA {
            return false;
        }
        self.schema -= 1;
        let mut kept = 0;
        for at in 0..self.keys.len() {
            let key = (self.keys[at] + 1) >> 1;
            if kept > 0 && self.keys[kept - 1] == key {
                self.weights[kept - 1] += self.weights[at];
            } else {
                self.keys[kept] = key;
                self.weights[kept] = self.weights[at];
                kept += 1;
            }
        }
        self.keys.truncate(kept);
        self.weights.truncate(kept);
        true
    }

    /// How many buckets hold something.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing fell anywhere.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bucket numbers and weights, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, f64)> + '_ {
        self.keys.iter().copied().zip(self.weights.iter().copied())
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.keys.capacity() * 4 + self.weights.capacity() * 8
    }
}

/// `value = fraction × 2^exponent` with the fraction in [0.5, 1).
fn frexp(value: f64) -> (f64, i32) {
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32;
    if exponent == 0 {
        // Subnormal: scale up by 2^54 first.
        let (fraction, exponent) = frexp(value * 18_014_398_509_481_984.0);
        return (fraction, exponent - 54);
    }
    (f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52)), exponent - 1022)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_belong_to_the_lower_bucket() {
        for schema in MIN_SCHEMA..=MAX_SCHEMA {
            for power in [-3, 0, 4] {
                let key = if schema >= 0 { power << schema } else { ((power - 1) >> -schema) + 1 };
                assert_eq!(Sparse::key(schema, f64::from(power).exp2()), key, "2^{power} in schema {schema}");
            }
        }
        assert_eq!(Sparse::key(0, 1.0001), 1);
        assert_eq!(Sparse::key(3, 5e-324), (-1074) << 3);
    }

    #[test]
    fn factors_choose_the_schemas_of_prometheus() {
        let schemas = [1.1, 2.0, 1.005, 1.002, 4.0, 1e9].map(Sparse::schema_for);
        assert_eq!(schemas, [3, 0, 8, 8, -1, -4]);
    }

    #[test]
    fn coarsening_keeps_the_weight() {
        let mut sparse = Sparse::new(3);
        for i in 1..200 {
            sparse.add(f64::from(i) * 0.01, 1.0);
        }
        while sparse.coarsen() {}
        assert_eq!(sparse.schema, MIN_SCHEMA);
        assert_eq!(sparse.iter().map(|(_, w)| w).sum::<f64>(), 199.0);
    }

    proptest! {
        #[test]
        fn a_value_lies_within_its_bucket(value in 1e-30f64..1e30, schema in MIN_SCHEMA..=MAX_SCHEMA) {
            let key = Sparse::key(schema, value);
            prop_assert!(value <= Sparse::upper_bound(schema, key) * (1.0 + 1e-12));
            prop_assert!(value >= Sparse::upper_bound(schema, key - 1) * (1.0 - 1e-12));
        }

        #[test]
        fn coarsening_agrees_with_the_coarser_key(value in 1e-30f64..1e30) {
            let mut sparse = Sparse::new(MAX_SCHEMA);
            sparse.add(value, 1.0);
            while sparse.coarsen() {
                let key = sparse.iter().next().map(|(k, _)| k);
                prop_assert_eq!(key, Some(Sparse::key(sparse.schema, value)));
            }
        }
    }
}
