//! One series: its labels, ready for exposition, and its value.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::metrics::histogram::Histogram;
use crate::metrics::set::Set;
use crate::metrics::summary::Summary;

/// One series. Updates take no lock (counters, gauges) or the series' own.
#[derive(Debug)]
pub struct Series {
    /// `a="1",b="2"`, escaped, by ascending key; empty without labels.
    pub labels: Box<str>,
    /// Its value.
    pub value: Value,
    /// When it was first seen, in seconds since the epoch.
    pub created: u32,
    /// When it was last updated, in seconds since the epoch.
    pub touched: AtomicU32,
    /// After how many seconds of silence it ends, 0 never; and [`ENDED`]. Written under its family's lock.
    life: AtomicU32,
    /// Samples since somebody last asked.
    updates: AtomicU32,
}

/// It was taken out of the registry: whoever still holds it looks it up again.
const ENDED: u32 = 1 << 31;

/// The value of a series.
#[derive(Debug)]
pub enum Value {
    /// Only grows.
    Counter(Number),
    /// Goes up and down.
    Gauge(Number),
    /// Buckets.
    Histogram(Box<Mutex<Histogram>>),
    /// Quantiles.
    Summary(Box<Mutex<Summary>>),
    /// Distinct members.
    Set(Box<Mutex<Set>>),
}

/// A double that threads share.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// The value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    /// Replaces the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Adds to the value. A sum that would leave the finite numbers stays what it was.
    pub fn add(&self, value: f64) {
        let mut seen = self.0.load(Relaxed);
        loop {
            let sum = f64::from_bits(seen) + value;
            if !sum.is_finite() {
                return;
            }
            match self.0.compare_exchange_weak(seen, sum.to_bits(), Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

impl Series {
    /// A series that begins now and ends after `ttl` seconds of silence; 0 is never.
    pub fn new(labels: String, value: Value, ttl: u32, now: u64) -> Self {
        Series {
            labels: labels.into(),
            value,
            created: now as u32,
            touched: AtomicU32::new(now as u32),
            life: AtomicU32::new(ttl.min(ENDED - 1)),
            updates: AtomicU32::new(0),
        }
    }

    /// After how many seconds of silence it ends; 0 never.
    pub fn ttl(&self) -> u32 {
        self.life.load(Relaxed) & !ENDED
    }

    /// Changes after how many seconds of silence it ends.
    pub fn set_ttl(&self, ttl: u32) {
        self.life.store(ttl.min(ENDED - 1) | (self.life.load(Relaxed) & ENDED), Relaxed);
    }

    /// Takes it out: whoever still holds it looks it up again.
    pub fn end(&self) {
        self.life.fetch_or(ENDED, Relaxed);
    }

    /// Whether it was taken out.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.life.load(Relaxed) & ENDED != 0
    }

    /// How many samples came since the last call. Threads that update at the very same time may count as one.
    pub fn take_updates(&self) -> u32 {
        self.updates.swap(0, Relaxed)
    }

    /// Notes an update.
    #[inline]
    pub fn touch(&self, now: u64) {
        // Not one atomic addition: this is for people, and each sample would pay for it.
        self.updates.store(self.updates.load(Relaxed).saturating_add(1), Relaxed);
        let now = now as u32;
        if self.touched.load(Relaxed) != now {
            self.touched.store(now, Relaxed);
        }
    }

    /// Whether the silence has lasted long enough to end it.
    pub fn is_stale(&self, now: u64) -> bool {
        let ttl = u64::from(self.ttl());
        ttl > 0 && now >= u64::from(self.touched.load(Relaxed)) + ttl
    }

    /// Bytes on the heap, without the series itself.
    pub fn heap_bytes(&self) -> usize {
        self.labels.len()
            + match &self.value {
                Value::Counter(_) | Value::Gauge(_) => 0,
                Value::Histogram(h) => size_of::<Mutex<Histogram>>() + h.lock().heap_bytes(),
                Value::Summary(s) => size_of::<Mutex<Summary>>() + s.lock().heap_bytes(),
                Value::Set(s) => size_of::<Mutex<Set>>() + s.lock().heap_bytes(),
            }
    }
}

/// Labels as [`Series::labels`] has them.
pub fn render_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (key, value) in labels {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(key);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out
}

/// Reads [`Series::labels`] back. The values are still escaped: see [`unescape`].
pub fn read_labels(mut text: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        let (key, rest) = text.split_once("=\"")?;
        let mut escaped = false;
        let end = rest.bytes().position(|b| {
            let ends = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            ends
        })?;
        text = rest[end + 1..].strip_prefix(',').unwrap_or("");
        Some((key, &rest[..end]))
    })
}

/// A label's value as it was before it was escaped.
pub fn unescape(value: &str) -> std::borrow::Cow<'_, str> {
    if !value.contains('\\') {
        return value.into();
    }
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            (c, false) => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn labels_come_back_as_they_went_in(values in prop::collection::vec("[a\\\\\"\n,=é]{0,6}", 0..4)) {
            let labels: Vec<(String, String)> =
                values.into_iter().enumerate().map(|(i, v)| (format!("k{i}"), v)).collect();
            let text = render_labels(labels.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            let back: Vec<(String, String)> =
                read_labels(&text).map(|(k, v)| (k.to_owned(), unescape(v).into_owned())).collect();
            prop_assert_eq!(back, labels);
        }
    }

    #[test]
    fn a_sum_stays_finite() {
        let n = Number::default();
        n.set(f64::MAX);
        n.add(f64::MAX);
        assert_eq!(n.get(), f64::MAX);
    }
}
