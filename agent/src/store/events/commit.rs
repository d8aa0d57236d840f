//! Batches of the queue into the newest part: each commit makes them durable and says how far the queue has got.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::schema::TantivyDocument;
use tantivy::{Directory, IndexWriter, Term};

use sightline_instrument::wire::field;

use super::lane::{Lane, clamp};
use super::part::{Mark, Part, day_of};
use super::record::{self, Paths, Record};
use super::schema::Kind;
use super::{happenings, mapped};
use crate::export::{Entry, Verdict};
use crate::logs::envelope::Envelope;

/// Smallest memory that the engine's writer takes.
const LEAST_MEMORY: usize = 15 << 20;
/// Parts in which a record that is sent again is looked for: the one being written and, across midnight, the one before.
const NEWEST: usize = 2;

/// What is being written.
pub(super) struct Writing {
    pub(super) writer: Option<IndexWriter>,
    mark: Option<Mark>,
    order: u64,
    paths: KnownPaths,
}

impl Writing {
    /// Goes on after the last commit.
    pub(super) fn after(mark: Option<Mark>, kind: Kind, most_fields: usize) -> Self {
        Writing {
            writer: None,
            mark,
            order: mark.map_or(0, |mark| mark.order),
            paths: KnownPaths { known: HashSet::new(), most: most_fields, told: false, kind },
        }
    }
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

impl Lane {
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
                mapped::relieve();
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
        let mut fresh = HashSet::new();
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
            let handed_out_again = high.is_some_and(|high| entry.seq <= high) && self.has(&id, usize::MAX);
            if handed_out_again || (self.may_be_sent_again(entry) && self.was_sent(&id, &mut fresh)) {
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

    /// Whether a sender that missed our answer repeats this record under the same id. A span's id is made of the span.
    fn may_be_sent_again(&self, entry: &Entry) -> bool {
        self.kind == Kind::Spans || Envelope::has_senders_id(&entry.payload)
    }

    /// True if a record with this id is in this batch (`fresh` are those looked up so far) or in the newest parts.
    /// Whoever repeats does so soon, so the cost does not grow with what is kept; Elasticsearch, too, knows only the
    /// ids of the index that is being written.
    fn was_sent(&self, id: &str, fresh: &mut HashSet<String>) -> bool {
        !fresh.insert(id.to_owned()) || self.has(id, NEWEST)
    }

    /// True if a record with this id is stored in one of the newest parts.
    fn has(&self, id: &str, parts: usize) -> bool {
        let term = Term::from_field_text(self.fields.id, id);
        self.parts.read().iter().rev().take(parts).any(|part| {
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
        // Two commits a second of a few records each must not merge thousands of old records every time.
        merging.set_min_layer_size(500);
        writer.set_merge_policy(Box::new(merging));
        Ok(writer)
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
