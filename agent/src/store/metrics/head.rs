//! The newest samples of every series, packed in memory, by windows of two hours.
use super::chunk::{Chunk, SAMPLES};
use super::table::Id;
use crate::store::promql::{Sample, Samples, is_stale};

/// Milliseconds of one window: what is sealed into one block.
pub(crate) const WINDOW: i64 = 2 * 3600 * 1000;

pub(crate) fn window_of(time: i64) -> i64 {
    time.div_euclid(WINDOW) * WINDOW
}

#[derive(Default)]
pub(crate) struct Head {
    series: Vec<Option<Box<Line>>>,
    active: usize,
}

/// One series in the head.
#[derive(Default)]
struct Line {
    chunks: Vec<Chunk>,
    last_value: f64,
    /// The round of sampling that saw it last.
    round: u64,
}

impl Head {
    /// Takes a sample; false if it is not newer than the last one.
    pub(crate) fn push(&mut self, id: Id, time: i64, value: f64, round: u64) -> bool {
        let at = id as usize;
        if self.series.len() <= at {
            self.series.resize_with(at + 1, || None);
        }
        let line = self.series[at].get_or_insert_with(|| {
            self.active += 1;
            Box::default()
        });
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
        line.last_value = value;
        line.round = round;
        true
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
        lines.map(|l| 64 + l.chunks.iter().map(Chunk::bytes).sum::<usize>()).sum::<usize>()
            + self.series.capacity() * 8
    }

    pub(crate) fn samples(&self) -> usize {
        self.series.iter().flatten().flat_map(|l| &l.chunks).map(Chunk::len).sum()
    }

    /// Series that the round before saw and this one did not, and that have not been ended yet.
    pub(crate) fn vanished(&self, round: u64) -> Vec<Id> {
        let lines = self.series.iter().enumerate();
        lines
            .filter(|(_, l)| l.as_ref().is_some_and(|l| l.round != round && !is_stale(l.last_value)))
            .map(|(i, _)| i as Id)
            .collect()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> {
        self.series.iter().enumerate().filter(|(_, l)| l.is_some()).map(|(i, _)| i as Id)
    }

    pub(crate) fn newest(&self) -> Option<i64> {
        self.series.iter().flatten().filter_map(|l| l.chunks.last().map(|c| c.last)).max()
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

    /// Forgets what has been sealed, and series with nothing left.
    pub(crate) fn drop_before(&mut self, time: i64) {
        for slot in &mut self.series {
            let Some(line) = slot else { continue };
            line.chunks.retain(|c| c.last >= time);
            if line.chunks.is_empty() {
                *slot = None;
                self.active -= 1;
            }
        }
    }

    /// The windows that have samples, oldest first.
    pub(crate) fn windows(&self) -> Vec<i64> {
        let mut out: Vec<i64> =
            self.series.iter().flatten().flat_map(|l| &l.chunks).map(|c| window_of(c.first)).collect();
        out.sort_unstable();
        out.dedup();
        out
    }
}
