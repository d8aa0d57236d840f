//! The thread of a queue: writes groups of records, forces them to disk, keeps the cursor and removes segments.

use std::io;
use std::time::{Duration, Instant};

use super::cursor::{Cursor, CursorFile};
use super::disk::Blob;
use super::recover::name;
use super::settings::Settings;
use super::state::{Segment, State};
use super::{Progress, Queue};

/// How often the cursor is written while records are delivered, and how often it is forced to disk.
const CURSOR_WRITE: Duration = Duration::from_millis(50);
const CURSOR_SYNC: Duration = Duration::from_secs(1);
/// How long to wait before trying a refused write again.
const RETRY: Duration = Duration::from_millis(250);
/// The free space is asked for after this many bytes written.
const SPACE_EVERY: u64 = 8 << 20;

pub(super) struct Committer {
    /// The segment that is being written and its length.
    active: Option<(Box<dyn Blob>, u64)>,
    /// The group in hand: kept until it is on disk, however often that fails.
    group: Vec<u8>,
    cursor: CursorFile,
    end: CursorFile,
    cursor_sync_due: Instant,
    since_space_check: u64,
    segment_bytes: u64,
    fsync: bool,
    min_free: u64,
}

impl Committer {
    pub(super) fn new(cursor: CursorFile, end: CursorFile, settings: &Settings, now: Instant) -> Self {
        // Segments no larger than an eighth of the bound, so that the bound is not mostly waiting for removal.
        let segment_bytes = settings.segment_bytes.0.min(settings.max_bytes.0 / 8).max(1);
        Committer {
            active: None,
            group: Vec::new(),
            cursor,
            end,
            cursor_sync_due: now,
            since_space_check: SPACE_EVERY,
            segment_bytes,
            fsync: settings.fsync,
            min_free: settings.min_free.0,
        }
    }
}

impl Queue {
    /// The thread's life.
    pub(super) fn run(&self) {
        loop {
            let stop = self.wait_for_work();
            let written = self.commit();
            self.keep_cursor(stop);
            if stop {
                let mut state = self.state.lock();
                if written || state.closing.is_none_or(|deadline| deadline <= Instant::now()) {
                    if let Some(lock) = self.lock.lock().take() {
                        // Closing would not do while a child that is just being started has a copy of the descriptor.
                        let _ = lock.unlock();
                    }
                    state.closed = true;
                    drop(state);
                    self.work.notify_all();
                    self.durable.send_modify(|progress| progress.closed = true);
                    return;
                }
            }
            if !written {
                self.pause();
            }
        }
    }

    /// Sleeps until a group is ready or the cursor is due; true if the queue closes.
    fn wait_for_work(&self) -> bool {
        let interval = self.settings.commit_interval.0;
        let mut state = self.state.lock();
        loop {
            let now = Instant::now();
            if state.closing.is_some() {
                return true;
            }
            let group_due = state.pending.since.map(|since| since + interval);
            let enough = state.pending.bytes.len() >= self.settings.commit_bytes.as_usize()
                || (state.pending.awaited && group_due.is_some());
            let cursor_due = (state.acked > state.cursor_written).then_some(state.cursor_due);
            if enough || [group_due, cursor_due].into_iter().flatten().any(|due| due <= now) {
                return false;
            }
            match [group_due, cursor_due].into_iter().flatten().min() {
                Some(due) => drop(self.work.wait_until(&mut state, due)),
                None => self.work.wait(&mut state),
            }
        }
    }

    /// Waits after a refused write, unless the queue closes.
    fn pause(&self) {
        let mut state = self.state.lock();
        if state.closing.is_none() {
            self.work.wait_for(&mut state, RETRY);
            return;
        }
        drop(state);
        std::thread::sleep(Duration::from_millis(20));
    }

    /// Writes what has gathered. False if the disk refused: then the group stays in hand.
    pub(super) fn commit(&self) -> bool {
        let mut committer = self.committer.lock();
        let (end_seq, previous_end) = {
            let mut state = self.state.lock();
            if committer.group.is_empty() {
                std::mem::swap(&mut state.pending.bytes, &mut committer.group);
                state.pending.since = None;
                state.pending.awaited = false;
                state.writing = committer.group.len() as u64;
                state.group_end = state.next_seq;
            }
            (state.group_end, state.written_end)
        };
        if committer.group.is_empty() {
            return true;
        }
        match self.write_group(&mut committer, previous_end) {
            Ok(()) => {
                self.finish_group(&mut committer, previous_end, end_seq);
                true
            }
            Err(error) => {
                let newly = !std::mem::replace(&mut self.state.lock().blocked, true);
                if newly {
                    self.events.blocked(&error.to_string());
                }
                false
            }
        }
    }

    fn write_group(&self, committer: &mut Committer, first_seq: u64) -> io::Result<()> {
        let Committer { active, group, .. } = committer;
        committer.since_space_check += group.len() as u64;
        if committer.since_space_check >= SPACE_EVERY || self.state.lock().blocked {
            if self.disk.free()? < committer.min_free + group.len() as u64 {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "less than queue.min_free is left"));
            }
            committer.since_space_check = 0;
        }
        if active.as_ref().is_some_and(|(_, len)| *len > 0 && *len >= committer.segment_bytes) {
            super::crash_point("segment-full");
            *active = None;
        }
        let (blob, len) = match active {
            Some(open) => open,
            None => {
                let blob = self.disk.create(&name(first_seq))?;
                super::crash_point("segment-created");
                if committer.fsync {
                    self.disk.sync_names()?;
                }
                active.insert((blob, 0))
            }
        };
        let written = blob.write_at(group, *len).and_then(|()| {
            super::crash_point("group-written");
            if committer.fsync { blob.sync() } else { Ok(()) }
        });
        if let Err(error) = written {
            // After a failed write or fsync nobody knows what the file holds: the group goes to a new segment,
            // and this one ends where it was known to be good. If the cut fails too, its tail is stepped over.
            let cut = blob.truncate(*len);
            if *len > 0 || cut.is_err() {
                *active = None;
            }
            return Err(error);
        }
        super::crash_point("group-synced");
        *len += group.len() as u64;
        Ok(())
    }

    fn finish_group(&self, committer: &mut Committer, first_seq: u64, end_seq: u64) {
        let written = committer.group.len();
        // Only a measure for what damage may cost later: a write that fails makes that less exact, no more.
        let _ = committer.end.write(Cursor { seq: end_seq });
        super::crash_point("end-written");
        let len = committer.active.as_ref().map_or(0, |(_, len)| *len);
        let mut state = self.state.lock();
        state.writing = 0;
        state.written_end = end_seq;
        if len == written as u64 {
            state.segments.push_back(Segment { first_seq, end_seq, bytes: len });
        } else if let Some(segment) = state.segments.back_mut() {
            (segment.end_seq, segment.bytes) = (end_seq, len);
        }
        if std::mem::replace(&mut state.blocked, false) {
            self.events.unblocked();
        }
        drop(state);
        self.events.committed(written, committer.fsync);
        committer.group.clear();
        // A burst must not leave a large buffer behind for good.
        committer.group.shrink_to(self.settings.commit_bytes.as_usize() * 2);
        self.durable.send_replace(Progress { end_seq, closed: false });
        self.room.notify_waiters();
    }

    /// Writes the cursor if it is due (or `now_or_never`), and removes the segments that it has left behind.
    pub(super) fn keep_cursor(&self, now_or_never: bool) {
        let mut committer = self.committer.lock();
        let now = Instant::now();
        let acked = {
            let state = self.state.lock();
            if !now_or_never && (state.acked <= state.cursor_written || now < state.cursor_due) {
                return;
            }
            state.acked
        };
        let sync = now_or_never || now >= committer.cursor_sync_due;
        match self.move_cursor(&mut committer, acked, sync) {
            Ok(synced) => {
                if synced {
                    committer.cursor_sync_due = now + CURSOR_SYNC;
                }
                let mut state = self.state.lock();
                state.cursor_due = now + CURSOR_WRITE;
                state.cursor_written = acked;
            }
            Err(error) => {
                self.state.lock().cursor_due = now + RETRY;
                self.events.housekeeping_failed("cursor", &error);
            }
        }
    }

    fn move_cursor(&self, committer: &mut Committer, acked: u64, sync: bool) -> io::Result<bool> {
        committer.cursor.write(Cursor { seq: acked })?;
        super::crash_point("cursor-written");
        let done = self.state.lock().done_segments(acked);
        if !sync && done.is_empty() {
            return Ok(false);
        }
        committer.cursor.sync()?;
        super::crash_point("cursor-synced");
        for first_seq in done {
            super::crash_point("before-remove");
            match self.disk.remove(&name(first_seq)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            super::crash_point("removed");
            self.state.lock().segments.pop_front();
            self.room.notify_waiters();
        }
        Ok(true)
    }
}

impl State {
    /// Segments that hold nothing at or after `acked`, oldest first. Never the last one, which is being written.
    fn done_segments(&self, acked: u64) -> Vec<u64> {
        let last = self.segments.len().saturating_sub(1);
        self.segments.iter().take(last).take_while(|s| s.end_seq <= acked).map(|s| s.first_seq).collect()
    }
}
