//! What is kept and for how long: whole parts go, oldest first, by age, by size, and for want of disk.

use std::sync::Arc;

use super::lane::Lane;
use super::part::{Part, day_start};
use super::{disk, happenings};

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Dropped {
    /// Whole parts.
    pub parts: u64,
    /// Their records.
    pub records: u64,
    /// Their bytes on disk.
    pub bytes: u64,
}

impl Lane {
    pub(super) fn has_room(&self) -> bool {
        let floor = self.settings.min_free.0;
        let enough = || disk::free(&self.dir).is_none_or(|free| free >= floor);
        while !enough() {
            if self.parts.read().len() < 2 || self.drop_oldest("disk").is_none() {
                happenings::refused_for_space(self.kind, disk::free(&self.dir).unwrap_or(0), floor);
                return false;
            }
        }
        true
    }

    fn drop_oldest(&self, reason: &'static str) -> Option<Dropped> {
        let part = {
            let mut parts = self.parts.write();
            if parts.is_empty() {
                return None;
            }
            parts.remove(0)
        };
        Some(self.remove(&part, reason))
    }

    fn remove(&self, part: &Part, reason: &'static str) -> Dropped {
        let dropped = Dropped { parts: 1, records: part.documents(), bytes: part.bytes() };
        // Searches that still read the part keep its files mapped until they end.
        if let Err(error) = std::fs::remove_dir_all(&part.dir) {
            tracing::warn!(dir = %part.dir.display(), %error, "an old part of the store could not be removed");
        }
        happenings::dropped(self.kind, &part.name, reason, dropped.records, dropped.bytes);
        dropped
    }

    /// Drops what is older or more than is kept: call it now and then.
    pub fn expire(&self) -> Dropped {
        let now = (self.clock)();
        let age = i64::try_from(self.keep.age.0.as_millis()).unwrap_or(i64::MAX);
        let mut total = self.drop_days(now.saturating_sub(age), "age");
        // The part being written stays: it is closed when it reaches its size, and goes then.
        while self.totals().1 > self.keep.size.0 && self.parts.read().len() > 1 {
            match self.drop_oldest("size") {
                Some(dropped) => total.add(dropped),
                None => break,
            }
        }
        self.report();
        total
    }

    /// Drops the parts whose whole day of arrival lies before `before_ms`.
    pub(crate) fn drop_days(&self, before_ms: i64, reason: &'static str) -> Dropped {
        const DAY_MS: i64 = 86_400_000;
        let mut writing = self.writing.lock();
        let old: Vec<Arc<Part>> = {
            let mut parts = self.parts.write();
            let gone =
                |part: &Arc<Part>| day_start(part.day()).is_some_and(|start| start + DAY_MS <= before_ms);
            let old = parts.iter().filter(|part| gone(part)).cloned().collect();
            let open = parts.last().map(|part| part.name.clone());
            parts.retain(|part| !gone(part));
            if parts.last().map(|part| &part.name) != open.as_ref() {
                writing.writer = None;
            }
            old
        };
        let mut total = Dropped::default();
        for part in old {
            total.add(self.remove(&part, reason));
        }
        total
    }
}

impl Dropped {
    fn add(&mut self, other: Dropped) {
        self.parts += other.parts;
        self.records += other.records;
        self.bytes += other.bytes;
    }
}
