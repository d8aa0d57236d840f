//! The histograms of one series in the head.

use super::{Chunk, Packed, Point};
use crate::store::metrics::head::window_of;
use crate::store::promql::histogram::Histogram;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct Lane {
    closed: Vec<Packed>,
    open: Option<Box<Chunk>>,
}

impl Lane {
    /// Takes a sample that is later than all before it, and says by how many bytes of memory that grew.
    pub(crate) fn push(&mut self, time: i64, h: &Histogram) -> isize {
        let held = |open: &Option<Box<Chunk>>| open.as_ref().map_or(0, |c| c.held()) as isize;
        let before = held(&self.open);
        let mut closed = 0;
        let fits =
            self.open.as_mut().is_some_and(|c| window_of(c.first) == window_of(time) && c.push(time, h));
        if !fits && let Some(full) = self.open.replace(Box::new(Chunk::new(time, h))) {
            let full = full.close();
            closed = full.held() as isize;
            self.closed.push(full);
        }
        held(&self.open) + closed - before
    }

    pub(crate) fn last(&self) -> Option<i64> {
        self.open.as_ref().map(|c| c.last)
    }

    /// The newest sample.
    pub(crate) fn newest(&self) -> Option<(i64, &Histogram)> {
        self.open.as_ref().map(|c| (c.last, c.newest()))
    }

    pub(crate) fn len(&self) -> usize {
        self.closed.iter().map(|c| c.count as usize).sum::<usize>()
            + self.open.as_ref().map_or(0, |c| c.len())
    }

    /// Bytes of memory.
    pub(crate) fn held(&self) -> usize {
        self.closed.iter().map(Packed::held).sum::<usize>() + self.open.as_ref().map_or(0, |c| c.held())
    }

    /// When chunks begin.
    pub(crate) fn starts(&self) -> impl Iterator<Item = i64> {
        self.closed.iter().map(|c| c.first).chain(self.open.as_ref().map(|c| c.first))
    }

    /// Adds the samples between two times, both included.
    pub(crate) fn read(&self, from: i64, to: i64, into: &mut Vec<Point>) {
        let mut take = |time, h: Histogram| {
            if time >= from && time <= to {
                into.push((time, Arc::new(h)));
            }
        };
        for chunk in self.closed.iter().filter(|c| c.last >= from && c.first <= to) {
            chunk.each(&mut take);
        }
        if let Some(open) = self.open.as_ref().filter(|c| c.last >= from && c.first <= to) {
            open.each(&mut take);
        }
    }

    /// The chunks between two times, the end excluded; chunks lie in one window each.
    pub(crate) fn packed(&self, from: i64, to: i64) -> Vec<Packed> {
        let open = self.open.as_ref().filter(|c| c.first >= from && c.first < to);
        let closed = self.closed.iter().filter(|c| c.first >= from && c.first < to);
        closed.cloned().chain(open.map(|c| (**c).clone().close())).collect()
    }

    /// Forgets chunks that end before `time`; true if nothing is left.
    pub(crate) fn drop_before(&mut self, time: i64) -> bool {
        self.closed.retain(|c| c.last >= time);
        if self.open.as_ref().is_some_and(|c| c.last < time) {
            self.open = None;
        }
        self.closed.is_empty() && self.open.is_none()
    }
}
