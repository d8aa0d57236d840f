//! A histogram's exponential buckets as remote write 2.0 carries them: runs of buckets, counts as steps.

use super::proto::v2::{BucketSpan, Count, Histogram, ZeroCount};
use crate::metrics::histogram::{self, ZERO_THRESHOLD};
use crate::metrics::sparse::Sparse;

/// The native buckets, if the histogram keeps any. Weights are rounded bucket by bucket, so that no bucket ever falls
/// and the total is their sum.
pub(super) fn convert(histogram: &histogram::Histogram) -> Option<Histogram> {
    let native = histogram.native()?;
    let (positive_spans, positive_deltas, above) = runs(&native.positive);
    let (negative_spans, negative_deltas, below) = runs(&native.negative);
    let zero = native.zero.round() as u64;
    Some(Histogram {
        count: Some(Count::CountInt(above + below + zero)),
        sum: histogram.sum(),
        schema: i32::from(native.positive.schema),
        zero_threshold: ZERO_THRESHOLD,
        zero_count: Some(ZeroCount::ZeroCountInt(zero)),
        negative_spans,
        negative_deltas,
        positive_spans,
        positive_deltas,
        ..Histogram::default()
    })
}

/// Runs of buckets, their counts as steps, and all counts together.
fn runs(buckets: &Sparse) -> (Vec<BucketSpan>, Vec<i64>, u64) {
    let (mut spans, mut deltas, mut total) = (Vec::<BucketSpan>::new(), Vec::new(), 0);
    let mut next = 0;
    let mut before = 0;
    for (key, weight) in buckets.iter() {
        let count = weight.round() as i64;
        if count == 0 {
            continue;
        }
        match spans.last_mut() {
            Some(span) if key == next => span.length += 1,
            // The first run counts from bucket 0, the others from the end of the one before.
            _ => spans.push(BucketSpan { offset: key - next, length: 1 }),
        }
        next = key + 1;
        deltas.push(count - before);
        before = count;
        total += count as u64;
    }
    (spans, deltas, total)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{BucketSpan, Count, ZeroCount, convert};
    use crate::metrics::histogram::Histogram;
    use crate::metrics::naming::HistogramOptions;

    #[test]
    fn runs_start_where_the_buckets_are() {
        let options = HistogramOptions { native_factor: 2.0, ..HistogramOptions::default() };
        let mut h = Histogram::new(Arc::new(options));
        // Schema 0: bucket i holds what is above 2^(i-1) and up to 2^i.
        for (value, weight) in [(1.0, 3.0), (1.5, 1.0), (16.0, 2.0), (0.0, 4.0), (-3.0, 1.0)] {
            h.observe(value, weight);
        }
        let native = convert(&h).unwrap();
        assert_eq!(native.schema, 0);
        let span = |offset, length| BucketSpan { offset, length };
        assert_eq!(native.positive_spans, [span(0, 2), span(2, 1)]);
        assert_eq!(native.positive_deltas, [3, -2, 1]);
        assert_eq!((native.negative_spans, native.negative_deltas), (vec![span(2, 1)], vec![1]));
        assert_eq!(native.count, Some(Count::CountInt(11)));
        assert_eq!(native.zero_count, Some(ZeroCount::ZeroCountInt(4)));
    }

    #[test]
    fn what_rounds_to_nothing_is_no_bucket() {
        let options = HistogramOptions { native_factor: 2.0, ..HistogramOptions::default() };
        let mut h = Histogram::new(Arc::new(options));
        h.observe(1.0, 0.2);
        h.observe(4.0, 1.6);
        let native = convert(&h).unwrap();
        assert_eq!(native.positive_spans, [BucketSpan { offset: 2, length: 1 }]);
        assert_eq!((native.positive_deltas, native.count), (vec![2], Some(Count::CountInt(2))));
    }

    #[test]
    fn a_histogram_without_native_buckets_has_none() {
        let options = HistogramOptions { native_factor: 0.0, ..HistogramOptions::default() };
        assert_eq!(convert(&Histogram::new(Arc::new(options))), None);
    }
}
