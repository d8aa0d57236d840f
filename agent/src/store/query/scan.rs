//! Queries that look at values one by one: wildcards and regular expressions over the dictionary of a field. They stop
//! when the search's time is up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{BitSet, DocId, DocSet, Score, SegmentReader, TantivyError};

use crate::store::events::words::MARK;

/// Time that a search may take. Scans look at it now and then and end early.
#[derive(Debug, Default)]
pub struct Budget {
    until: Option<Instant>,
    spent: AtomicBool,
    reads_records: AtomicBool,
}

impl Budget {
    /// Ends at `until`; never without one.
    pub fn until(until: Option<Instant>) -> Arc<Self> {
        Arc::new(Budget { until, ..Budget::default() })
    }

    /// True if a scan ended early, so that the result is not complete.
    pub fn spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// True if the query looks at stored records one by one, so that whoever wants few should not ask for all.
    pub fn reads_records(&self) -> bool {
        self.reads_records.load(Ordering::Relaxed)
    }

    /// Says that it does.
    pub(crate) fn will_read_records(&self) {
        self.reads_records.store(true, Ordering::Relaxed);
    }

    /// Looks at the clock.
    pub(crate) fn over(&self) -> bool {
        if self.spent() {
            return true;
        }
        let over = self.until.is_some_and(|until| Instant::now() >= until);
        if over {
            self.spent.store(true, Ordering::Relaxed);
        }
        over
    }
}

/// Decides about one value.
pub(crate) type Matcher = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Every document that has a term with this prefix for which the matcher says yes.
#[derive(Clone)]
pub(crate) struct TermScan {
    field: Field,
    prefix: Vec<u8>,
    literal: String,
    matcher: Matcher,
    budget: Arc<Budget>,
}

impl TermScan {
    /// `prefix` is what the dictionary puts before each value (a JSON path and type, or nothing); `literal` is how
    /// each match begins.
    pub(crate) fn new(
        field: Field,
        prefix: Vec<u8>,
        literal: String,
        matcher: Matcher,
        budget: Arc<Budget>,
    ) -> Self {
        TermScan { field, prefix, literal, matcher, budget }
    }
}

impl fmt::Debug for TermScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TermScan")
            .field("field", &self.field)
            .field("literal", &self.literal)
            .finish_non_exhaustive()
    }
}

impl Query for TermScan {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for TermScan {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let index = reader.inverted_index(self.field)?;
        let mut start = self.prefix.clone();
        start.extend_from_slice(self.literal.as_bytes());
        let mut range = index.terms().range().ge(&start);
        if let Some(end) = after(&start) {
            range = range.lt(end);
        }
        let mut terms = range.into_stream()?;
        let mut found = BitSet::with_max_value(reader.max_doc());
        let mut seen = 0_u32;
        while terms.advance() {
            seen += 1;
            if seen.is_multiple_of(1024) && self.budget.over() {
                break;
            }
            let value = &terms.key()[self.prefix.len()..];
            if value.first() == Some(&(MARK as u8)) && self.prefix.is_empty() {
                continue; // no word, but what expressions need to know of words
            }
            if !std::str::from_utf8(value).is_ok_and(|value| (self.matcher)(value)) {
                continue;
            }
            let mut postings =
                index.read_block_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
            while !postings.docs().is_empty() {
                for &doc in postings.docs() {
                    found.insert(doc);
                }
                postings.advance();
            }
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(found), boost)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.scorer(reader, 1.0)?;
        if scorer.seek(doc) == doc {
            return Ok(Explanation::new("TermScan", 1.0));
        }
        Err(TantivyError::InvalidArgument("document does not match".to_owned()))
    }
}

/// The first key after all that begin with `prefix`.
pub(super) fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}
