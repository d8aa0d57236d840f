//! The consumer's side: batches of records in order, and word of what damage has cost.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::Queue;
use super::record::Bounds;
use super::recover::name;
use super::state::Segment;
use super::walk::Walk;
use crate::export::Entry;

/// How often a segment may fail to be read before the rest of it is given up.
const PATIENCE: u32 = 5;

/// Reads a queue from its cursor to what is on disk. Blocking: it reads files.
pub struct Reader {
    queue: Arc<Queue>,
    next_seq: u64,
    place: Option<Place>,
    failures: u32,
}

/// Somewhere in a segment.
struct Place {
    segment: u64,
    /// The record that should come next here.
    expected: u64,
    walk: Walk,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Batch {
    /// In order.
    pub entries: Vec<Entry>,
    /// Sequence numbers that can no longer be read; they are in the books as dropped.
    pub lost: Vec<Range<u64>>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.lost.is_empty()
    }
}

impl Reader {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        let next_seq = queue.state.lock().acked;
        Reader { queue, next_seq, place: None, failures: 0 }
    }

    /// The sequence number that comes next.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Up to `max_records` of about `max_bytes`; empty when all that is on disk has been read.
    pub fn next_batch(&mut self, max_records: usize, max_bytes: usize) -> io::Result<Batch> {
        let mut batch = Batch::default();
        while batch.is_empty() {
            let Some(segment) = self.segment() else { break };
            if self.next_seq < segment.first_seq {
                self.lose(segment.first_seq, &segment, &mut batch);
                continue;
            }
            match self.read(&segment, max_records, max_bytes, &mut batch) {
                Ok(()) => self.failures = 0,
                Err(error) => {
                    self.queue.events.unreadable(&name(segment.first_seq), &error);
                    self.place = None;
                    self.failures += 1;
                    if self.failures < PATIENCE {
                        return Err(error);
                    }
                    self.failures = 0;
                    self.lose(segment.end_seq, &segment, &mut batch);
                }
            }
        }
        Ok(batch)
    }

    /// The segment that holds the next record, or the first one after it.
    fn segment(&self) -> Option<Segment> {
        let state = self.queue.state.lock();
        let at = state.segments.partition_point(|s| s.end_seq <= self.next_seq);
        state.segments.get(at).copied()
    }

    fn read(
        &mut self,
        segment: &Segment,
        max_records: usize,
        max_bytes: usize,
        batch: &mut Batch,
    ) -> io::Result<()> {
        let mut place = match self.place.take().filter(|p| p.segment == segment.first_seq) {
            Some(place) => place,
            None => {
                let blob = self.queue.disk.open(&name(segment.first_seq))?;
                let walk = Walk::new(blob, 0, segment.bytes, max_bytes);
                Place { segment: segment.first_seq, expected: segment.first_seq, walk }
            }
        };
        place.walk.extend(segment.bytes);
        let mut bytes = 0;
        while batch.entries.len() < max_records && bytes < max_bytes {
            let bounds = Bounds { first: place.expected, end: segment.end_seq };
            // One read of the disk for a batch: what is not in memory waits for the next.
            let step = match batch.entries.is_empty() {
                true => place.walk.next(bounds)?,
                false => match place.walk.next_buffered(bounds) {
                    Some(step) => Some(step),
                    None => break,
                },
            };
            let Some((seq, payload)) = step else {
                self.lose(segment.end_seq, segment, batch);
                return Ok(());
            };
            place.expected = seq + 1;
            if seq < self.next_seq {
                continue;
            }
            self.lose(seq, segment, batch);
            self.next_seq = seq + 1;
            bytes += payload.len();
            batch.entries.push(Entry { seq, payload });
        }
        self.place = Some(place);
        Ok(())
    }

    /// Notes that nothing before `until` can be read any more.
    fn lose(&mut self, until: u64, segment: &Segment, batch: &mut Batch) {
        if until <= self.next_seq {
            return;
        }
        let records = until - self.next_seq;
        self.queue.events.lost(&name(segment.first_seq), records);
        self.queue.books.dequeued(records);
        self.queue.books.dropped("corrupt", records);
        batch.lost.push(self.next_seq..until);
        self.next_seq = until;
    }
}
