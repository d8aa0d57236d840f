//! Finding, counting and aggregating over the parts of a lane, newest part first.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use std::ops::Bound;
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::intermediate_agg_result::IntermediateAggregationResults;
use tantivy::aggregation::{AggContextParams, AggregationLimitsGuard, DistributedAggregationCollector};
use tantivy::collector::Count;
use tantivy::query::{BooleanQuery, Query, RangeQuery};
use tantivy::schema::{TantivyDocument, Value};
use tantivy::{DocAddress, Searcher, Term};

use sightline_instrument::wire::field;

use super::lane::{Lane, clamp};
use super::order::{Key, from_key, top};
use super::part::Part;
use super::schema::ORDER;
use super::within::within;
use super::{happenings, mapped};
use crate::store::query::compile::Scope;
use crate::store::query::scan::Budget;
use crate::store::query::{Node, QueryError};

/// Bytes that aggregations of one search may take.
const AGGREGATION_MEMORY: u64 = 64 << 20;
/// Buckets that one search may return, as with Elasticsearch.
const MOST_BUCKETS: u32 = 65_535;

/// Which records: a query within a range of time.
pub struct Selection {
    /// Compiled against the lane.
    pub query: Box<dyn Query>,
    /// First millisecond.
    pub from_ms: Option<i64>,
    /// First millisecond after.
    pub to_ms: Option<i64>,
    /// Ends scans; says afterwards whether one was ended.
    pub budget: Arc<Budget>,
}

impl Clone for Selection {
    fn clone(&self) -> Self {
        Selection { query: self.query.box_clone(), budget: Arc::clone(&self.budget), ..*self }
    }
}

/// By what hits are ordered. Equal ones are in order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sort {
    /// Newest first, or oldest first.
    Time { descending: bool },
    /// By a numeric column; records without a value come last.
    Number { column: String, descending: bool },
}

/// What to find.
pub struct Search {
    /// Which records.
    pub selection: Selection,
    /// Hits to return.
    pub limit: usize,
    /// Hits to skip.
    pub offset: usize,
    /// Their order.
    pub sort: Sort,
    /// Continue after the hit with this time and place in the order of arrival. Only with [`Sort::Time`].
    pub after: Option<(i64, Option<u64>)>,
}

/// One record found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Fixed id.
    pub id: String,
    /// Data stream.
    pub stream: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Place in the order of arrival.
    pub order: u64,
    /// The value that it was sorted by, if that was a column.
    pub sorted_by: Option<f64>,
    /// The record.
    pub source: Vec<u8>,
}

/// A search's answer, and whether all parts took part in it.
#[derive(Debug, Clone, Default)]
pub struct Found<T> {
    /// What was found.
    pub value: T,
    /// Parts that could not be searched.
    pub failed: usize,
    /// Parts looked at.
    pub searched: usize,
}

/// Why nothing was searched.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The query cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The request asks for something that is not supported or does not exist.
    #[error("{0}")]
    Request(String),
}

impl Lane {
    /// A time-boxed selection of what `node` says between two moments.
    ///
    /// # Errors
    /// A part of the query that cannot be read.
    pub fn select(
        &self,
        node: &Node,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
    ) -> Result<Selection, SearchError> {
        self.select_with(from_ms, to_ms, |scope| Ok(scope.compile(node)?))
    }

    /// The same for a query that the caller compiles.
    ///
    /// # Errors
    /// Those of `compile`.
    pub fn select_with(
        &self,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
        compile: impl FnOnce(&Scope<'_>) -> Result<Box<dyn Query>, SearchError>,
    ) -> Result<Selection, SearchError> {
        let budget = Budget::until(Instant::now().checked_add(self.settings.search_timeout.0));
        let scope = Scope { fields: &self.fields, kind: self.kind, now_ms: (self.clock)(), budget: &budget };
        let query = compile(&scope)?;
        Ok(Selection { query, from_ms, to_ms, budget })
    }

    /// The parts that can hold records of the selection, oldest first.
    fn candidates(&self, selection: &Selection) -> Vec<(Arc<Part>, i64, i64)> {
        self.parts()
            .into_iter()
            .filter_map(|part| {
                let (first, last) = part.span()?;
                let inside = selection.from_ms.is_none_or(|from| last >= from)
                    && selection.to_ms.is_none_or(|to| first < to);
                inside.then_some((part, first, last))
            })
            .collect()
    }

    /// The selection's query for a part: without the range of time if the part lies within it.
    fn query_for(&self, selection: &Selection, first: i64, last: i64) -> Box<dyn Query> {
        let from = selection.from_ms.filter(|from| first < *from);
        let to = selection.to_ms.filter(|to| last >= *to);
        within(selection.query.box_clone(), self.fields.timestamp, (from, to))
    }

    /// Runs `work` over one part. A part that fails or panics is examined, and the others go on.
    fn guarded<T>(&self, part: &Arc<Part>, work: impl FnOnce(&Searcher) -> tantivy::Result<T>) -> Option<T> {
        let searcher = part.searcher();
        let problem = match catch_unwind(AssertUnwindSafe(|| work(&searcher))) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the engine panicked".to_owned(),
        };
        happenings::part_failed(self.kind, &part.name, &problem);
        self.examine(part);
        None
    }

    pub(crate) fn search_parts(&self, search: &Search) -> Found<Vec<Hit>> {
        let started = Instant::now();
        let wanted = search.offset.saturating_add(search.limit);
        let mut found = Found::default();
        if search.limit == 0 {
            return found;
        }
        let mut parts = self.candidates(&search.selection);
        match &search.sort {
            Sort::Time { descending: true } => parts.sort_by_key(|(_, _, last)| std::cmp::Reverse(*last)),
            Sort::Time { descending: false } => parts.sort_by_key(|(_, first, _)| *first),
            Sort::Number { .. } => {}
        }
        let mut best: Vec<(Key, usize, DocAddress)> = Vec::new();
        for (number, (part, first, last)) in parts.iter().enumerate() {
            // Parts are in order: once the worst hit beats all that is left, the rest need not be opened.
            if best.len() >= wanted && matches!(search.sort, Sort::Time { .. }) {
                let worst = best[wanted - 1].0.0;
                let possible =
                    if matches!(search.sort, Sort::Time { descending: true }) { *last } else { -*first };
                if worst > possible {
                    break;
                }
            }
            found.searched += 1;
            let query = self.query_for(&search.selection, *first, *last);
            let query = self.continued(query, search);
            let slow = search.selection.budget.reads_records();
            let found_here = self.guarded(part, |searcher| match search.sort {
                Sort::Time { descending } if slow => {
                    self.stepwise(searcher, &*query, (descending, wanted), (*first, *last))
                }
                _ => top(searcher, &*query, &search.sort, wanted),
            });
            match found_here {
                Some(hits) => best.extend(hits.into_iter().map(|(key, address)| (key, number, address))),
                None => found.failed += 1,
            }
            best.sort_by_key(|one| std::cmp::Reverse(one.0));
            best.truncate(wanted);
        }
        for (key, number, address) in best.into_iter().skip(search.offset) {
            let hit =
                self.guarded(&parts[number].0, |searcher| self.fetch(searcher, address, key, &search.sort));
            match hit {
                Some(hit) => found.value.push(hit),
                None => found.failed += 1,
            }
        }
        mapped::relieve();
        happenings::searched(self.kind, started.elapsed().as_secs_f64());
        found
    }

    /// The same as [`top`] by time, for a query that reads record by record: looks at ever longer spans from the end
    /// that is wanted until there are enough.
    fn stepwise(
        &self,
        searcher: &Searcher,
        query: &dyn Query,
        (descending, wanted): (bool, usize),
        (first, last): (i64, i64),
    ) -> tantivy::Result<Vec<(Key, DocAddress)>> {
        let mut hits = Vec::new();
        let whole = last - first + 1;
        let (mut done, mut span) = (0, (whole / 64).max(1000));
        while done < whole && hits.len() < wanted {
            let end = (done + span).min(whole);
            let (from, to) =
                if descending { (last + 1 - end, last + 1 - done) } else { (first + done, first + end) };
            let slice = within(query.box_clone(), self.fields.timestamp, (Some(from), Some(to)));
            hits.extend(top(searcher, &*slice, &Sort::Time { descending }, wanted - hits.len())?);
            (done, span) = (end, span * 4);
        }
        Ok(hits)
    }

    /// Narrows a query to what comes after the last hit of the page before.
    fn continued(&self, query: Box<dyn Query>, search: &Search) -> Box<dyn Query> {
        let (Some((at, order)), Sort::Time { descending }) = (search.after, &search.sort) else {
            return query;
        };
        let time = |ms| {
            Term::from_field_date(self.fields.timestamp, tantivy::DateTime::from_timestamp_millis(clamp(ms)))
        };
        let past = |bound: Term| -> Box<dyn Query> {
            Box::new(if *descending {
                RangeQuery::new(Bound::Unbounded, Bound::Excluded(bound))
            } else {
                RangeQuery::new(Bound::Excluded(bound), Bound::Unbounded)
            })
        };
        let mut either = vec![past(time(at))];
        if let Some(order) = order {
            let same = RangeQuery::new(Bound::Included(time(at)), Bound::Included(time(at)));
            let place = past(Term::from_field_u64(self.fields.order, order));
            either.push(Box::new(BooleanQuery::intersection(vec![Box::new(same), place])));
        }
        Box::new(BooleanQuery::intersection(vec![query, Box::new(BooleanQuery::union(either))]))
    }

    fn fetch(&self, searcher: &Searcher, address: DocAddress, key: Key, sort: &Sort) -> tantivy::Result<Hit> {
        let document: TantivyDocument = searcher.doc(address)?;
        let text = |f| document.get_first(f).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        let columns = searcher.segment_reader(address.segment_ord).fast_fields();
        let at_ms =
            columns.date(field::TIMESTAMP)?.first(address.doc_id).map_or(0, |t| t.into_timestamp_millis());
        let order = columns.u64(ORDER)?.first(address.doc_id).unwrap_or(0);
        Ok(Hit {
            id: text(self.fields.id),
            stream: text(self.fields.stream),
            at_ms,
            order,
            sorted_by: match sort {
                Sort::Time { .. } => None,
                Sort::Number { descending, .. } => from_key(key.0, *descending),
            },
            source: document
                .get_first(self.fields.source)
                .and_then(|v| v.as_bytes().map(<[u8]>::to_vec))
                .unwrap_or_default(),
        })
    }

    pub(crate) fn count_parts(&self, selection: &Selection) -> Found<u64> {
        let mut found = Found::default();
        for (part, first, last) in self.candidates(selection) {
            found.searched += 1;
            let query = self.query_for(selection, first, last);
            match self.guarded(&part, |searcher| searcher.search(&*query, &Count)) {
                Some(count) => found.value += count as u64,
                None => found.failed += 1,
            }
        }
        mapped::relieve();
        found
    }

    pub(crate) fn aggregate_parts(
        &self,
        selection: &Selection,
        request: &Aggregations,
    ) -> Result<Found<serde_json::Value>, SearchError> {
        let limits = AggregationLimitsGuard::new(Some(AGGREGATION_MEMORY), Some(MOST_BUCKETS));
        let mut merged: Option<IntermediateAggregationResults> = None;
        let mut found = Found::default();
        let refused = |error: tantivy::TantivyError| SearchError::Request(error.to_string());
        for (part, first, last) in self.candidates(selection) {
            found.searched += 1;
            let query = self.query_for(selection, first, last);
            let context = AggContextParams::new(limits.clone(), part.index.tokenizers().clone());
            let collector = DistributedAggregationCollector::from_aggs(request.clone(), context);
            let searcher = part.searcher();
            match catch_unwind(AssertUnwindSafe(|| searcher.search(&*query, &collector))) {
                Ok(Ok(result)) => match &mut merged {
                    Some(merged) => merged.merge_fruits(result).map_err(refused)?,
                    none => *none = Some(result),
                },
                // A request that asks for too much or for the impossible is refused; it is no damage.
                Ok(Err(
                    error @ (tantivy::TantivyError::AggregationError(_)
                    | tantivy::TantivyError::InvalidArgument(_)
                    | tantivy::TantivyError::SchemaError(_)
                    | tantivy::TantivyError::FieldNotFound(_)),
                )) => return Err(refused(error)),
                Ok(Err(error)) => {
                    found.failed += 1;
                    happenings::part_failed(self.kind, &part.name, &error);
                    self.examine(&part);
                }
                Err(_) => {
                    found.failed += 1;
                    happenings::part_failed(self.kind, &part.name, &"the engine panicked");
                    self.examine(&part);
                }
            }
        }
        mapped::relieve();
        // Without any part the result names no aggregation; callers know what they asked for.
        let merged = merged.unwrap_or_default();
        let result = merged.into_final_result(request.clone(), limits).map_err(refused)?;
        found.value =
            serde_json::to_value(result).map_err(|error| SearchError::Request(error.to_string()))?;
        Ok(found)
    }
}
