//! The records of one kind: a row of parts, the newest of which is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::commit::Writing;
use super::part::{Part, day_start};
use super::schema::{Fields, Kind};
use super::{damage, disk, happenings};
use crate::store::Settings;
use crate::store::settings::Keep;

/// The engine keeps nanoseconds in 64 bits; times beyond are moved to the edge (1678 and 2261).
const EARLIEST_MS: i64 = -9_200_000_000_000;
const LATEST_MS: i64 = 9_200_000_000_000;

/// Moves a time into what the engine can keep.
pub(crate) fn clamp(ms: i64) -> i64 {
    ms.clamp(EARLIEST_MS, LATEST_MS)
}

/// Where a clock comes from; tests pass their own.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The wall clock.
pub(crate) fn wall_clock() -> Clock {
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// One kind of record on disk.
pub struct Lane {
    pub(crate) kind: Kind,
    pub(crate) fields: Fields,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(super) dir: PathBuf,
    pub(super) keep: Keep,
    /// Another process may be writing: nothing is moved or removed.
    pub(super) looking: bool,
    /// Oldest first; the last is written.
    pub(super) parts: RwLock<Vec<Arc<Part>>>,
    pub(super) writing: Mutex<Writing>,
    /// Places in the order of arrival that are committed; tells live tails.
    pub(super) commits: watch::Sender<u64>,
}

/// One part, for `store stats`.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PartStats {
    /// Its folder's name.
    pub name: String,
    /// Records.
    pub records: u64,
    /// On disk.
    pub bytes: u64,
    /// Oldest record, milliseconds.
    pub first_ms: Option<i64>,
    /// Newest record, milliseconds.
    pub last_ms: Option<i64>,
}

impl Lane {
    pub(crate) fn open(root: &Path, kind: Kind, settings: &Settings, clock: Clock) -> std::io::Result<Self> {
        std::fs::create_dir_all(root.join(kind.name()))?;
        Self::over(root, kind, settings, clock, false)
    }

    /// Opens what is there for reading, while an agent may be writing it. Parts that cannot be read are left alone.
    ///
    /// # Errors
    /// No such folder.
    pub fn look(root: &Path, kind: Kind, settings: &Settings) -> std::io::Result<Self> {
        Self::over(root, kind, settings, wall_clock(), true)
    }

    fn over(
        root: &Path,
        kind: Kind,
        settings: &Settings,
        clock: Clock,
        looking: bool,
    ) -> std::io::Result<Self> {
        let dir = root.join(kind.name());
        let keep = match kind {
            Kind::Logs => settings.logs,
            Kind::Spans => settings.spans,
        };
        let fields = Fields::new();
        let mut names: Vec<PathBuf> = std::fs::read_dir(&dir)?
            .flatten()
            .filter(|entry| {
                entry
                    .file_name()
                    .to_str()
                    .and_then(|n| n.split_once('.'))
                    .is_some_and(|(day, _)| day_start(day).is_some())
            })
            .map(|entry| entry.path())
            .collect();
        names.sort();
        let mut parts = Vec::new();
        for path in names {
            match damage::open(&path, &fields.schema) {
                Ok(part) => parts.push(Arc::new(part)),
                Err(error) if looking => happenings::part_failed(kind, &path.to_string_lossy(), &error),
                Err(error) => parts.extend(damage::rescue(kind, &path, &fields.schema, &error).map(Arc::new)),
            }
        }
        let mark = parts.iter().rev().find_map(|part| part.mark());
        let lane = Lane {
            kind,
            fields,
            clock,
            settings: settings.clone(),
            dir,
            keep,
            looking,
            parts: RwLock::new(parts),
            writing: Mutex::new(Writing::after(mark, kind, settings.max_fields)),
            commits: watch::Sender::new(mark.map_or(0, |mark| mark.order)),
        };
        lane.report();
        Ok(lane)
    }

    /// Parts, oldest first.
    pub(crate) fn parts(&self) -> Vec<Arc<Part>> {
        self.parts.read().clone()
    }

    /// Folder of this kind.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The parts for a person.
    pub fn stats(&self) -> Vec<PartStats> {
        self.parts()
            .iter()
            .map(|part| PartStats {
                name: part.name.clone(),
                records: part.documents(),
                bytes: part.bytes(),
                first_ms: part.span().map(|(first, _)| first),
                last_ms: part.span().map(|(_, last)| last),
            })
            .collect()
    }

    /// Records and bytes of all parts.
    pub fn totals(&self) -> (u64, u64) {
        self.parts.read().iter().fold((0, 0), |(n, b), part| (n + part.documents(), b + part.bytes()))
    }

    /// How long and how much is kept.
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// The number of places in the order of arrival that are committed, as it rises.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Free bytes where the store lies, if the system says.
    pub(crate) fn free(&self) -> Option<u64> {
        disk::free(&self.dir)
    }

    pub(super) fn report(&self) {
        let (records, bytes) = self.totals();
        happenings::size(self.kind, records, bytes, self.parts.read().len());
    }
}
