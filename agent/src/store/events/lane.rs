//! The records of one kind: a row of parts, the newest of which is written.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::schema::TantivyDocument;
use tantivy::{Directory, IndexWriter, Term};
use tokio::sync::watch;

use super::part::{Mark, Part, day_of, day_start};
use super::record::{self, Paths, Record};
use super::schema::{Fields, Kind};
use super::{disk, happenings};
use crate::export::{Entry, Verdict};
use crate::logs::envelope::Envelope;
use crate::store::Settings;
use crate::store::settings::Keep;

use sightline_instrument::wire::field;

/// Smallest memory that the engine's writer takes.
const LEAST_MEMORY: usize = 15 << 20;
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
    dir: PathBuf,
    keep: Keep,
    /// Another process may be writing: nothing is moved or removed.
    looking: bool,
    /// Oldest first; the last is written.
    parts: RwLock<Vec<Arc<Part>>>,
    writing: Mutex<Writing>,
    /// Places in the order of arrival that are committed; tells live tails.
    commits: watch::Sender<u64>,
}

struct Writing {
    writer: Option<IndexWriter>,
    mark: Option<Mark>,
    order: u64,
    paths: KnownPaths,
}

/// Paths that have a column in the part being written.
struct KnownPaths {
    known: HashSet<String>,
    most: usize,
    told: bool,
    kind: Kind,
}

impl Paths for KnownPaths {
    fn admit(&mut self, path: &str) -> bool {
        if self.known.contains(path) {
            return true;
        }
        if self.known.len() >= self.most {
            if !self.told {
                self.told = true;
                happenings::fields_full(self.kind, self.most);
            }
            return false;
        }
        self.known.insert(path.to_owned());
        true
    }
}

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
            // A damaged file can make the engine panic as well as fail.
            let opened =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Part::open(&path, &fields.schema)));
            match opened {
                Ok(Ok(part)) => parts.push(Arc::new(part)),
                Ok(Err(error)) if looking => happenings::part_failed(kind, &path.to_string_lossy(), &error),
                Err(_) if looking => {
                    happenings::part_failed(kind, &path.to_string_lossy(), &"the engine panicked")
                }
                Ok(Err(error)) => set_aside(kind, &path, &error),
                Err(_) => set_aside(kind, &path, &"the engine panicked while it opened the part"),
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
            writing: Mutex::new(Writing {
                writer: None,
                mark,
                order: mark.map_or(0, |mark| mark.order),
                paths: KnownPaths { known: HashSet::new(), most: settings.max_fields, told: false, kind },
            }),
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

    /// Parts that were set aside and still lie on disk.
    pub(crate) fn damaged_parts(&self) -> usize {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("damaged-")).count()
    }

    fn report(&self) {
        let (records, bytes) = self.totals();
        happenings::size(self.kind, records, bytes, self.parts.read().len());
    }

    /// Indexes and commits: see [`super::EventStore::append`].
    pub(crate) fn append_batch(&self, batch: &[Entry]) -> Vec<Verdict> {
        let retry = |reason: &str, seconds: u64| {
            let after = Some(std::time::Duration::from_secs(seconds));
            vec![Verdict::Retry { after, reason: reason.to_owned() }; batch.len()]
        };
        if batch.is_empty() {
            return Vec::new();
        }
        if !self.has_room() {
            return retry("disk", 10);
        }
        let started = Instant::now();
        let mut writing = self.writing.lock();
        match self.write(&mut writing, batch) {
            Ok((verdicts, added)) => {
                happenings::committed(self.kind, added, started.elapsed().as_secs_f64());
                drop(writing);
                self.report();
                verdicts
            }
            Err(error) => {
                // What was added and not committed goes with the writer; the next try starts from the last commit,
                // which may be this one if it failed at its very end.
                writing.writer = None;
                if let Some(mark) = self.parts.read().last().and_then(|part| part.mark()) {
                    writing.mark = Some(mark);
                    writing.order = mark.order;
                }
                self.refresh();
                happenings::commit_failed(self.kind, batch.len() as u64, &error);
                retry("commit", 1)
            }
        }
    }

    fn write(&self, writing: &mut Writing, batch: &[Entry]) -> tantivy::Result<(Vec<Verdict>, u64)> {
        let now = (self.clock)();
        let part = self.current(writing, now)?;
        let high = writing.mark.map(|mark| mark.queue);
        let mut order = writing.order;
        let (mut verdicts, mut added, mut repeated) = (Vec::with_capacity(batch.len()), 0, 0);
        for entry in batch {
            let document = self.document(entry, now, order, &mut writing.paths);
            let (document, id) = match document {
                Ok(document) => document,
                Err(reason) => {
                    verdicts.push(Verdict::Reject { reason });
                    continue;
                }
            };
            verdicts.push(Verdict::Done);
            // The queue hands a record out again if the agent died between our commit and the queue's note of it.
            // A number that we have already passed is no proof, because the queue may have been replaced: look.
            if high.is_some_and(|high| entry.seq <= high) && self.has(&id) {
                repeated += 1;
                continue;
            }
            let writer = match &mut writing.writer {
                Some(writer) => writer,
                none => none.insert(self.writer(&part)?),
            };
            writer.add_document(document)?;
            order += 1;
            added += 1;
        }
        if repeated > 0 {
            happenings::repeated(self.kind, repeated);
        }
        if let Some(writer) = &mut writing.writer
            && added > 0
        {
            let mark = Mark { queue: passed(high, batch), order };
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&serde_json::to_string(&mark).unwrap_or_default());
            commit.commit()?;
            writing.mark = Some(mark);
            writing.order = order;
            part.refresh()?;
            self.commits.send_replace(order);
        }
        Ok((verdicts, added))
    }

    fn document(
        &self,
        entry: &Entry,
        now: i64,
        order: u64,
        paths: &mut dyn Paths,
    ) -> Result<(TantivyDocument, String), String> {
        let payload: &[u8] = &entry.payload;
        let (stream, id, source) = match self.kind {
            Kind::Logs => {
                let envelope = Envelope::decode(payload).ok_or("not an envelope")?;
                (envelope.stream.to_owned(), envelope.id.to_owned(), envelope.document)
            }
            Kind::Spans => {
                let id =
                    format!("{:016x}{:08x}", rapidhash::v3::rapidhash_v3(payload), crc32fast::hash(payload));
                (String::new(), id, payload)
            }
        };
        let value: Value = serde_json::from_slice(source).map_err(|error| format!("not JSON: {error}"))?;
        let Value::Object(object) = value else { return Err("not a JSON object".to_owned()) };
        let (at_ms, stream) = match self.kind {
            Kind::Logs => {
                (record::lookup(&object, field::TIMESTAMP).and_then(record::millis).unwrap_or(now), stream)
            }
            Kind::Spans => {
                let at =
                    object.get("timestamp").and_then(Value::as_i64).map_or(now, |us| us.div_euclid(1000));
                (at, format!("zipkin-span-{}", day_of(clamp(at))))
            }
        };
        let record = Record { id: &id, stream: &stream, at_ms: clamp(at_ms), object, source };
        Ok((record::document(&self.fields, self.kind, record, order, paths), id))
    }

    /// True if a record with this id is stored.
    fn has(&self, id: &str) -> bool {
        let term = Term::from_field_text(self.fields.id, id);
        self.parts.read().iter().rev().any(|part| {
            part.searcher().segment_readers().iter().any(|segment| {
                segment
                    .inverted_index(self.fields.id)
                    .and_then(|i| Ok(i.doc_freq(&term)?))
                    .is_ok_and(|n| n > 0)
            })
        })
    }

    /// The part to write into: today's, or a new one when the day or the size has turned.
    fn current(&self, writing: &mut Writing, now: i64) -> tantivy::Result<Arc<Part>> {
        let day = day_of(now);
        let last = self.parts.read().last().cloned();
        let number = match &last {
            // A clock that was set back must not write behind the newest part.
            Some(part) if part.day() >= day.as_str() => {
                if part.bytes() < self.settings.part_size.0 {
                    return Ok(Arc::clone(part));
                }
                part.name.split_once('.').and_then(|(_, n)| n.parse::<u32>().ok()).unwrap_or(0) + 1
            }
            _ => 0,
        };
        let day = last.as_ref().map_or(day.as_str(), |part| part.day().max(day.as_str())).to_owned();
        let part = Arc::new(Part::create(&self.dir.join(format!("{day}.{number:03}")), &self.fields.schema)?);
        if let Some(writer) = writing.writer.take() {
            // Merges that are still running belong to the closed part; nobody needs to wait for them.
            std::thread::spawn(move || writer.wait_merging_threads());
        }
        writing.paths.known.clear();
        writing.paths.told = false;
        self.parts.write().push(Arc::clone(&part));
        Ok(part)
    }

    /// True if a process has the newest part open for writing.
    pub(crate) fn in_use(&self) -> bool {
        self.parts.read().last().is_some_and(|part| {
            part.index.directory().acquire_lock(&tantivy::directory::INDEX_WRITER_LOCK).is_err()
        })
    }

    fn writer(&self, part: &Part) -> tantivy::Result<IndexWriter> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(self.settings.write_memory.as_usize().max(LEAST_MEMORY))
            .build();
        let writer = part.index.writer_with_options(options)?;
        let mut merging = LogMergePolicy::default();
        merging.set_max_docs_before_merge(2_000_000);
        writer.set_merge_policy(Box::new(merging));
        Ok(writer)
    }

    fn has_room(&self) -> bool {
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

    /// Sets a part aside that a search found damaged, if its checksums confirm it.
    pub(crate) fn examine(&self, part: &Arc<Part>) {
        if self.looking {
            return;
        }
        let damaged = part.damaged();
        if damaged.is_empty() {
            return;
        }
        let mut writing = self.writing.lock();
        let mut parts = self.parts.write();
        if !parts.iter().any(|other| Arc::ptr_eq(other, part)) {
            return;
        }
        if parts.last().is_some_and(|last| Arc::ptr_eq(last, part)) {
            writing.writer = None;
        }
        parts.retain(|other| !Arc::ptr_eq(other, part));
        set_aside(self.kind, &part.dir, &format!("{} files differ from their checksums", damaged.len()));
    }

    /// Makes merges that ended since the last commit visible, so that their inputs can be deleted.
    pub(crate) fn refresh(&self) {
        let last = self.parts.read().last().cloned();
        if let Some(Err(error)) = last.map(|part| part.refresh()) {
            tracing::warn!(lane = self.kind.name(), %error, "the newest part of the store could not be read anew");
        }
    }
}

/// The number up to which the queue's records have been taken, after a batch. Batches of one queue overtake each
/// other within the pump's window, so it never falls by a little; a fall by more is a new queue that begins again.
fn passed(high: Option<u64>, batch: &[Entry]) -> u64 {
    const WINDOW: u64 = 1_000_000;
    let last = batch.iter().map(|entry| entry.seq).max().unwrap_or(0);
    match high {
        Some(high) if last.saturating_add(WINDOW) >= high => last.max(high),
        _ => last,
    }
}

impl Dropped {
    fn add(&mut self, other: Dropped) {
        self.parts += other.parts;
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

/// Moves a part out of the way under a name that is never opened.
fn set_aside(kind: Kind, path: &Path, error: &dyn std::fmt::Display) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for number in 0..1000 {
        let aside = path.with_file_name(format!("damaged-{name}-{number}"));
        if !aside.exists() && std::fs::rename(path, &aside).is_ok() {
            happenings::set_aside(kind, &aside, error);
            return;
        }
    }
    happenings::set_aside(kind, path, error);
}
