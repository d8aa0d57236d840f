//! A cumulative histogram: classic buckets for every scraper, native ones for those that ask by protobuf.

use std::sync::Arc;

use super::naming::HistogramOptions;
use super::sparse::Sparse;

/// Values this close to zero count as zero in native buckets (2^-128, as Prometheus' clients have it).
pub const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// The trace behind one observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar {
    /// 32 lower-case hexadecimal digits.
    pub trace_id: [u8; 32],
    /// What was observed.
    pub value: f64,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
}

impl Exemplar {
    /// The trace id as text.
    pub fn trace_id(&self) -> &str {
        std::str::from_utf8(&self.trace_id).unwrap_or_default()
    }
}

/// Native buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Native {
    /// Above zero.
    pub positive: Sparse,
    /// Below zero, by absolute value.
    pub negative: Sparse,
    /// At zero.
    pub zero: f64,
}

/// One series of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    options: Arc<HistogramOptions>,
    /// Weight in each classic bucket (not cumulative); the last is +Inf.
    classic: Box<[f64]>,
    sum: f64,
    native: Option<Box<Native>>,
    exemplars: Option<Box<[Option<Exemplar>]>>,
}

impl Histogram {
    /// An empty histogram.
    pub fn new(options: Arc<HistogramOptions>) -> Self {
        let native = (options.native_factor > 1.0).then(|| {
            let schema = Sparse::schema_for(options.native_factor);
            Box::new(Native { positive: Sparse::new(schema), negative: Sparse::new(schema), zero: 0.0 })
        });
        Histogram {
            classic: vec![0.0; options.buckets.len() + 1].into(),
            options,
            sum: 0.0,
            native,
            exemplars: None,
        }
    }

    /// Adds a finite value that stands for `weight` observations.
    pub fn observe(&mut self, value: f64, weight: f64) {
        let at = self.bucket(value);
        self.classic[at] += weight;
        self.sum += value * weight;
        let Some(native) = &mut self.native else { return };
        if value > ZERO_THRESHOLD {
            native.positive.add(value, weight);
        } else if value < -ZERO_THRESHOLD {
            native.negative.add(-value, weight);
        } else {
            native.zero += weight;
        }
        let most = (self.options.native_max_buckets as usize).max(8);
        while native.positive.len() + native.negative.len() > most {
            if !native.coarsen() {
                break;
            }
        }
    }

    /// Remembers the trace behind an observation; the newest of each bucket is kept.
    pub fn exemplar(&mut self, exemplar: Exemplar) {
        let at = self.bucket(exemplar.value);
        self.exemplars.get_or_insert_with(|| vec![None; self.classic.len()].into())[at] = Some(exemplar);
    }

    fn bucket(&self, value: f64) -> usize {
        self.options.buckets.partition_point(|&bound| bound < value)
    }

    /// Adds what another time or place has counted. False, and nothing added, if the buckets differ.
    pub fn merge(&mut self, classic: &[f64], sum: f64, native: Option<&Native>) -> bool {
        if classic.len() != self.classic.len() {
            return false;
        }
        for (mine, theirs) in self.classic.iter_mut().zip(classic) {
            *mine += theirs;
        }
        self.sum += sum;
        if let (Some(mine), Some(theirs)) = (&mut self.native, native) {
            mine.merge(theirs);
        }
        true
    }

    /// Replaces the counts by a sender's own cumulative ones. False if the buckets differ.
    pub fn replace(&mut self, classic: &[f64], sum: f64, native: Option<Native>) -> bool {
        if classic.len() != self.classic.len() {
            return false;
        }
        self.classic.copy_from_slice(classic);
        self.sum = sum;
        if native.is_some() {
            self.native = native.map(Box::new);
        }
        true
    }

    /// Upper bounds without +Inf.
    pub fn bounds(&self) -> &[f64] {
        &self.options.buckets
    }

    /// Weight in each bucket, not cumulative, the last for +Inf.
    pub fn classic(&self) -> &[f64] {
        &self.classic
    }

    /// How many observations fell into buckets up to each bound, the last for all: whole numbers that never fall.
    pub fn cumulative(&self) -> impl Iterator<Item = f64> + '_ {
        self.classic.iter().scan(0.0, |total, weight| {
            *total += weight;
            Some(total.round())
        })
    }

    /// How many observations there were.
    pub fn count(&self) -> f64 {
        self.cumulative().last().unwrap_or(0.0)
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Native buckets, if they are kept.
    pub fn native(&self) -> Option<&Native> {
        self.native.as_deref()
    }

    /// The exemplar of each classic bucket; empty if there never was one.
    pub fn exemplars(&self) -> &[Option<Exemplar>] {
        self.exemplars.as_deref().unwrap_or_default()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.classic.len() * 8
            + self
                .native
                .as_ref()
                .map_or(0, |n| size_of::<Native>() + n.positive.heap_bytes() + n.negative.heap_bytes())
            + self.exemplars.as_ref().map_or(0, |e| e.len() * size_of::<Option<Exemplar>>())
    }
}

impl Native {
    /// Halves the resolution of both sides.
    pub fn coarsen(&mut self) -> bool {
        self.positive.coarsen() && self.negative.coarsen()
    }

    fn merge(&mut self, other: &Native) {
        if self.positive.is_empty() && self.negative.is_empty() && self.zero == 0.0 {
            // Nothing here needs our own resolution.
            *self = other.clone();
            return;
        }
        let mut other = other.clone();
        while other.positive.schema > self.positive.schema && other.coarsen() {}
        while self.positive.schema > other.positive.schema && self.coarsen() {}
        for (key, weight) in other.positive.iter() {
            self.positive.add_to(key, weight);
        }
        for (key, weight) in other.negative.iter() {
            self.negative.add_to(key, weight);
        }
        self.zero += other.zero;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram() -> Histogram {
        Histogram::new(Arc::new(HistogramOptions {
            buckets: vec![0.25, 1.0],
            native_factor: 1.1,
            native_max_buckets: 10,
        }))
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut h = histogram();
        for value in [0.125, 0.25, 1.0, 1.5, -2.0] {
            h.observe(value, 1.0);
        }
        assert_eq!(h.cumulative().collect::<Vec<_>>(), [3.0, 4.0, 5.0]);
        assert_eq!((h.count(), h.sum()), (5.0, 0.875));
    }

    #[test]
    fn fractional_weights_show_as_whole_numbers_that_never_fall() {
        let mut h = histogram();
        for value in [0.1, 0.5, 2.0] {
            h.observe(value, 1.0 / 0.3);
        }
        assert_eq!(h.cumulative().collect::<Vec<_>>(), [3.0, 7.0, 10.0]);
    }

    #[test]
    fn native_buckets_stay_within_their_number_and_keep_the_weight() {
        let mut h = histogram();
        for i in 0..1000 {
            h.observe(f64::from(i) * 0.37, 1.0);
            h.observe(f64::from(-i), 1.0);
        }
        let native = h.native().unwrap();
        assert!(native.positive.len() + native.negative.len() <= 10);
        assert_eq!(native.positive.schema, native.negative.schema);
        let weight: f64 = native.positive.iter().chain(native.negative.iter()).map(|(_, w)| w).sum();
        assert_eq!(weight + native.zero, 2000.0);
    }

    #[test]
    fn the_newest_exemplar_of_a_bucket_is_kept() {
        let mut h = histogram();
        for (digit, value) in [(b'a', 0.3), (b'b', 0.4), (b'c', 5.0)] {
            h.exemplar(Exemplar { trace_id: [digit; 32], value, at_ms: 1 });
        }
        let ids: Vec<_> = h.exemplars().iter().map(|e| e.map(|e| e.trace_id[0])).collect();
        assert_eq!(ids, [None, Some(b'b'), Some(b'c')]);
    }
}
