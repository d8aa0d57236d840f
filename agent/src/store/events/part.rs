//! One index on disk: the records that arrived on one day, or a size-bounded part of them.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tantivy::schema::Schema;
use tantivy::{Executor, Index, IndexReader, IndexSettings, ReloadPolicy, Searcher, TantivyError};

use sightline_instrument::wire::field;

use super::disk;
use super::mapped::Mapped;
use super::words::register;

/// More threads do not search one part.
const MOST_SEARCHERS: usize = 4;

/// The threads on which all searches run, a segment each.
static SEARCHERS: LazyLock<Executor> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_SEARCHERS);
    match threads {
        1 => Executor::single_thread(),
        // Without threads to be had a search takes longer.
        threads => {
            Executor::multi_thread(threads, "store-search").unwrap_or_else(|_| Executor::single_thread())
        }
    }
});

/// What a commit carries beside its documents, so that both become durable in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Mark {
    /// Last record of the queue that the store has.
    pub queue: u64,
    /// Next number in the order of arrival.
    pub order: u64,
}

/// An index and its reader.
pub(crate) struct Part {
    /// `2026-11-24.000`: the day of arrival and the part's number within it. Names sort by age.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    pub index: Index,
    reader: IndexReader,
    first_ms: AtomicI64,
    last_ms: AtomicI64,
    bytes: AtomicU64,
    documents: AtomicU64,
    checked_ms: AtomicI64,
}

impl Part {
    /// Opens the part in `dir`.
    pub(crate) fn open(dir: &Path, schema: &Schema) -> tantivy::Result<Self> {
        let index = Index::open(Mapped::open(dir)?)?;
        if index.schema() != *schema {
            return Err(TantivyError::SchemaError("written by another version with other fields".to_owned()));
        }
        Self::over(dir, index)
    }

    /// Makes an empty part in `dir`.
    pub(crate) fn create(dir: &Path, schema: &Schema) -> tantivy::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let settings = IndexSettings { docstore_blocksize: 32 * 1024, ..IndexSettings::default() };
        let index = Index::create(Mapped::open(dir)?, schema.clone(), settings)?;
        Self::over(dir, index)
    }

    fn over(dir: &Path, mut index: Index) -> tantivy::Result<Self> {
        register(&index);
        index.set_executor(SEARCHERS.clone());
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(16)
            .try_into()?;
        let part = Part {
            name: dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            dir: dir.to_owned(),
            index,
            reader,
            first_ms: AtomicI64::new(i64::MAX),
            last_ms: AtomicI64::new(i64::MIN),
            bytes: AtomicU64::new(0),
            documents: AtomicU64::new(0),
            checked_ms: AtomicI64::new(i64::MIN),
        };
        part.refresh()?;
        Ok(part)
    }

    /// Makes the last commit visible to searches.
    pub(crate) fn refresh(&self) -> tantivy::Result<()> {
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        for segment in searcher.segment_readers() {
            let times = segment.fast_fields().date(field::TIMESTAMP)?;
            first = first.min(times.min_value().into_timestamp_millis());
            last = last.max(times.max_value().into_timestamp_millis());
        }
        self.first_ms.store(first, Ordering::Relaxed);
        self.last_ms.store(last, Ordering::Relaxed);
        self.documents.store(searcher.num_docs(), Ordering::Relaxed);
        self.bytes.store(disk::size_of(&self.dir), Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// Milliseconds of the oldest and newest record; `None` if there is no record.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.first_ms.load(Ordering::Relaxed), self.last_ms.load(Ordering::Relaxed));
        (first <= last).then_some((first, last))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn documents(&self) -> u64 {
        self.documents.load(Ordering::Relaxed)
    }

    /// What the last commit carried.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let payload = self.index.load_metas().ok()?.payload?;
        serde_json::from_str(&payload).ok()
    }

    /// The day of arrival: `2026-11-24`.
    pub(crate) fn day(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(day, _)| day)
    }

    /// When it was last read against its checksums, in milliseconds; `None` if it was not since it was opened.
    pub(crate) fn checked(&self) -> Option<i64> {
        Some(self.checked_ms.load(Ordering::Relaxed)).filter(|at| *at != i64::MIN)
    }

    pub(crate) fn set_checked(&self, now_ms: i64) {
        self.checked_ms.store(now_ms, Ordering::Relaxed);
    }
}

/// `2026-11-24` of a moment.
pub(crate) fn day_of(ms: i64) -> String {
    let date = time::OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000))
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
        .date();
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// Milliseconds at which a day begins.
pub(crate) fn day_start(day: &str) -> Option<i64> {
    let date = time::Date::parse(day, time::macros::format_description!("[year]-[month]-[day]")).ok()?;
    Some(time::OffsetDateTime::new_utc(date, time::Time::MIDNIGHT).unix_timestamp() * 1000)
}
