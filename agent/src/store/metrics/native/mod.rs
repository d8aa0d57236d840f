//! Native histograms in the store: packed samples, in memory and on disk alike.
//!
//! A series may hold numbers and histograms. Both live in the head under one id; in a block the histograms are an
//! entry of their own, whose id has [`NATIVE`] set, so that blocks without any are what they always were.

mod chunk;
mod lane;
mod thin;

pub(crate) use chunk::{Chunk, Packed};
pub(crate) use lane::Lane;
pub(crate) use thin::thinned;

use super::codec::{Take, put};
use super::table::Id;
use crate::store::promql::histogram::Histogram;
use crate::store::promql::{Sample, Samples};
use std::sync::Arc;

/// Marks the entry of a block that holds the histograms of a series. Ids stay below it.
pub(crate) const NATIVE: Id = 1 << 31;

/// One histogram with its time in milliseconds.
pub(crate) type Point = (i64, Arc<Histogram>);

/// Chunks one behind the other, as a block holds them.
pub(crate) fn to_bytes(chunks: &[Packed]) -> Vec<u8> {
    let mut out = Vec::with_capacity(chunks.iter().map(|c| c.bytes.len() + 16).sum());
    for chunk in chunks {
        put(&mut out, u64::from(chunk.count));
        out.extend_from_slice(&chunk.first.to_le_bytes());
        put(&mut out, (chunk.last - chunk.first) as u64);
        put(&mut out, chunk.bytes.len() as u64);
        out.extend_from_slice(&chunk.bytes);
    }
    out
}

/// Adds the histograms between two times, both included. Nothing if the bytes are not chunks.
pub(crate) fn read(bytes: &[u8], from: i64, to: i64, into: &mut Vec<Point>) -> Option<()> {
    let mut take = Take(bytes);
    while !take.0.is_empty() {
        let count = u32::try_from(take.number()?).ok()?;
        let first = take.i64()?;
        let last = first.checked_add(i64::try_from(take.number()?).ok()?)?;
        let length = usize::try_from(take.number()?).ok()?;
        let bytes = take.bytes(length)?;
        if last >= from && first <= to {
            chunk::each(bytes, count, first, |time, h| {
                if time >= from && time <= to {
                    into.push((time, Arc::new(h)));
                }
            })?;
        }
    }
    Some(())
}

/// A histogram that was packed as a chunk of its own.
pub(crate) fn read_one(bytes: &[u8], time: i64) -> Option<Histogram> {
    let mut found = None;
    chunk::each(bytes, 1, time, |_, h| found = Some(h))?;
    found
}

/// Puts histograms between the numbers that are there, by time.
pub(crate) fn merge(points: Vec<Point>, into: &mut Samples) {
    if points.is_empty() {
        return;
    }
    if into.times.last().is_none_or(|last| *last < points[0].0) {
        points.into_iter().for_each(|(time, h)| into.push(time, Sample::Histogram(h)));
        return;
    }
    let floats = std::mem::replace(into, Samples { spacing: into.spacing, ..Samples::default() });
    let mut points = points.into_iter().peekable();
    for (i, time) in floats.times.iter().enumerate() {
        while let Some((at, h)) = points.next_if(|(at, _)| at < time) {
            into.push(at, Sample::Histogram(h));
        }
        into.push(*time, floats.get(i));
    }
    points.for_each(|(time, h)| into.push(time, Sample::Histogram(h)));
}

#[cfg(test)]
mod tests;
