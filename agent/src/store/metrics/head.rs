//! The newest samples of every series, packed in memory, by windows of two hours.
use super::chunk::{Chunk, SAMPLES};
use super::native::{self, Lane, Packed};
use super::table::Id;
use crate::store::promql::histogram::Histogram;
use crate::store::promql::{Sample, Samples, is_stale};

/// Milliseconds of one window: what is sealed into one block.
pub(crate) const WINDOW: i64 = 2 * 3600 * 1000;

pub(crate) fn window_of(time: i64) -> i64 {
    time.div_euclid(WINDOW) * WINDOW
}

/// The round of what others write: it does not end because a round of ours does not see it.
pub(crate) const WRITTEN: u64 = u64::MAX;

#[derive(Default)]
pub(crate) struct Head {
    series: Vec<Option<Box<Line>>>,
    active: usize,
    /// Bytes of memory that histograms hold.
    native_bytes: usize,
}

/// One series in the head.
#[derive(Default)]
struct Line {
    chunks: Vec<Chunk>,
    natives: Option<Box<Lane>>,
    /// The newest number.
    float: f64,
    /// The newest sample says that the series has ended.
    ended: bool,
    /// The round of sampling that saw it last.
    round: u64,
}

impl Line {
    /// The time of the newest sample, be it a number or a histogram.
    fn last(&self) -> Option<i64> {
        self.chunks.last().map(|c| c.last).max(self.natives.as_ref().and_then(|n| n.last()))
    }
}

impl Head {
    fn line(&mut self, id: Id) -> &mut Line {
        let at = id as usize;
        if self.series.len() <= at {
            self.series.resize_with(at + 1, || None);
        }
        self.series[at].get_or_insert_with(|| {
            self.active += 1;
            Box::default()
        })
    }

    /// Takes a sample; false if it is not newer than the last number. Numbers and histograms of a series are read back
    /// from two logs, one after the other, so neither waits for the other.
    pub(crate) fn push(&mut self, id: Id, time: i64, value: f64, round: u64) -> bool {
        let line = self.line(id);
        // Most series have no histograms; where there are none, what is taken is the newest.
        let newest = line.natives.as_ref().is_none_or(|n| n.last().is_none_or(|last| time > last));
        match line.chunks.last_mut() {
            Some(open) if time <= open.last => return false,
            Some(open) if open.len() < SAMPLES && window_of(open.first) == window_of(time) => {
                open.push(time, value)
            }
            last => {
                if let Some(full) = last {
                    full.close();
                }
                let mut chunk = Chunk::default();
                chunk.push(time, value);
                line.chunks.push(chunk);
            }
        }
        line.float = value;
        if newest {
            line.ended = is_stale(value);
            line.round = round;
        }
        true
    }

    /// As `push`, a histogram.
    pub(crate) fn push_native(&mut self, id: Id, time: i64, h: &Histogram, round: u64) -> bool {
        let line = self.line(id);
        let newest = line.last().is_none_or(|last| time > last);
        let lane = line.natives.get_or_insert_default();
        if lane.last().is_some_and(|last| time <= last) {
            return false;
        }
        let more = lane.push(time, h);
        if newest {
            line.ended = false;
            line.round = round;
        }
        self.native_bytes = self.native_bytes.saturating_add_signed(more);
        true
    }

    /// Bytes of memory that histograms hold.
    pub(crate) fn native_bytes(&self) -> usize {
        self.native_bytes
    }

    /// The newest sample of a series and its time.
    pub(crate) fn last(&self, id: Id) -> Option<(i64, Sample)> {
        let line = self.series.get(id as usize)?.as_ref()?;
        let native = line.natives.as_ref().and_then(|n| n.newest());
        match (line.chunks.last().map(|c| c.last), native) {
            (Some(time), Some((at, h))) if at > time => Some((at, Sample::histogram(h.clone()))),
            (Some(time), _) => Some((time, Sample::Float(line.float))),
            (None, Some((at, h))) => Some((at, Sample::histogram(h.clone()))),
            (None, None) => None,
        }
    }

    /// Series that are in memory.
    pub(crate) fn len(&self) -> usize {
        self.active
    }

    pub(crate) fn holds(&self, id: Id) -> bool {
        self.series.get(id as usize).is_some_and(Option::is_some)
    }

    pub(crate) fn bytes(&self) -> usize {
        let lines = self.series.iter().flatten();
        lines.map(|l| size_of::<Line>() + l.chunks.iter().map(Chunk::bytes).sum::<usize>()).sum::<usize>()
            + self.series.capacity() * 8
            + self.native_bytes
    }

    pub(crate) fn samples(&self) -> usize {
        let of = |l: &Line| {
            let natives = l.natives.as_ref().map_or(0, |n| n.len());
            l.chunks.iter().map(Chunk::len).sum::<usize>() + natives
        };
        self.series.iter().flatten().map(|l| of(l)).sum()
    }

    /// Series that the round before saw and this one did not, and that have not been ended yet.
    pub(crate) fn vanished(&self, round: u64) -> Vec<Id> {
        let lines = self.series.iter().enumerate();
        lines
            .filter(|(_, l)| l.as_ref().is_some_and(|l| l.round != round && l.round != WRITTEN && !l.ended))
            .map(|(i, _)| i as Id)
            .collect()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> {
        self.series.iter().enumerate().filter(|(_, l)| l.is_some()).map(|(i, _)| i as Id)
    }

    /// The time of the last round of ours.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.series.iter().flatten().filter(|l| l.round != WRITTEN).filter_map(|l| l.last()).max()
    }

    /// Adds the samples of one series between two times, both included.
    pub(crate) fn read(&self, id: Id, from: i64, to: i64, into: &mut Samples) {
        let Some(Some(line)) = self.series.get(id as usize) else { return };
        for chunk in line.chunks.iter().filter(|c| c.last >= from && c.first <= to) {
            chunk.each(|t, v| {
                if t >= from && t <= to {
                    into.push(t, Sample::Float(v));
                }
            });
        }
    }

    /// Adds the histograms of one series between two times, both included.
    pub(crate) fn read_natives(&self, id: Id, from: i64, to: i64, into: &mut Vec<native::Point>) {
        if let Some(Some(line)) = self.series.get(id as usize)
            && let Some(lane) = &line.natives
        {
            lane.read(from, to, into);
        }
    }

    /// The packed histograms of one series in a window.
    pub(crate) fn packed(&self, id: Id, window: i64) -> Vec<Packed> {
        let line = self.series.get(id as usize).and_then(Option::as_ref);
        let lane = line.and_then(|l| l.natives.as_ref());
        lane.map_or_else(Vec::new, |lane| lane.packed(window, window + WINDOW))
    }

    /// Forgets what has been sealed, and series with nothing left.
    pub(crate) fn drop_before(&mut self, time: i64) {
        for slot in &mut self.series {
            let Some(line) = slot else { continue };
            line.chunks.retain(|c| c.last >= time);
            if line.natives.as_mut().is_some_and(|lane| lane.drop_before(time)) {
                line.natives = None;
            }
            if line.chunks.is_empty() && line.natives.is_none() {
                *slot = None;
                self.active -= 1;
            }
        }
        let lanes = self.series.iter().flatten().filter_map(|l| l.natives.as_ref());
        self.native_bytes = lanes.map(|lane| lane.held()).sum();
    }

    /// The windows that have samples, oldest first.
    pub(crate) fn windows(&self) -> Vec<i64> {
        let lines = self.series.iter().flatten();
        let starts = lines.flat_map(|l| {
            l.chunks.iter().map(|c| c.first).chain(l.natives.iter().flat_map(|lane| lane.starts()))
        });
        let mut out: Vec<i64> = starts.map(window_of).collect();
        out.sort_unstable();
        out.dedup();
        out
    }
}
