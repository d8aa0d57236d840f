//! Walks the records of one segment from a place to an end, stepping over damage.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};

use super::disk::Blob;
use super::record::{self, Bounds, Found, HEADER, Search};

/// Pieces of memory that are remembered.
const SPENT: usize = 4;

pub(super) struct Walk {
    blob: Box<dyn Blob>,
    /// Where the segment's good length ends.
    end: u64,
    /// How much is read at once.
    chunk: usize,
    buf: Bytes,
    /// What was read before: memory that is used again once nobody holds a record in it.
    spent: VecDeque<Bytes>,
    /// Offset in the segment of the start of `buf`.
    start: u64,
    at: usize,
}

/// A record and its sequence number.
pub(super) type Step = (u64, Bytes);

impl Walk {
    pub(super) fn new(blob: Box<dyn Blob>, offset: u64, end: u64, chunk: usize) -> Self {
        Walk { blob, end, chunk, buf: Bytes::new(), spent: VecDeque::new(), start: offset, at: 0 }
    }

    /// Offset of the next record.
    pub(super) fn offset(&self) -> u64 {
        self.start + self.at as u64
    }

    /// The next good record within `bounds`; `None` when there is none up to the end. A gap in the sequence
    /// numbers is what damage cost.
    pub(super) fn next(&mut self, bounds: Bounds) -> io::Result<Option<Step>> {
        loop {
            if let Some(step) = self.next_buffered(bounds) {
                return Ok(Some(step));
            }
            let left = self.end.saturating_sub(self.offset());
            match record::read(&self.buf[self.at..], bounds) {
                Found::Record { .. } => {}
                Found::Needs(n) if n as u64 <= left => self.fill(n)?,
                Found::Needs(_) if left < HEADER as u64 => {
                    self.skip_to_end();
                    return Ok(None);
                }
                Found::Needs(_) | Found::Damaged => {
                    if !self.resync(bounds)? {
                        self.skip_to_end();
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The next record if it is good and in memory already.
    pub(super) fn next_buffered(&mut self, bounds: Bounds) -> Option<Step> {
        let Found::Record { seq, len } = record::read(&self.buf[self.at..], bounds) else { return None };
        let payload = self.buf.slice(self.at + HEADER..self.at + len);
        self.at += len;
        Some((seq, payload))
    }

    /// The segment has grown to `end`.
    pub(super) fn extend(&mut self, end: u64) {
        self.end = end;
    }

    pub(super) fn into_blob(self) -> Box<dyn Blob> {
        self.blob
    }

    /// Moves to the next good record after the current place; false if there is none.
    fn resync(&mut self, bounds: Bounds) -> io::Result<bool> {
        let damaged = self.offset();
        let mut from = 0;
        // The damaged record from its start, so that its own length can be tried first.
        self.fill(HEADER.min(self.left()))?;
        loop {
            let room = self.end - self.start;
            match record::search(&self.buf, from, room, bounds) {
                Search::At(at) if self.start + at as u64 > damaged => {
                    self.at = at;
                    return Ok(true);
                }
                Search::At(at) => from = at + 1,
                // Read so that this place can be judged. It is judged once: what it needs is then there.
                Search::Unsure(at, need) => {
                    self.at = at;
                    self.fill(need)?;
                    from = 0;
                    if self.buf.len() < need {
                        return Ok(false);
                    }
                    if let Found::Record { .. } = record::read(&self.buf, bounds) {
                        return Ok(true);
                    }
                    from += 1;
                }
                Search::None(at) => {
                    self.at = at.min(self.buf.len());
                    if self.left() < HEADER {
                        return Ok(false);
                    }
                    self.fill(HEADER)?;
                    from = 0;
                    if self.buf.len() < HEADER {
                        return Ok(false);
                    }
                }
            }
        }
    }

    fn left(&self) -> usize {
        usize::try_from(self.end.saturating_sub(self.offset())).unwrap_or(usize::MAX)
    }

    /// Makes `buf` begin at the current place and hold at least `need` bytes, if the segment has them.
    fn fill(&mut self, need: usize) -> io::Result<()> {
        let want = need.max(self.chunk).min(self.left());
        let offset = self.offset();
        let mut buf = self.memory();
        buf.resize(want, 0);
        let got = self.blob.read_at(&mut buf, offset)?;
        buf.truncate(got);
        self.buf = buf.freeze();
        self.spent.push_back(self.buf.clone());
        self.start = offset;
        self.at = 0;
        if got < need {
            // The file is shorter than was promised: what is missing is lost.
            self.end = offset + got as u64;
        }
        Ok(())
    }

    /// The oldest memory if all records in it are done with; else new.
    fn memory(&mut self) -> BytesMut {
        self.buf = Bytes::new();
        let oldest = self.spent.pop_front().map(Bytes::try_into_mut);
        match oldest {
            Some(Ok(memory)) => memory,
            // Still in use. It is let go of when others wait behind it, so that one slow record does not block all.
            Some(Err(held)) if self.spent.len() < SPENT => {
                self.spent.push_front(held);
                BytesMut::new()
            }
            _ => BytesMut::new(),
        }
    }

    fn skip_to_end(&mut self) {
        self.start = self.end;
        self.buf = Bytes::new();
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Bounds, encode};
    use super::Walk;
    use proptest::prelude::*;
    use std::io;

    struct Memory(Vec<u8>);

    impl super::Blob for Memory {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            let rest = self.0.get(offset as usize..).unwrap_or(&[]);
            let n = rest.len().min(buf.len());
            buf[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        }
        fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn truncate(&self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn segment(sizes: &[usize]) -> (Vec<u8>, Vec<(usize, usize)>) {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for (seq, size) in sizes.iter().enumerate() {
            let from = bytes.len();
            encode(&mut bytes, seq as u64, &vec![seq as u8; *size]);
            places.push((from, bytes.len()));
        }
        (bytes, places)
    }

    fn walk(bytes: Vec<u8>, count: u64, chunk: usize) -> Vec<u64> {
        let end = bytes.len() as u64;
        let mut walk = Walk::new(Box::new(Memory(bytes)), 0, end, chunk);
        let mut seen = Vec::new();
        let mut first = 0;
        while let Some((seq, payload)) = walk.next(Bounds { first, end: count }).unwrap() {
            assert!(payload.iter().all(|b| *b == seq as u8));
            first = seq + 1;
            seen.push(seq);
        }
        seen
    }

    proptest! {
        #[test]
        fn only_records_that_damage_touches_are_lost(
            sizes in prop::collection::vec(0usize..300, 1..40),
            hits in prop::collection::vec((any::<prop::sample::Index>(), 1usize..200, any::<u8>()), 0..4),
            chunk in 16usize..600,
        ) {
            let (mut bytes, places) = segment(&sizes);
            let clean = bytes.clone();
            for (at, len, fill) in hits {
                let at = at.index(bytes.len());
                let to = (at + len).min(bytes.len());
                bytes[at..to].fill(fill);
            }
            let want: Vec<u64> = places
                .iter()
                .enumerate()
                .filter(|(_, (from, to))| bytes[*from..*to] == clean[*from..*to])
                .map(|(seq, _)| seq as u64)
                .collect();
            prop_assert_eq!(walk(bytes, sizes.len() as u64, chunk), want);
        }

        #[test]
        fn a_cut_segment_keeps_what_is_whole(
            sizes in prop::collection::vec(0usize..300, 1..40),
            cut in any::<prop::sample::Index>(),
            chunk in 16usize..600,
        ) {
            let (mut bytes, places) = segment(&sizes);
            let cut = cut.index(bytes.len());
            bytes.truncate(cut);
            let want: Vec<u64> = (0..places.iter().filter(|(_, to)| *to <= cut).count() as u64).collect();
            prop_assert_eq!(walk(bytes, sizes.len() as u64, chunk), want);
        }
    }
}
