//! What the store does beside taking samples: seals windows, joins blocks, drops what is too old or too much.
use super::block::{Block, Column, Writer};
use super::disk::{Kind, block_path, log_path, written_path};
use super::events;
use super::head::WINDOW;
use super::native::{self, NATIVE};
use super::read::{RAW, append, columns, damaged};
use super::rollup::{self, REALS};
use super::store::Store;
use super::table::Id;
use crate::store::promql::Samples;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const DAY: i64 = 86_400_000;

/// A window is sealed this long after its end, so that no sample of it is still to come.
const GRACE: i64 = 60_000;
/// The same where others write: they may have to catch up after a restart of ours or of theirs.
const GRACE_OF_OTHERS: i64 = 30 * 60_000;
/// Others that have not written for so long no longer do.
const OTHERS: i64 = 3_600_000;

/// Into blocks of which length blocks of a kind are joined, shortest first.
fn levels(kind: Kind) -> &'static [i64] {
    match kind {
        Kind::Raw => &[DAY],
        Kind::Rollup => &[DAY, 16 * DAY],
    }
}

/// Memory that indexes of blocks may keep between two maintenances.
const INDEX_MEMORY: usize = 8 << 20;

impl Store {
    /// Does what is due at `now` (milliseconds). Call it after each round, from a thread that may take seconds.
    ///
    /// # Errors
    /// What the disk refuses; the store goes on with what it has, and the next call tries again.
    pub fn maintain(&self, now: i64) -> io::Result<()> {
        let _turn = self.maintenance.lock();
        let (windows, last_written) = {
            let inner = self.inner.read();
            (inner.head.windows(), inner.last_written)
        };
        let grace = if last_written.saturating_add(OTHERS) > now { GRACE_OF_OTHERS } else { GRACE };
        for window in windows.into_iter().filter(|w| w + WINDOW + grace <= now) {
            self.seal(window)?;
        }
        for kind in [Kind::Raw, Kind::Rollup] {
            for length in levels(kind) {
                self.join(kind, *length, now)?;
            }
        }
        self.retain(now)?;
        self.tell();
        Ok(())
    }

    /// Writes one window of the head into blocks, then forgets it and its log.
    fn seal(&self, window: i64) -> io::Result<()> {
        let end = window + WINDOW;
        let ids: Vec<Id> = self.inner.read().head.ids().collect();
        let mut raw = Writer::create(&block_path(&self.dir, Kind::Raw, window, end), (window, end))?;
        let mut rollups = Writer::create(&block_path(&self.dir, Kind::Rollup, window, end), (window, end))?;
        let mut samples = Samples::default();
        for id in &ids {
            let id = *id;
            samples.clear();
            self.inner.read().head.read(id, window, end - 1, &mut samples);
            if samples.times.is_empty() {
                continue;
            }
            let rows = rollup::rows(&samples);
            if !rows.is_empty() {
                rollups.series(id, &rollup::columns(&rows))?;
            }
            let columns = [
                Column::Whole(std::mem::take(&mut samples.times)),
                Column::Real(std::mem::take(&mut samples.floats)),
            ];
            raw.series(id, &columns)?;
        }
        for id in ids {
            let chunks = self.inner.read().head.packed(id, window);
            if chunks.is_empty() {
                continue;
            }
            let mut points = Vec::new();
            for chunk in &chunks {
                chunk.each(|time, h| points.push((time, Arc::new(h))));
            }
            rollups.natives(id, &native::to_bytes(&native::thinned(&points)))?;
            raw.natives(id, &native::to_bytes(&chunks))?;
        }
        // Roll-ups first: if only they are there after a crash, the log still holds the window and writes them again.
        let rollups = rollups.finish()?;
        let raw = raw.finish()?;
        let mut inner = self.inner.write();
        inner.rollups.retain(|b| b.start != window);
        inner.rollups.extend(rollups.map(Arc::new));
        inner.raw.extend(raw.map(Arc::new));
        inner.head.drop_before(end);
        inner.sealed = inner.sealed.max(end);
        inner.close_log(window);
        drop(inner);
        let _ = std::fs::remove_file(log_path(&self.dir, window));
        let _ = std::fs::remove_file(written_path(&self.dir, window));
        Ok(())
    }

    /// Joins the blocks of each whole span that is over into one.
    fn join(&self, kind: Kind, length: i64, now: i64) -> io::Result<()> {
        loop {
            let blocks = self.blocks(kind);
            let span = |b: &Arc<Block>| b.start.div_euclid(length) * length;
            let due = blocks.iter().find(|b| {
                b.end - b.start < length
                    && span(b) + length + WINDOW + GRACE <= now
                    && blocks.iter().filter(|o| span(o) == span(b)).count() > 1
            });
            let Some(start) = due.map(span) else { return Ok(()) };
            let parts: Vec<Arc<Block>> = blocks.iter().filter(|b| span(b) == start).cloned().collect();
            self.join_parts(kind, start, length, &parts)?;
        }
    }

    fn join_parts(&self, kind: Kind, start: i64, length: i64, parts: &[Arc<Block>]) -> io::Result<()> {
        let end = start + length;
        let mut ids: BTreeSet<Id> = BTreeSet::new();
        for part in parts {
            ids.extend(part.index()?.iter().map(|e| e.id));
        }
        let mut writer = Writer::create(&block_path(&self.dir, kind, start, end), (start, end))?;
        for id in ids {
            match kind {
                _ if id >= NATIVE => {
                    let mut chunks = Vec::new();
                    for part in parts {
                        match part.packed(id & !NATIVE) {
                            Ok(Some(bytes)) => chunks.extend_from_slice(&bytes),
                            Ok(None) => {}
                            Err(error) => damaged(part, &error),
                        }
                    }
                    if !chunks.is_empty() {
                        writer.natives(id & !NATIVE, &chunks)?;
                    }
                }
                Kind::Raw => {
                    let mut samples = Samples::default();
                    for part in parts {
                        match columns(part, id, &RAW) {
                            Ok(Some(c)) => append(&c, i64::MIN, i64::MAX, &mut samples),
                            Ok(None) => {}
                            Err(error) => damaged(part, &error),
                        }
                    }
                    if !samples.times.is_empty() {
                        writer.series(id, &[Column::Whole(samples.times), Column::Real(samples.floats)])?;
                    }
                }
                Kind::Rollup => {
                    let mut rows = Vec::new();
                    for part in parts {
                        match columns(part, id, &REALS) {
                            Ok(Some(c)) => rows.extend(rollup::from_columns(&c).unwrap_or_default()),
                            Ok(None) => {}
                            Err(error) => damaged(part, &error),
                        }
                    }
                    if !rows.is_empty() {
                        writer.series(id, &rollup::columns(&rows))?;
                    }
                }
            }
        }
        let joined = writer.finish()?.map(Arc::new);
        let mut inner = self.inner.write();
        let list = match kind {
            Kind::Raw => &mut inner.raw,
            Kind::Rollup => &mut inner.rollups,
        };
        list.retain(|b| !parts.iter().any(|p| Arc::ptr_eq(p, b)));
        list.extend(joined);
        list.sort_by_key(|b| b.start);
        drop(inner);
        for part in parts {
            // A query that still reads it holds the file open.
            let _ = std::fs::remove_file(&part.path);
        }
        Ok(())
    }

    fn blocks(&self, kind: Kind) -> Vec<Arc<Block>> {
        let inner = self.inner.read();
        match kind {
            Kind::Raw => inner.raw.clone(),
            Kind::Rollup => inner.rollups.clone(),
        }
    }

    fn retain(&self, now: i64) -> io::Result<()> {
        let age = |span: crate::units::Span| i64::try_from(span.0.as_millis()).unwrap_or(i64::MAX);
        let mut gone: Vec<Arc<Block>> = Vec::new();
        {
            let mut inner = self.inner.write();
            let (raw_until, rollup_until) = (
                now.saturating_sub(age(self.settings.raw_age)),
                now.saturating_sub(age(self.settings.rollup_age)),
            );
            take(&mut inner.raw, &mut gone, |b| b.end <= raw_until);
            take(&mut inner.rollups, &mut gone, |b| b.end <= rollup_until);
            events::blocks_dropped("age", gone.len() as u64);
            let by_age = gone.len();
            let size = |list: &[Arc<Block>]| list.iter().map(|b| b.bytes).sum::<u64>();
            while size(&inner.raw) + size(&inner.rollups) + inner.log_bytes() > self.settings.size.0 {
                // Samples go before roll-ups, but the last day of samples goes last.
                let list = if inner.raw.len() > 1 || inner.rollups.is_empty() {
                    &mut inner.raw
                } else {
                    &mut inner.rollups
                };
                if list.is_empty() {
                    break;
                }
                gone.push(list.remove(0));
            }
            events::blocks_dropped("size", (gone.len() - by_age) as u64);
        }
        for block in &gone {
            std::fs::remove_file(&block.path)?;
        }
        gone.extend(self.make_room()?);
        if !gone.is_empty() {
            self.forget_series()?;
        }
        Ok(())
    }

    /// Drops samples for as long as the disk has too little room; the newest block stays.
    fn make_room(&self) -> io::Result<Vec<Arc<Block>>> {
        let floor = self.min_free.load(Ordering::Relaxed);
        let mut gone = Vec::new();
        while floor > 0 && super::disk::free(&self.dir).is_some_and(|free| free < floor) {
            let block = {
                let mut inner = self.inner.write();
                if inner.raw.len() < 2 {
                    break;
                }
                inner.raw.remove(0)
            };
            std::fs::remove_file(&block.path)?;
            gone.push(block);
        }
        if !gone.is_empty() {
            events::blocks_dropped("disk", gone.len() as u64);
            tracing::warn!(
                blocks = gone.len(),
                floor,
                "too little free disk: old samples were dropped; their roll-ups stay"
            );
        }
        Ok(gone)
    }

    /// Series that neither the head nor any block knows.
    fn forget_series(&self) -> io::Result<()> {
        let mut known: BTreeSet<Id> = BTreeSet::new();
        for kind in [Kind::Raw, Kind::Rollup] {
            for block in self.blocks(kind) {
                known.extend(block.index()?.iter().map(|e| e.id & !NATIVE));
                block.forget_index();
            }
        }
        let mut inner = self.inner.write();
        let inner = &mut *inner;
        let head = &inner.head;
        inner.table.retain(&self.dir.join("series.log"), |id| head.holds(id) || known.contains(&id))?;
        Ok(())
    }

    fn tell(&self) {
        let inner = self.inner.read();
        let blocks = inner.raw.iter().chain(&inner.rollups);
        if blocks.clone().map(|b| b.index_bytes()).sum::<usize>() > INDEX_MEMORY {
            blocks.clone().for_each(|b| b.forget_index());
        }
        let disk = blocks.map(|b| b.bytes).sum::<u64>() + inner.log_bytes();
        events::size(inner.head.len(), inner.head.samples(), inner.head.bytes(), disk);
    }

    /// Figures for people and for `/api/v1/status/tsdb`.
    pub fn stats(&self) -> Stats {
        let inner = self.inner.read();
        let blocks = || inner.raw.iter().chain(&inner.rollups);
        Stats {
            series: inner.head.len(),
            series_known: inner.table.len(),
            head_samples: inner.head.samples(),
            head_bytes: inner.head.bytes(),
            blocks: blocks().count(),
            disk_bytes: blocks().map(|b| b.bytes).sum::<u64>() + inner.log_bytes(),
            oldest: blocks().map(|b| b.start).min().or_else(|| inner.head.windows().first().copied()),
            newest: Some(inner.newest()).filter(|t| *t != i64::MIN),
        }
    }
}

/// How much the store holds. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Series that are being written.
    pub series: usize,
    /// Series with samples anywhere in the store.
    pub series_known: usize,
    pub head_samples: usize,
    pub head_bytes: usize,
    pub blocks: usize,
    pub disk_bytes: u64,
    pub oldest: Option<i64>,
    pub newest: Option<i64>,
}

fn take(list: &mut Vec<Arc<Block>>, gone: &mut Vec<Arc<Block>>, old: impl Fn(&Block) -> bool) {
    gone.extend(list.iter().filter(|b| old(b)).cloned());
    list.retain(|b| !old(b));
}
