//! A query within a range of time, which leaves out the segments that lie wholly outside before it opens anything of them.

use std::ops::Bound;

use tantivy::query::{
    BooleanQuery, EmptyScorer, EnableScoring, Explanation, Query, RangeQuery, Scorer, Weight,
};
use tantivy::schema::Field;
use tantivy::{DateTime, DocId, Score, SegmentReader, Term};

use sightline_instrument::wire::field;

use super::lane::clamp;

/// Milliseconds: the first that counts, and the first that does not.
type Range = (Option<i64>, Option<i64>);

/// `query` between two moments.
pub(crate) fn within(query: Box<dyn Query>, timestamp: Field, (from, to): Range) -> Box<dyn Query> {
    if from.is_none() && to.is_none() {
        return query;
    }
    let term = |ms| Term::from_field_date(timestamp, DateTime::from_timestamp_millis(clamp(ms)));
    let range = RangeQuery::new(
        from.map_or(Bound::Unbounded, |ms| Bound::Included(term(ms))),
        to.map_or(Bound::Unbounded, |ms| Bound::Excluded(term(ms))),
    );
    let inner = BooleanQuery::intersection(vec![Box::new(range), query]);
    Box::new(Within { inner: Box::new(inner), range: (from, to) })
}

#[derive(Debug)]
struct Within {
    inner: Box<dyn Query>,
    range: Range,
}

impl Clone for Within {
    fn clone(&self) -> Self {
        Within { inner: self.inner.box_clone(), range: self.range }
    }
}

impl Query for Within {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(WithinWeight { inner: self.inner.weight(scoring)?, range: self.range }))
    }
}

struct WithinWeight {
    inner: Box<dyn Weight>,
    range: Range,
}

impl Weight for WithinWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let times = reader.fast_fields().date(field::TIMESTAMP)?;
        let (first, last) =
            (times.min_value().into_timestamp_millis(), times.max_value().into_timestamp_millis());
        let (from, to) = self.range;
        if from.is_some_and(|from| last < from) || to.is_some_and(|to| first >= to) {
            return Ok(Box::new(EmptyScorer));
        }
        self.inner.scorer(reader, boost)
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.inner.explain(reader, doc)
    }
}
