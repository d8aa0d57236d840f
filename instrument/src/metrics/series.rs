//! One series each: a counter, a gauge, a timer; and the handles that services hold.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A count that only grows. Cloning gives another handle to the same series.
///
/// ```
/// let hits: sightline_instrument::Counter = sightline_instrument::counter("cache", "kittens", "hit");
/// hits.increment(1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Counter(pub(crate) Option<Arc<CounterCell>>);

/// A value that goes up and down. Cloning gives another handle to the same series.
///
/// ```
/// let depth: sightline_instrument::Gauge = sightline_instrument::gauge("queue", "orders", "depth");
/// depth.set(12.0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Gauge(pub(crate) Option<Arc<GaugeCell>>);

/// Durations. Cloning gives another handle to the same series.
///
/// ```
/// use std::time::Duration;
/// let select: sightline_instrument::Timer = sightline_instrument::timer("sqlite", "select");
/// select.record(Duration::from_micros(750));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Timer(pub(crate) Option<Arc<SamplesCell>>);

impl Counter {
    /// Adds `n`.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::new("kittens");
    /// let hits = capture.call(|| sightline_instrument::counter("cache", "kittens", "hit"));
    /// hits.increment(2);
    /// assert_eq!(capture.counter("cache.kittens.hit"), Some(2));
    /// ```
    #[inline]
    pub fn increment(&self, n: u64) {
        if let Some(cell) = &self.0 {
            cell.pending.fetch_add(n, Ordering::Relaxed);
        }
    }
}

impl Gauge {
    /// Sets the value.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::new("shop");
    /// capture.call(|| sightline_instrument::gauge("queue", "orders", "depth")).set(12.0);
    /// assert_eq!(capture.gauge("queue.orders.depth"), Some(12.0));
    /// ```
    pub fn set(&self, value: f64) {
        if let Some(cell) = &self.0 {
            metrics::GaugeFn::set(&**cell, value);
        }
    }

    /// Adds `by`, which may be negative.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::new("shop");
    /// let depth = capture.call(|| sightline_instrument::gauge("queue", "orders", "depth"));
    /// depth.add(3.0);
    /// depth.add(-1.0);
    /// assert_eq!(capture.gauge("queue.orders.depth"), Some(2.0));
    /// ```
    pub fn add(&self, by: f64) {
        if let Some(cell) = &self.0 {
            metrics::GaugeFn::increment(&**cell, by);
        }
    }
}

impl Timer {
    /// Records how long something took.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// use std::time::Duration;
    /// let capture = Capture::new("shop");
    /// capture.call(|| sightline_instrument::timer("sqlite", "select")).record(Duration::from_micros(750));
    /// assert_eq!(capture.timings("sqlite.select.timing"), [0.75]);
    /// ```
    #[inline]
    pub fn record(&self, took: Duration) {
        if let Some(cell) = &self.0 {
            cell.record_ns(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }
}

/// On a line of its own: two hot counters must not share a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct CounterCell {
    pub(crate) pending: AtomicU64,
    /// What was taken from `pending`.
    taken: AtomicU64,
    /// The value last seen by [`metrics::CounterFn::absolute`].
    absolute: AtomicU64,
}

impl CounterCell {
    /// What was added since the last time.
    pub(crate) fn take(&self) -> u64 {
        let n = self.pending.swap(0, Ordering::Relaxed);
        self.taken.fetch_add(n, Ordering::Relaxed);
        n
    }

    /// All that was ever added; for a moment while [`CounterCell::take`] is at work it may be less.
    #[cfg(feature = "pull")]
    pub(crate) fn total(&self) -> u64 {
        self.taken.load(Ordering::Relaxed) + self.pending.load(Ordering::Relaxed)
    }
}

impl metrics::CounterFn for CounterCell {
    #[inline]
    fn increment(&self, value: u64) {
        self.pending.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        let before = self.absolute.fetch_max(value, Ordering::Relaxed);
        if value > before {
            self.pending.fetch_add(value - before, Ordering::Relaxed);
        }
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct GaugeCell {
    bits: AtomicU64,
    /// Counts changes, so that a flush sees whether there was one.
    pub(crate) changes: AtomicU64,
}

impl GaugeCell {
    pub(crate) fn value(&self) -> f64 {
        f64::from_bits(self.bits.load(Ordering::Relaxed))
    }

    fn update(&self, change: impl Fn(f64) -> f64) {
        let _ = self.bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            Some(change(f64::from_bits(bits)).to_bits())
        });
        self.changes.fetch_add(1, Ordering::Release);
    }
}

impl metrics::GaugeFn for GaugeCell {
    fn increment(&self, value: f64) {
        self.update(|v| v + value);
    }

    fn decrement(&self, value: f64) {
        self.update(|v| v - value);
    }

    fn set(&self, value: f64) {
        self.bits.store(value.to_bits(), Ordering::Relaxed);
        self.changes.fetch_add(1, Ordering::Release);
    }
}

/// Samples between two flushes: all of them up to `cap`, an even sample of them beyond.
#[repr(align(64))]
pub(crate) struct SamplesCell {
    samples: Mutex<Samples>,
    cap: usize,
    /// What a value is multiplied by when it is written: seconds to milliseconds, say.
    pub(crate) scale: f64,
    /// Who else is told, and what values are multiplied by for them.
    #[cfg(feature = "pull")]
    mirror: std::sync::OnceLock<(metrics::Histogram, f64)>,
}

impl std::fmt::Debug for SamplesCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SamplesCell").field("samples", &self.samples).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) values: Vec<f64>,
    /// How many were recorded, kept or not.
    pub(crate) seen: u64,
}

impl SamplesCell {
    pub(crate) fn new(cap: usize, scale: f64) -> Self {
        SamplesCell {
            samples: Mutex::default(),
            cap: cap.max(1),
            scale,
            #[cfg(feature = "pull")]
            mirror: std::sync::OnceLock::new(),
        }
    }

    #[cfg(feature = "pull")]
    pub(crate) fn mirror(&self, to: metrics::Histogram, scale: f64) {
        let _ = self.mirror.set((to, scale));
    }

    #[inline]
    pub(crate) fn record_ns(&self, ns: u64) {
        self.push(ns as f64 / 1e6);
    }

    #[inline]
    pub(crate) fn push(&self, value: f64) {
        #[cfg(feature = "pull")]
        if let Some((mirror, scale)) = self.mirror.get() {
            mirror.record(value * scale);
        }
        let mut samples = self.samples.lock();
        samples.seen += 1;
        if samples.values.len() < self.cap {
            samples.values.push(value);
        } else {
            // Each of the `seen` samples is kept with the same probability (algorithm R).
            let at = fastrand::u64(..samples.seen);
            if let Some(slot) = usize::try_from(at).ok().and_then(|at| samples.values.get_mut(at)) {
                *slot = value;
            }
        }
    }

    /// Takes what was recorded since the last time, leaving the spare's memory behind.
    pub(crate) fn take(&self, spare: &mut Samples) {
        spare.values.clear();
        spare.seen = 0;
        std::mem::swap(&mut *self.samples.lock(), spare);
    }
}

impl metrics::HistogramFn for SamplesCell {
    #[inline]
    fn record(&self, value: f64) {
        if value.is_finite() {
            self.push(value * self.scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::CounterFn;

    #[test]
    fn absolute_counters_add_only_what_is_new() {
        let cell = CounterCell::default();
        for value in [5, 3, 9, 9] {
            cell.absolute(value);
        }
        assert_eq!(cell.pending.load(Ordering::Relaxed), 9);
    }

    #[test]
    fn beyond_the_cap_samples_are_kept_evenly_and_counted() {
        let cell = SamplesCell::new(100, 1.0);
        for i in 0..10_000 {
            cell.push(f64::from(i));
        }
        let mut taken = Samples::default();
        cell.take(&mut taken);
        assert_eq!((taken.values.len(), taken.seen), (100, 10_000));
        let mean = taken.values.iter().sum::<f64>() / 100.0;
        assert!((3_000.0..7_000.0).contains(&mean), "early and late samples alike, mean {mean}");
    }
}
