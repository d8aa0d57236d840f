//! Opens a queue from whatever is on disk: only names and lengths are read, and the records of the last segment.

use std::collections::VecDeque;
use std::io;
use std::time::{Instant, SystemTime};

use super::commit::Committer;
use super::cursor::{self, CursorFile};
use super::disk::Disk;
use super::events::Events;
use super::record::{Bounds, HEADER};
use super::settings::Settings;
use super::state::{Segment, State};
use super::walk::Walk;

const SUFFIX: &str = ".segment";
/// How much of the last segment is read at once.
const CHUNK: usize = 1 << 20;

/// The name of the file of the segment that begins with `first_seq`.
pub(super) fn name(first_seq: u64) -> String {
    format!("{first_seq:020}{SUFFIX}")
}

fn parse(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 20)?.parse().ok()
}

pub(super) fn open(
    disk: &dyn Disk,
    settings: &Settings,
    events: &Events,
    now: SystemTime,
) -> io::Result<(State, Committer)> {
    let files = disk.list()?;
    let mut found: Vec<(u64, u64, SystemTime)> =
        files.iter().filter_map(|file| Some((parse(&file.name)?, file.len, file.modified))).collect();
    found.sort_unstable_by_key(|(first, ..)| *first);

    let (cursor_file, cursor) = CursorFile::open(disk, cursor::NAME)?;
    let (end_file, kept_end) = CursorFile::open(disk, cursor::END)?;
    // Killed before the first record was delivered, a queue has no cursor yet; that is no damage.
    let began = files.iter().any(|file| file.name == cursor::NAME && file.len > 0);
    let moved_on = found.first().is_some_and(|(first, ..)| *first > 0);
    if cursor.is_none() && !found.is_empty() && (began || moved_on) {
        events.cursor_unreadable();
    }
    let first_kept = found.first().map_or(0, |(first, ..)| *first);
    let known = cursor.is_some();
    let cursor = cursor.map_or(first_kept, |c| c.seq);

    let mut segments: VecDeque<Segment> = VecDeque::with_capacity(found.len());
    for (at, (first_seq, len, _)) in found.iter().enumerate() {
        let segment = match found.get(at + 1) {
            Some((next, ..)) => Segment { first_seq: *first_seq, end_seq: *next, bytes: *len },
            None => last(disk, *first_seq, *len, events)?,
        };
        segments.push_back(segment);
    }
    // What was kept and is missing at the very end leaves no gap between numbers to be counted by.
    let kept_end = kept_end.map_or(0, |end| end.seq);
    if let Some(last) = segments.back_mut() {
        last.end_seq = last.end_seq.max(kept_end);
    } else if known && kept_end > cursor {
        events.lost("all segments", kept_end - cursor);
    }
    let end = segments.back().map_or(kept_end, |s| s.end_seq);
    let next_seq = end.max(cursor);
    // A cursor that lies before all that is left: what is missing between was counted when it was lost, or its
    // files were taken away by hand; either way there is nothing to wait for.
    let acked = if segments.is_empty() { next_seq } else { cursor.max(first_kept).min(next_seq) };
    // An empty last segment is begun anew under its own name.
    if segments.back().is_some_and(|s| s.bytes == 0 && s.end_seq == s.first_seq) {
        segments.pop_back();
    }

    let mut state = State::new(segments, next_seq, acked);
    let instant = Instant::now();
    if let Some((first, _, modified)) = found.iter().rev().find(|(first, ..)| *first <= acked) {
        let age = now.duration_since(*modified).unwrap_or_default();
        state.mark(*first, instant.checked_sub(age).unwrap_or(instant));
    }
    Ok((state, Committer::new(cursor_file, end_file, settings, instant)))
}

/// Measures the segment that was being written, and cuts an unfinished write from its end.
fn last(disk: &dyn Disk, first_seq: u64, len: u64, events: &Events) -> io::Result<Segment> {
    let name = name(first_seq);
    let blob = disk.open(&name)?;
    let mut walk = Walk::new(blob, 0, len, CHUNK);
    let (mut end_seq, mut bytes) = (first_seq, 0);
    loop {
        let end = end_seq + (len / HEADER as u64) + 1;
        match walk.next(Bounds { first: end_seq, end }) {
            Ok(Some((seq, _))) => (end_seq, bytes) = (seq + 1, walk.offset()),
            Ok(None) => break,
            Err(error) => {
                events.unreadable(&name, &error);
                break;
            }
        }
    }
    let blob = walk.into_blob();
    if bytes < len {
        events.torn(&name, len - bytes);
        blob.truncate(bytes)?;
    }
    // Of what a crash of the process left in the kernel's memory, the queue is about to say that it is on disk.
    if bytes > 0 {
        blob.sync()?;
        disk.sync_names()?;
    }
    Ok(Segment { first_seq, end_seq, bytes })
}
