//! The store as a source of queries: the head and the blocks as one line of samples.
use super::block::{Block, Column};
use super::labels::Labels;
use super::matcher::Matcher;
use super::native::{self, NATIVE};
use super::rollup::{self, REALS};
use super::store::Store;
use super::table::Id;
use super::{events, exemplars::Exemplar};
use crate::store::promql::{Error, Found, Hints, Samples, Source};
use std::io;
use std::sync::Arc;

/// A query that would unpack more samples of one series than this, at steps no finer than roll-ups, gets roll-ups.
const MANY: i64 = 40_000;

/// How much further back roll-ups are read than samples, milliseconds.
const REACH: i64 = 3 * rollup::ROW;

pub(super) const RAW: [bool; 2] = [false, true];

impl Source for Store {
    fn find(&self, matchers: &[Matcher], from: i64, to: i64) -> Result<Vec<Found>, Error> {
        let mut out = Vec::new();
        for (id, labels) in self.series(matchers, from, to) {
            out.push(Found { id: u64::from(id), labels });
        }
        Ok(out)
    }

    fn read(&self, id: u64, from: i64, to: i64, hints: Hints<'_>, into: &mut Samples) -> Result<(), Error> {
        into.clear();
        let id = id as Id;
        let (raw, rollups, newest, natives, oldest) = {
            let inner = self.inner.read();
            let overlapping = |list: &[Arc<Block>]| -> Vec<Arc<Block>> {
                // Rows stand for time before them, and windows over rows are widened.
                list.iter().filter(|b| b.start <= to && b.end > from.saturating_sub(REACH)).cloned().collect()
            };
            // Without any block of samples the roll-ups answer for all that is sealed.
            let oldest = inner.raw.first().map_or(i64::MAX, |b| b.start);
            let mut newest = Samples::default();
            inner.head.read(id, from, to, &mut newest);
            let mut natives = Vec::new();
            inner.head.read_natives(id, from, to, &mut natives);
            (overlapping(&inner.raw), overlapping(&inner.rollups), newest, natives, oldest)
        };
        // Where samples are gone, or too many for what is asked, the roll-ups answer.
        let interval = (self.settings.interval.0.as_millis() as i64).max(1);
        let coarse = hints.step >= rollup::ROW
            && (hints.function.is_empty() || (hints.range >= 2 * rollup::ROW && suits(hints.function)))
            && (to - from) / interval > MANY;
        let sealed = rollups.last().map_or(i64::MIN, |b| b.end);
        let until = if coarse { sealed } else { oldest.min(sealed) };
        let mut sealed_natives = Vec::new();
        for block in rollups.iter().filter(|b| b.start < until) {
            let before = sealed_natives.len();
            packed(block, id, from.saturating_sub(REACH), to.min(until - 1), &mut sealed_natives);
            if sealed_natives.len() > before {
                into.spacing = rollup::ROW;
            }
            match columns(block, id, &REALS) {
                Ok(Some(columns)) => {
                    let rows = rollup::from_columns(&columns).unwrap_or_default();
                    rollup::push(
                        &rows,
                        hints.function,
                        (from.saturating_sub(REACH), to.min(until - 1)),
                        into,
                    );
                }
                Ok(None) => {}
                Err(error) => damaged(block, &error),
            }
        }
        for block in raw.iter().filter(|b| b.end > until) {
            packed(block, id, from.max(until), to, &mut sealed_natives);
            match columns(block, id, &RAW) {
                Ok(Some(columns)) => append(&columns, from.max(until), to, into),
                Ok(None) => {}
                Err(error) => damaged(block, &error),
            }
        }
        let after = into.times.last().copied().unwrap_or(i64::MIN);
        let first = newest.times.partition_point(|t| *t <= after);
        into.times.extend_from_slice(&newest.times[first..]);
        into.floats.extend_from_slice(&newest.floats[first..]);
        let after = sealed_natives.last().map_or(i64::MIN, |p| p.0);
        sealed_natives.extend(natives.into_iter().filter(|p| p.0 > after));
        native::merge(sealed_natives, into);
        Ok(())
    }
}

impl Store {
    /// Series that match, sorted by labels, that may have samples in the time.
    pub fn series(&self, matchers: &[Matcher], from: i64, to: i64) -> Vec<(Id, Labels)> {
        let inner = self.inner.read();
        let overlapping: Vec<&Arc<Block>> =
            inner.raw.iter().chain(&inner.rollups).filter(|b| b.start <= to && b.end > from).collect();
        let only_head = overlapping.is_empty();
        let mut out: Vec<(Id, Labels)> = Vec::new();
        inner.table.select(matchers, |id, labels| {
            if !only_head || inner.head.holds(id) {
                out.push((id, labels.clone()));
            }
        });
        let indexes: Vec<_> = overlapping.iter().filter_map(|b| b.index().ok()).collect();
        drop(inner);
        if !only_head {
            let inner = self.inner.read();
            out.retain(|(id, _)| {
                inner.head.holds(*id)
                    || indexes.iter().any(|i| {
                        let has = |id: Id| i.binary_search_by_key(&id, |e| e.id).is_ok();
                        has(*id) || has(*id | NATIVE)
                    })
            });
        }
        out.sort_by(|a, b| a.1.cmp(&b.1));
        out
    }

    /// Exemplars of the series that match.
    pub fn exemplars(&self, matchers: &[Matcher], from: i64, to: i64) -> Vec<(Labels, Vec<Exemplar>)> {
        self.exemplars.lock().select(matchers, from, to)
    }
}

/// Functions that give the same from five-minute rows, up to the borders of the window.
fn suits(function: &str) -> bool {
    matches!(
        function,
        "rate"
            | "increase"
            | "delta"
            | "deriv"
            | "min_over_time"
            | "max_over_time"
            | "avg_over_time"
            | "sum_over_time"
            | "last_over_time"
            | "present_over_time"
    )
}

pub(super) fn columns(block: &Block, id: Id, reals: &[bool]) -> io::Result<Option<Vec<Column>>> {
    match block.find(id)? {
        Some(entry) => block.columns(entry, reals).map(Some),
        None => Ok(None),
    }
}

/// Adds the histograms of a series in a block between two times, both included.
fn packed(block: &Block, id: Id, from: i64, to: i64, into: &mut Vec<native::Point>) {
    match block.packed(id) {
        Ok(None) => {}
        Ok(Some(bytes)) => {
            if native::read(&bytes, from, to, into).is_none() {
                damaged(block, &super::block::bad("histograms cannot be read"));
            }
        }
        Err(error) => damaged(block, &error),
    }
}

pub(super) fn append(columns: &[Column], from: i64, to: i64, into: &mut Samples) {
    let [Column::Whole(times), Column::Real(values)] = columns else { return };
    let n = times.len().min(values.len());
    let a = times[..n].partition_point(|t| *t < from);
    let b = times[..n].partition_point(|t| *t <= to);
    if a < b {
        into.times.extend_from_slice(&times[a..b]);
        into.floats.extend_from_slice(&values[a..b]);
    }
}

pub(super) fn damaged(block: &Block, error: &io::Error) {
    events::damaged("series", 1);
    tracing::error!(path = %block.path.display(), %error, "a series in a block of metrics cannot be read and is left out");
}
