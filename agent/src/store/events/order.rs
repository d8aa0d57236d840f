//! The best documents of a search by time or by a number, under a key in which larger is better.

use tantivy::collector::TopDocs;
use tantivy::query::Query;
use tantivy::{DocAddress, Searcher, SegmentReader};

use sightline_instrument::wire::field;

use super::schema::ORDER;
use super::search::Sort;

/// A hit's address before its document is fetched.
pub(super) type Key = (i64, i64, u64);

/// The `limit` best documents by a key in which larger is better.
pub(super) fn top(
    searcher: &Searcher,
    query: &dyn Query,
    sort: &Sort,
    limit: usize,
) -> tantivy::Result<Vec<(Key, DocAddress)>> {
    let limit = limit.min(usize::try_from(searcher.num_docs()).unwrap_or(usize::MAX)).max(1);
    match sort.clone() {
        Sort::Time { descending } => searcher.search(
            query,
            &TopDocs::with_limit(limit).order_by(move |segment: &SegmentReader| {
                let times = segment
                    .fast_fields()
                    .date(field::TIMESTAMP)
                    .map(|c| c.first_or_default_col(tantivy::DateTime::from_timestamp_millis(0)));
                let orders = segment.fast_fields().u64(ORDER).map(|c| c.first_or_default_col(0));
                move |doc| {
                    let time = times.as_ref().map_or(0, |c| c.get_val(doc).into_timestamp_millis());
                    let order = orders.as_ref().map_or(0, |c| c.get_val(doc));
                    if descending { (time, 0, order) } else { (-time, 0, u64::MAX - order) }
                }
            }),
        ),
        Sort::Number { column, descending } => searcher.search(
            query,
            &TopDocs::with_limit(limit).order_by(move |segment: &SegmentReader| {
                let values = segment.fast_fields().u64_lenient_for_type(
                    Some(&[
                        tantivy::columnar::ColumnType::I64,
                        tantivy::columnar::ColumnType::U64,
                        tantivy::columnar::ColumnType::F64,
                    ]),
                    &column,
                );
                let values = values.ok().flatten();
                let orders = segment.fast_fields().u64(ORDER).map(|c| c.first_or_default_col(0));
                move |doc| {
                    let value =
                        values.as_ref().and_then(|(column, kind)| Some(as_f64(column.first(doc)?, *kind)));
                    let order = orders.as_ref().map_or(0, |c| c.get_val(doc));
                    (to_key(value, descending), 0, order)
                }
            }),
        ),
    }
}

fn as_f64(raw: u64, kind: tantivy::columnar::ColumnType) -> f64 {
    match kind {
        tantivy::columnar::ColumnType::I64 => tantivy::u64_to_i64(raw) as f64,
        tantivy::columnar::ColumnType::F64 => tantivy::u64_to_f64(raw),
        _ => raw as f64,
    }
}

/// An order-preserving whole number for a value; none is the smallest.
fn to_key(value: Option<f64>, descending: bool) -> i64 {
    let Some(value) = value else { return i64::MIN };
    let key = (tantivy::f64_to_u64(if descending { value } else { -value }) ^ (1 << 63)) as i64;
    key.max(i64::MIN + 1)
}

pub(super) fn from_key(key: i64, descending: bool) -> Option<f64> {
    if key == i64::MIN {
        return None;
    }
    let value = tantivy::u64_to_f64(key as u64 ^ (1 << 63));
    Some(if descending { value } else { -value })
}

#[cfg(test)]
mod tests {
    use super::{from_key, to_key};

    #[test]
    fn keys_keep_the_order_of_numbers_in_both_directions() {
        let values = [-1e300, -1.5, -0.0, 0.0, 1.0, 2.5, 1e300];
        for pair in values.windows(2) {
            assert!(to_key(Some(pair[0]), true) <= to_key(Some(pair[1]), true), "{pair:?}");
            assert!(to_key(Some(pair[0]), false) >= to_key(Some(pair[1]), false), "{pair:?}");
        }
        assert!(to_key(None, true) < to_key(Some(f64::MIN), true));
        assert!(to_key(None, false) < to_key(Some(f64::MAX), false));
        assert_eq!(from_key(to_key(Some(2.5), false), false), Some(2.5));
    }
}
