//! The store itself: takes rounds of samples, keeps them, and hands them to queries.
use super::disk;
use super::exemplars::{Exemplar, Exemplars};
use super::head::{Head, window_of};
use super::metadata::{Metadata, Metadatum};
use super::rounds::Rounds;
use super::settings::Settings;
use super::table::{Id, Table};
use super::wal::Log;
use super::written::{self, Entry, Origin, Value};
use super::{block::Block, events};
use crate::store::metrics::labels::Labels;
use crate::store::promql::histogram::Histogram;
use crate::store::promql::stale;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared between the sampler, the maintenance and the query API.
pub struct Store {
    pub(super) dir: PathBuf,
    pub(super) settings: Settings,
    pub(super) inner: RwLock<Inner>,
    /// One maintenance at a time.
    pub(super) maintenance: Mutex<()>,
    pub(super) exemplars: Mutex<Exemplars>,
    pub(super) metadata: RwLock<Metadata>,
    /// Bytes of disk that stay free, whoever uses it.
    pub(super) min_free: AtomicU64,
}

pub(super) struct Inner {
    pub(super) table: Table,
    pub(super) head: Head,
    pub(super) raw: Vec<Arc<Block>>,
    pub(super) rollups: Vec<Arc<Block>>,
    pub(super) log: Option<OpenLog>,
    /// The logs of what others write, and of histograms, by window.
    pub(super) written: BTreeMap<i64, Log>,
    /// When others wrote last.
    pub(super) last_written: i64,
    pub(super) round: u64,
    pub(super) newest: i64,
    /// Below this the blocks hold everything and the head nothing.
    pub(super) sealed: i64,
}

pub(super) struct OpenLog {
    pub(super) window: i64,
    pub(super) log: Log,
    pub(super) rounds: Rounds,
}

/// A walk over all current samples: name, labels sorted by name, value.
pub type Walk<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&str, &[(&str, &str)], f64));

/// A walk over all current native histograms: name, labels sorted by name, histogram.
pub type NativeWalk<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&str, &[(&str, &str)], Histogram));

impl Store {
    /// Takes one round: every series that exists now. A series that was in the round before and is not in this one
    /// has ended. `now` is in milliseconds and has to be later than the last round's, or nothing is taken.
    pub fn sample(&self, now: i64, walk: Walk<'_>) {
        self.round(now, walk, &mut |_| {});
    }

    /// As [`Store::sample`], with the native histograms that exist now.
    pub fn round(&self, now: i64, walk: Walk<'_>, natives: NativeWalk<'_>) {
        let mut inner = self.inner.write();
        let inner = &mut *inner;
        inner.round += 1;
        let round = inner.round;
        let late = now <= inner.newest;
        let mut samples: Vec<(Id, f64)> = Vec::with_capacity(inner.head.len() + 16);
        let (mut refused, mut broken, mut seen) = (0u64, 0u64, 0u64);
        let mut room = self.settings.max_series.saturating_sub(inner.head.len());
        walk(&mut |name, labels, value| {
            seen += 1;
            if late {
                return;
            }
            match inner.id_of(name, labels, &mut room) {
                Ok(Some(id)) => samples.push((id, value)),
                Ok(None) => refused += 1,
                Err(error) => {
                    if broken == 0 {
                        tracing::error!(%error, "a new series cannot be written down; its samples are lost");
                    }
                    broken += 1;
                }
            }
        });
        if late {
            events::samples_dropped("time", seen);
            return;
        }
        let full = inner.head.native_bytes() as u64 > self.settings.native_memory.0;
        let (mut histograms, mut too_much) = (Vec::<Entry>::new(), 0u64);
        natives(&mut |name, labels, h| {
            if full {
                too_much += 1;
                return;
            }
            match inner.id_of(name, labels, &mut room) {
                Ok(Some(id)) => histograms.push((id, now, Value::Native(Arc::new(h)))),
                Ok(None) => refused += 1,
                Err(_) => broken += 1,
            }
        });
        events::series_dropped(refused);
        events::samples_dropped("series_limit", refused);
        events::samples_dropped("native_memory", too_much);
        events::samples_dropped("disk", broken);
        samples.sort_by_key(|s| s.0);
        // Two samples of one series in one round: the later one counts.
        samples.dedup_by(|later, kept| {
            let twice = later.0 == kept.0;
            if twice {
                kept.1 = later.1;
            }
            twice
        });
        for (id, value) in &samples {
            inner.head.push(*id, now, *value, round);
        }
        histograms.retain(|(id, time, value)| match value {
            // A number of the same name and labels at the same time goes before.
            Value::Native(h) => inner.head.push_native(*id, *time, h, round),
            Value::Float(_) => true,
        });
        let ended = inner.head.vanished(round);
        if !ended.is_empty() {
            for id in &ended {
                inner.head.push(*id, now, stale(), round);
                samples.push((*id, stale()));
            }
            samples.sort_by_key(|s| s.0);
        }
        inner.newest = now;
        events::sampled((samples.len() + histograms.len()) as u64);
        events::natives_sampled(histograms.len() as u64);
        let written = inner.write_down(&self.dir, now, &samples).and_then(|()| {
            if histograms.is_empty() {
                return Ok(());
            }
            inner.append_written(&self.dir, Origin::Round, &histograms)?;
            inner.written.values().try_for_each(Log::sync)?;
            inner.table.sync()
        });
        if let Err(error) = written {
            tracing::warn!(%error, "samples are kept in memory only: their log cannot be written");
        }
    }

    /// Remembers what a metric is, for `/api/v1/metadata`.
    pub fn describe(&self, name: &str, kind: &str, help: &str) {
        let known = self.metadata.read().is(name, kind, help);
        if !known {
            self.metadata.write().put(name, kind, help);
        }
    }

    pub fn metadata(&self) -> Vec<(String, Metadatum)> {
        self.metadata.read().all()
    }

    /// Remembers a trace behind a sample of a series; the oldest gives way when the bound is reached.
    pub fn exemplar(&self, name: &str, labels: &[(&str, &str)], exemplar: Exemplar) {
        let series = Labels::new(labels.iter().copied().chain([(super::labels::NAME, name)]));
        self.exemplars.lock().add(series, exemplar);
    }

    /// With less free disk than `bytes`, blocks are dropped, oldest first, but for the newest. Default: 0, never.
    pub fn keep_free(&self, bytes: u64) {
        self.min_free.store(bytes, Ordering::Relaxed);
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl Inner {
    /// The id of a series; none if it is new and there is no room for it.
    pub(super) fn id_of(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        room: &mut usize,
    ) -> io::Result<Option<Id>> {
        let sorted;
        let labels = if labels.is_sorted_by(|a, b| a.0 < b.0) {
            labels
        } else {
            let mut copy = labels.to_vec();
            copy.sort_by(|a, b| a.0.cmp(b.0));
            copy.dedup_by(|a, b| a.0 == b.0);
            sorted = copy;
            &sorted
        };
        let known = self.table.find(name, labels);
        if let Some(id) = known.filter(|id| self.head.holds(*id)) {
            return Ok(Some(id));
        }
        if *room == 0 {
            return Ok(None);
        }
        *room -= 1;
        known.map_or_else(|| self.table.add(name, labels), Ok).map(Some)
    }

    fn write_down(&mut self, dir: &Path, now: i64, samples: &[(Id, f64)]) -> io::Result<()> {
        let window = window_of(now);
        if self.log.as_ref().is_none_or(|l| l.window != window) {
            // A log that is already there continues; its rounds have to be read first.
            let mut rounds = Rounds::default();
            let (log, _) = Log::open(&disk::log_path(dir, window), |frame| match frame {
                Some(frame) => _ = rounds.decode(frame, |_, _, _| {}),
                None => rounds.lost(),
            })?;
            self.log = Some(OpenLog { window, log, rounds });
        }
        let Some(open) = &mut self.log else { return Ok(()) };
        let mut frame = Vec::new();
        open.rounds.encode(now, samples, &mut frame);
        let written = open.log.append(&frame).and_then(|()| open.log.sync()).and_then(|()| self.table.sync());
        if written.is_err() {
            // What the log remembers of values no longer matches the file.
            self.log = None;
        }
        written
    }

    /// Adds samples to the logs of their windows, a frame for each window; the caller syncs.
    pub(super) fn append_written(&mut self, dir: &Path, origin: Origin, entries: &[Entry]) -> io::Result<()> {
        let mut windows: Vec<i64> = entries.iter().map(|e| window_of(e.1)).collect();
        windows.sort_unstable();
        windows.dedup();
        let mut frame = Vec::new();
        for window in &windows {
            let log = match self.written.entry(*window) {
                std::collections::btree_map::Entry::Occupied(log) => log.into_mut(),
                std::collections::btree_map::Entry::Vacant(slot) => {
                    slot.insert(Log::open(&disk::written_path(dir, *window), |_| {})?.0)
                }
            };
            let within: Vec<Entry>;
            let entries = if windows.len() == 1 {
                entries
            } else {
                within = entries.iter().filter(|e| window_of(e.1) == *window).cloned().collect();
                &within
            };
            written::encode(origin, entries, &mut frame);
            log.append(&frame)?;
        }
        Ok(())
    }

    /// Handles of all files that a write may have touched.
    pub(super) fn written_handles(&self) -> io::Result<Vec<std::fs::File>> {
        let logs = self.written.values().map(Log::handle);
        logs.chain(self.table.handles()).collect()
    }

    pub(super) fn log_bytes(&self) -> u64 {
        let written = self.written.values().map(Log::bytes).sum::<u64>();
        self.log.as_ref().map_or(0, |l| l.log.bytes()) + written + self.table.bytes()
    }

    pub(super) fn newest(&self) -> i64 {
        self.newest
    }

    /// The logs of a window are needed no longer.
    pub(super) fn close_log(&mut self, window: i64) {
        self.written.remove(&window);
        if self.log.as_ref().is_some_and(|l| l.window == window) {
            self.log = None;
        }
    }
}
