//! What a queue knows in memory: its segments, what gathers for the next write, how far the consumer has come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::record::{self, MAX_PAYLOAD};
use super::{Depth, Full, Settings};

/// The most that gathers while the disk writes, as a multiple of `commit_bytes`.
const PENDING_GROUPS: u64 = 4;
/// At most one mark of time a second, and this many.
const MARKS: usize = 4096;

#[derive(Debug)]
pub(super) struct State {
    /// Oldest first. The last is the one that is written, once there is any.
    pub(super) segments: VecDeque<Segment>,
    pub(super) pending: Pending,
    /// Bytes that the committer is writing right now.
    pub(super) writing: u64,
    /// One past the last record of the group that is being written.
    pub(super) group_end: u64,
    /// One past the last record that is on disk.
    pub(super) written_end: u64,
    pub(super) next_seq: u64,
    /// Everything before is dealt with.
    pub(super) acked: u64,
    /// Where the cursor on disk stands, forced or not.
    pub(super) cursor_written: u64,
    pub(super) cursor_due: Instant,
    pub(super) blocked: bool,
    /// When to give up writing what is left, once the queue closes.
    pub(super) closing: Option<Instant>,
    pub(super) closed: bool,
    /// When records of about this number came, oldest first.
    marks: VecDeque<(u64, Instant)>,
}

/// A file of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) first_seq: u64,
    /// One past the last sequence number in it.
    pub(super) end_seq: u64,
    /// Its good length.
    pub(super) bytes: u64,
}

/// What has been taken and not been written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) bytes: Vec<u8>,
    pub(super) since: Option<Instant>,
    /// Whether somebody waits for it to be on disk.
    pub(super) awaited: bool,
}

impl State {
    pub(super) fn new(segments: VecDeque<Segment>, next_seq: u64, acked: u64) -> Self {
        State {
            segments,
            pending: Pending::default(),
            writing: 0,
            group_end: next_seq,
            written_end: next_seq,
            next_seq,
            acked,
            cursor_written: acked,
            cursor_due: Instant::now(),
            blocked: false,
            closing: None,
            closed: false,
            marks: VecDeque::new(),
        }
    }

    pub(super) fn append(&mut self, payloads: &[impl AsRef<[u8]>], settings: &Settings) -> Result<u64, Full> {
        if self.closing.is_some() {
            return Err(Full::Closed);
        }
        if self.blocked {
            return Err(Full::Disk);
        }
        let mut bytes = 0u64;
        for payload in payloads {
            let len = payload.as_ref().len();
            if len > MAX_PAYLOAD {
                return Err(Full::TooLarge);
            }
            bytes += (record::HEADER + len) as u64;
        }
        if self.bytes() + bytes > settings.max_bytes.0 && self.bytes() > 0 {
            return Err(Full::Bound);
        }
        let pending = self.pending.bytes.len() as u64;
        if pending > 0 && pending + bytes > pending_limit(settings) {
            return Err(Full::Busy);
        }
        self.pending.bytes.reserve(bytes as usize);
        for payload in payloads {
            record::encode(&mut self.pending.bytes, self.next_seq, payload.as_ref());
            self.next_seq += 1;
        }
        if pending == 0 && bytes > 0 {
            let now = Instant::now();
            self.pending.since = Some(now);
            self.mark(self.next_seq - payloads.len() as u64, now);
        }
        Ok(self.next_seq)
    }

    /// Whether a small record would be taken.
    pub(super) fn has_room(&self, settings: &Settings) -> bool {
        // Room for more than a trickle, so that a waiter does not wake for one record at a time.
        let pending = (self.pending.bytes.len() as u64) <= pending_limit(settings) / 2;
        self.closing.is_some() || (!self.blocked && pending && self.bytes() < settings.max_bytes.0 / 100 * 99)
    }

    pub(super) fn bytes(&self) -> u64 {
        let segments: u64 = self.segments.iter().map(|s| s.bytes).sum();
        segments + self.writing + self.pending.bytes.len() as u64
    }

    /// True if the thread that keeps the cursor should be told.
    pub(super) fn acknowledge(&mut self, seq: u64) -> bool {
        let told = self.acked > self.cursor_written;
        self.acked = self.acked.max(seq.min(self.next_seq));
        while self.marks.get(1).is_some_and(|(first, _)| *first <= self.acked) {
            self.marks.pop_front();
        }
        self.acked > self.cursor_written && !told
    }

    pub(super) fn mark(&mut self, seq: u64, now: Instant) {
        if self
            .marks
            .back()
            .is_some_and(|(_, last)| now.saturating_duration_since(*last) < Duration::from_secs(1))
        {
            return;
        }
        if self.marks.len() == MARKS {
            let mut odd = false;
            self.marks.retain(|_| {
                odd = !odd;
                odd
            });
        }
        self.marks.push_back((seq, now));
    }

    pub(super) fn depth(&self, now: Instant) -> Depth {
        let records = self.next_seq - self.acked;
        let oldest = self.marks.front().filter(|_| records > 0);
        Depth {
            records,
            bytes: self.bytes(),
            oldest_age: oldest.map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(*at)),
            blocked: self.blocked,
        }
    }
}

fn pending_limit(settings: &Settings) -> u64 {
    settings.commit_bytes.0.max(4096) * PENDING_GROUPS
}
