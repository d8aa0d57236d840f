//! Samples that others write, with times of their own: each is taken or refused for a reason that its sender is told.

use super::events;
use super::head::WRITTEN;
use super::labels::{Labels, NAME};
use super::store::{Inner, Store};
use super::table::Id;
use super::written::{Entry, Origin, Value};
use crate::store::promql::Sample;
use crate::store::promql::histogram::Histogram;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// How far ahead of our clock a sample may be, milliseconds.
const AHEAD: i64 = 10 * 60_000;

/// One series of a request; `labels` without the name. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WrittenSeries<'a> {
    pub name: &'a str,
    pub labels: Vec<(&'a str, &'a str)>,
    pub floats: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// Why a sample was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Its time is sealed already, or beyond the age of retention.
    Old,
    /// Its time has not come yet.
    Future,
    /// It is not newer than the newest of its series.
    Order,
    /// Another value has the same time.
    Conflict,
    /// A new series beyond the cap.
    SeriesLimit,
    /// No memory is left for histograms.
    NativeMemory,
}

impl Refusal {
    /// The label of its counter.
    pub fn word(self) -> &'static str {
        match self {
            Refusal::Old => "old",
            Refusal::Future => "future",
            Refusal::Order => "order",
            Refusal::Conflict => "conflict",
            Refusal::SeriesLimit => "series_limit",
            Refusal::NativeMemory => "native_memory",
        }
    }

    /// In words, for the sender.
    pub fn meaning(self) -> &'static str {
        match self {
            Refusal::Old => "out of bounds: older than what is still open for writing",
            Refusal::Future => "out of bounds: more than ten minutes ahead of this machine's clock",
            Refusal::Order => "out of order: not newer than the newest sample of the series",
            Refusal::Conflict => "duplicate sample for timestamp: another value has this time",
            Refusal::SeriesLimit => "too many series: raise store.metrics.max_series or send fewer",
            Refusal::NativeMemory => {
                "too many native histograms: raise store.metrics.native_memory or send fewer"
            }
        }
    }
}

/// Samples that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub reason: Refusal,
    pub samples: u64,
    /// The first series that it met.
    pub series: String,
}

/// What became of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    pub floats: u64,
    pub histograms: u64,
    pub refused: Vec<Refused>,
}

impl Taken {
    fn refuse(&mut self, reason: Refusal, samples: u64, series: &WrittenSeries<'_>) {
        if let Some(known) = self.refused.iter_mut().find(|r| r.reason == reason) {
            known.samples += samples;
            return;
        }
        let labels = series.labels.iter().copied().chain([(NAME, series.name)]);
        self.refused.push(Refused { reason, samples, series: Labels::new(labels).to_string() });
    }
}

impl Store {
    /// Takes what fits of the samples of others. Once it answers, a crash loses none of what was taken. The same
    /// sample again is no error and changes nothing.
    ///
    /// # Errors
    /// What the disk refuses: then the sender may send all of it again.
    pub fn write(&self, now: i64, list: &[WrittenSeries<'_>]) -> io::Result<Taken> {
        let mut taken = Taken::default();
        let mut inner = self.inner.write();
        let bounds = {
            let age = i64::try_from(self.settings.raw_age.0.as_millis()).unwrap_or(i64::MAX);
            (inner.sealed.max(now.saturating_sub(age)), now.saturating_add(AHEAD))
        };
        let mut batch = Batch {
            room: self.settings.max_series.saturating_sub(inner.head.len()),
            full: inner.head.native_bytes() as u64 > self.settings.native_memory.0,
            bounds,
            entries: Vec::new(),
            last: HashMap::new(),
        };
        for series in list {
            batch.add(&mut inner, series, &mut taken)?;
        }
        for refused in &taken.refused {
            events::samples_dropped(refused.reason.word(), refused.samples);
        }
        if batch.entries.is_empty() {
            return Ok(taken);
        }
        inner.append_written(&self.dir, Origin::Sender, &batch.entries)?;
        inner.last_written = inner.last_written.max(now);
        for (id, time, value) in &batch.entries {
            match value {
                Value::Float(v) => _ = inner.head.push(*id, *time, *v, WRITTEN),
                Value::Native(h) => _ = inner.head.push_native(*id, *time, h, WRITTEN),
            }
        }
        events::sampled(taken.floats + taken.histograms);
        events::natives_sampled(taken.histograms);
        // Queries and rounds go on while the disk writes.
        let handles = inner.written_handles()?;
        drop(inner);
        handles.iter().try_for_each(std::fs::File::sync_data)?;
        Ok(taken)
    }
}

/// What of a request is to be written.
struct Batch {
    room: usize,
    full: bool,
    bounds: (i64, i64),
    entries: Vec<Entry>,
    /// The newest sample of each series, those of this batch included.
    last: HashMap<Id, (i64, Value)>,
}

impl Batch {
    fn add(&mut self, inner: &mut Inner, series: &WrittenSeries<'_>, taken: &mut Taken) -> io::Result<()> {
        let floats = series.floats.iter().map(|(time, v)| (*time, Value::Float(*v)));
        let histograms = series.histograms.iter().map(|(time, h)| (*time, Value::Native(h.clone())));
        let mut samples: Vec<(i64, Value)> = floats.chain(histograms).collect();
        samples.sort_by_key(|s| s.0);
        let (oldest, latest) = self.bounds;
        samples.retain(|(time, value)| {
            let refusal = match value {
                _ if *time < oldest => Refusal::Old,
                _ if *time > latest => Refusal::Future,
                Value::Native(_) if self.full => Refusal::NativeMemory,
                _ => return true,
            };
            taken.refuse(refusal, 1, series);
            false
        });
        // A series of which nothing is taken is not made known.
        if samples.is_empty() {
            return Ok(());
        }
        let Some(id) = inner.id_of(series.name, &series.labels, &mut self.room)? else {
            events::series_dropped(1);
            taken.refuse(Refusal::SeriesLimit, samples.len() as u64, series);
            return Ok(());
        };
        for (time, value) in samples {
            let last = match self.last.get(&id) {
                Some(last) => Some(last.clone()),
                None => inner.head.last(id).and_then(|(time, sample)| Some((time, of(sample)?))),
            };
            match last {
                Some((at, _)) if time < at => taken.refuse(Refusal::Order, 1, series),
                Some((at, before)) if time == at => {
                    if !same(&before, &value) {
                        taken.refuse(Refusal::Conflict, 1, series);
                    }
                }
                _ => {
                    match value {
                        Value::Float(_) => taken.floats += 1,
                        Value::Native(_) => taken.histograms += 1,
                    }
                    self.last.insert(id, (time, value.clone()));
                    self.entries.push((id, time, value));
                }
            }
        }
        Ok(())
    }
}

fn of(sample: Sample) -> Option<Value> {
    match sample {
        Sample::Absent => None,
        Sample::Float(v) => Some(Value::Float(v)),
        Sample::Histogram(h) => Some(Value::Native(h)),
    }
}

/// The same bits, or the same observations.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Native(a), Value::Native(b)) => a.equals(b),
        _ => false,
    }
}
