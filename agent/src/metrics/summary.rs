//! Quantiles over a sliding window, exact while there are few observations, within about 0.6% of the value beyond.
//!
//! The window is cut into steps; each step keeps its own observations and is thrown away whole. While a step holds
//! few values it keeps them as they are; then it becomes a sketch of bounded size.

use std::sync::Arc;
use std::time::Duration;

use super::naming::SummaryOptions;
use super::sketch::Sketch;

/// From how many observations in one step on a sketch is cheaper than the values.
const EXACT: usize = 64;

/// One series of a summary.
#[derive(Debug, Clone)]
pub struct Summary {
    options: Arc<SummaryOptions>,
    count: f64,
    sum: f64,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    /// Which step since the epoch this is.
    number: u64,
    /// The first second that is not its own.
    end: u64,
    held: Held,
}

#[derive(Debug, Clone)]
enum Held {
    Values(Vec<f64>),
    Sketch(Box<Sketch>),
}

impl Summary {
    /// An empty summary.
    pub fn new(options: Arc<SummaryOptions>) -> Self {
        Summary { options, count: 0.0, sum: 0.0, steps: Vec::new() }
    }

    fn step_seconds(&self) -> u64 {
        let steps = self.options.age_buckets.max(1);
        (self.options.max_age.max(Duration::from_secs(1)).as_secs() / u64::from(steps)).max(1)
    }

    /// Adds a finite value that stands for `weight` observations, at a time in seconds.
    pub fn observe(&mut self, value: f64, weight: f64, now: u64) {
        self.count += weight;
        self.sum += value * weight;
        if self.steps.last().is_none_or(|step| step.end <= now) {
            self.expire(now);
            let seconds = self.step_seconds();
            let number = now / seconds;
            self.steps.push(Step { number, end: (number + 1) * seconds, held: Held::Values(Vec::new()) });
        }
        // A clock that went back finds the newest step: better a little late than lost.
        if let Some(step) = self.steps.last_mut() {
            step.held.observe(value, weight);
        }
    }

    /// Frees the steps that left the window.
    pub fn expire(&mut self, now: u64) {
        let oldest =
            (now / self.step_seconds() + 1).saturating_sub(u64::from(self.options.age_buckets.max(1)));
        self.steps.retain(|step| step.number >= oldest);
    }

    /// How many observations there ever were, as a whole number.
    pub fn count(&self) -> f64 {
        self.count.round()
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The unrounded count and the sum, to be kept over a restart.
    pub fn totals(&self) -> (f64, f64) {
        (self.count, self.sum)
    }

    /// Adds totals of an earlier life.
    pub fn add_totals(&mut self, count: f64, sum: f64) {
        self.count += count;
        self.sum += sum;
    }

    /// The quantiles asked for in the options.
    pub fn options(&self) -> &SummaryOptions {
        &self.options
    }

    /// Each quantile of the options with its value; NaN while the window is empty. `scratch` is reused between calls.
    pub fn quantiles(&mut self, now: u64, scratch: &mut Vec<(f64, f64)>, mut each: impl FnMut(f64, f64)) {
        self.expire(now);
        scratch.clear();
        for step in &self.steps {
            step.held.collect(scratch);
        }
        scratch.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = scratch.iter().map(|(_, weight)| weight).sum();
        for &(quantile, _) in &self.options.quantiles {
            // The value at rank ⌈q·n⌉, which is what statsd_exporter shows while it is exact.
            let rank = (quantile * total).ceil().max(1.0).min(total);
            let mut seen = 0.0;
            let at = scratch.iter().find(|(_, weight)| {
                seen += weight;
                seen >= rank - 1e-9
            });
            each(quantile, at.or(scratch.last()).map_or(f64::NAN, |(value, _)| *value));
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.steps.capacity() * size_of::<Step>()
            + self.steps.iter().map(|s| s.held.heap_bytes()).sum::<usize>()
    }
}

impl Held {
    fn observe(&mut self, value: f64, weight: f64) {
        if let Held::Values(values) = self {
            // A small whole weight is that many values; anything else needs the sketch.
            if values.len() as f64 + weight <= EXACT as f64 && weight.fract() == 0.0 {
                values.extend(std::iter::repeat_n(value, weight as usize));
                return;
            }
            let mut sketch = Box::<Sketch>::default();
            for &value in values.iter() {
                sketch.observe(value, 1.0);
            }
            *self = Held::Sketch(sketch);
        }
        if let Held::Sketch(sketch) = self {
            sketch.observe(value, weight);
        }
    }

    fn collect(&self, into: &mut Vec<(f64, f64)>) {
        match self {
            Held::Values(values) => into.extend(values.iter().map(|&value| (value, 1.0))),
            Held::Sketch(sketch) => sketch.collect(into),
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Held::Values(values) => values.capacity() * 8,
            Held::Sketch(sketch) => size_of::<Sketch>() + sketch.heap_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quantiles(summary: &mut Summary, now: u64) -> Vec<f64> {
        let mut out = Vec::new();
        summary.quantiles(now, &mut Vec::new(), |_, value| out.push(value));
        out
    }

    #[test]
    fn few_values_give_exact_quantiles() {
        let mut s = Summary::new(Arc::default());
        for value in [0.001, 0.002, 0.003] {
            s.observe(value, 1.0, 100);
        }
        assert_eq!(quantiles(&mut s, 100), [0.002, 0.003, 0.003]);
        assert_eq!((s.count(), s.sum()), (3.0, 0.006));
    }

    #[test]
    fn old_values_leave_the_window_and_stay_in_the_sum() {
        let mut s = Summary::new(Arc::default());
        s.observe(1.0, 1.0, 1_000_000_000);
        s.observe(2.0, 1.0, 1_000_000_300);
        assert_eq!(quantiles(&mut s, 1_000_000_400)[0], 1.0);
        assert_eq!(quantiles(&mut s, 1_000_000_620)[0], 2.0);
        assert!(quantiles(&mut s, 1_000_002_000)[0].is_nan());
        assert_eq!((s.count(), s.sum()), (2.0, 3.0));
    }

    #[test]
    fn a_huge_weight_costs_no_memory() {
        let mut s = Summary::new(Arc::default());
        s.observe(0.1, 1e12, 5);
        assert_eq!(quantiles(&mut s, 5), [0.1; 3]);
        assert!(s.heap_bytes() < 1024);
    }

    #[test]
    fn no_spread_breaks_the_bound_of_memory() {
        let mut s = Summary::new(Arc::default());
        for i in 0..20_000 {
            let value = (f64::from(i % 2000) - 1000.0).exp2();
            s.observe(if i % 2 == 0 { value } else { -value }, 1.0, 5);
        }
        assert!(s.heap_bytes() < 12 * 1024, "{}", s.heap_bytes());
    }

    proptest! {
        #[test]
        fn a_sketch_is_within_its_error(mut values in prop::collection::vec(1e-4f64..1e2, 200..400)) {
            let mut s = Summary::new(Arc::default());
            for &value in &values {
                s.observe(value, 1.0, 7);
            }
            values.sort_by(f64::total_cmp);
            for (quantile, shown) in [0.5, 0.9, 0.99].into_iter().zip(quantiles(&mut s, 7)) {
                let exact = values[(quantile * values.len() as f64).ceil() as usize - 1];
                prop_assert!((shown / exact - 1.0).abs() < 0.012, "{} is not {}", shown, exact);
            }
        }
    }
}
