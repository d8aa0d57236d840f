//! Logs and spans on disk, searchable: the engine under the embedded default.
//!
//! The rest of the agent sees two exporters and [`EventStore`], whose five methods are all that another engine would
//! have to offer.

mod commit;
mod damage;
mod disk;
mod happenings;
mod keep;
mod lane;
mod mapped;
mod order;
mod part;
pub(crate) mod record;
pub(crate) mod schema;
pub mod search;
mod within;
pub(crate) mod words;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tantivy::aggregation::agg_req::Aggregations;

pub(crate) use disk::free as free_disk;
pub use keep::Dropped;
pub use lane::{Lane, PartStats};
pub use schema::Kind;
pub use search::{Found, Hit, Search, SearchError, Selection, Sort};

use crate::export::{Entry, Exporter, Verdict};
use crate::store::Settings;
use lane::{Clock, wall_clock};
use writer::Writer;

/// What an engine for events has to do.
pub trait EventStore: Send + Sync {
    /// Takes records of the queue and returns one verdict for each. [`Verdict::Done`] means that a crash cannot lose
    /// it any more, and that it will not be doubled when it comes again.
    fn append(&self, batch: &[Entry]) -> Vec<Verdict>;

    /// Finds records.
    fn search(&self, search: &Search) -> Found<Vec<Hit>>;

    /// Counts records, exactly.
    fn count(&self, selection: &Selection) -> Found<u64>;

    /// Buckets over time and terms, in the form of Elasticsearch's aggregations.
    ///
    /// # Errors
    /// A field or an option that cannot be aggregated over, or too many buckets.
    fn histogram(
        &self,
        selection: &Selection,
        request: &Aggregations,
    ) -> Result<Found<serde_json::Value>, SearchError>;

    /// Drops all days that end before a moment.
    fn drop_before(&self, before_ms: i64) -> Dropped;
}

impl EventStore for Lane {
    fn append(&self, batch: &[Entry]) -> Vec<Verdict> {
        self.append_batch(batch)
    }

    fn search(&self, search: &Search) -> Found<Vec<Hit>> {
        self.search_parts(search)
    }

    fn count(&self, selection: &Selection) -> Found<u64> {
        self.count_parts(selection)
    }

    fn histogram(
        &self,
        selection: &Selection,
        request: &Aggregations,
    ) -> Result<Found<serde_json::Value>, SearchError> {
        self.aggregate_parts(selection, request)
    }

    fn drop_before(&self, before_ms: i64) -> Dropped {
        self.drop_days(before_ms, "asked")
    }
}

/// The store of logs and spans.
pub struct Events {
    /// Logs.
    pub logs: Arc<Lane>,
    /// Spans.
    pub spans: Arc<Lane>,
    log_writer: Writer,
    span_writer: Writer,
}

impl Events {
    /// Opens the store below `dir`. Parts that cannot be read are set aside, so it opens after any damage.
    ///
    /// # Errors
    /// A folder that cannot be made or read, or no thread to be had.
    pub fn open(dir: &Path, settings: &Settings) -> std::io::Result<Arc<Self>> {
        Self::open_at(dir, settings, wall_clock())
    }

    /// The same with a clock of the caller's: milliseconds since 1970.
    ///
    /// # Errors
    /// As [`Events::open`].
    pub fn open_at(dir: &Path, settings: &Settings, clock: Clock) -> std::io::Result<Arc<Self>> {
        mapped::bound(settings.mapped_memory.0);
        let logs = Arc::new(Lane::open(dir, Kind::Logs, settings, Arc::clone(&clock))?);
        let spans = Arc::new(Lane::open(dir, Kind::Spans, settings, clock)?);
        let log_writer = Writer::start(Arc::clone(&logs))?;
        let span_writer = Writer::start(Arc::clone(&spans))?;
        Ok(Arc::new(Events { logs, spans, log_writer, span_writer }))
    }

    /// The lane of a kind.
    pub fn lane(&self, kind: Kind) -> &Arc<Lane> {
        match kind {
            Kind::Logs => &self.logs,
            Kind::Spans => &self.spans,
        }
    }
}

/// Puts queued log records into the store.
pub struct LogExporter(pub Arc<Events>);

/// Puts queued spans into the store.
pub struct SpanExporter(pub Arc<Events>);

impl Exporter for LogExporter {
    fn name(&self) -> &'static str {
        "embedded"
    }

    async fn export(&self, batch: &[Entry]) -> Vec<Verdict> {
        self.0.log_writer.append(batch).await
    }
}

impl Exporter for SpanExporter {
    fn name(&self) -> &'static str {
        "embedded"
    }

    async fn export(&self, batch: &[Entry]) -> Vec<Verdict> {
        self.0.span_writer.append(batch).await
    }
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod expressions;
#[cfg(test)]
mod repeats;
#[cfg(test)]
mod tests;
