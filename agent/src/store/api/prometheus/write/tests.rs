//! Remote write as senders speak it, the honest and the hostile.
use super::*;
use crate::export::remote_write::proto::v1::{self, Label, TimeSeries, WriteRequest};
use crate::export::remote_write::proto::v2::{BucketSpan, Count, Histogram, ZeroCount};
use crate::store::metrics::Settings;
use crate::store::metrics::matcher::Matcher;
use crate::store::promql::histogram::{CUSTOM, Hint};
use crate::store::promql::{Hints, Sample, Samples, Source, is_stale, stale};
use prost::Message;
use std::sync::Arc;

const T0: i64 = 1_700_006_400_000;

fn series(name: &str, samples: &[(i64, f64)], histograms: Vec<Histogram>) -> TimeSeries {
    let label = |n: &str, v: &str| Label { name: n.into(), value: v.into() };
    TimeSeries {
        labels: vec![label("__name__", name), label("job", "j")],
        samples: samples
            .iter()
            .map(|(timestamp, value)| v1::Sample { value: *value, timestamp: *timestamp })
            .collect(),
        histograms,
        exemplars: Vec::new(),
    }
}

fn histogram(timestamp: i64) -> Histogram {
    Histogram {
        count: Some(Count::CountInt(7)),
        sum: 2.5,
        schema: 0,
        zero_threshold: 0.001,
        zero_count: Some(ZeroCount::ZeroCountInt(1)),
        positive_spans: vec![BucketSpan { offset: 1, length: 2 }, BucketSpan { offset: 1, length: 1 }],
        positive_deltas: vec![1, 1, -1],
        negative_spans: vec![BucketSpan { offset: -2, length: 1 }],
        negative_deltas: vec![2],
        timestamp,
        ..Histogram::default()
    }
}

fn store() -> (tempfile::TempDir, Arc<Store>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &Settings::default()).unwrap();
    (dir, store)
}

fn send(store: &Store, list: Vec<TimeSeries>) -> Outcome {
    take(store, Version::One, &WriteRequest { timeseries: list, metadata: Vec::new() }.encode_to_vec(), T0)
}

fn stored(store: &Store, name: &str) -> Samples {
    let mut out = Samples::default();
    let found = store.find(&[Matcher::equal("__name__", name)], 0, i64::MAX).unwrap();
    if let Some(found) = found.first() {
        store.read(found.id, 0, i64::MAX, Hints::default(), &mut out).unwrap();
    }
    out
}

#[test]
fn numbers_and_histograms_are_taken_and_survive_a_restart() {
    let (dir, store) = store();
    let ended = Histogram { sum: stale(), timestamp: T0 + 20, ..Histogram::default() };
    let list = vec![
        series("h", &[], vec![histogram(T0), histogram(T0 + 10), ended]),
        series("f", &[(T0, 1.5), (T0 + 1, 2.5)], Vec::new()),
    ];
    let out = send(&store, list);
    assert_eq!((out.floats, out.histograms, out.refused), (3, 2, 0), "{:?}", out.told);
    // Sent again because the answer was lost: no error, nothing doubled.
    let out = send(&store, vec![series("f", &[(T0 + 1, 2.5)], Vec::new())]);
    assert_eq!((out.floats, out.refused), (0, 0), "{:?}", out.told);
    drop(store);
    let store = Store::open(dir.path(), &Settings::default()).unwrap();
    let found = stored(&store, "h");
    assert_eq!(found.times, [T0, T0 + 10, T0 + 20]);
    let Sample::Histogram(h) = found.get(0) else { panic!("{found:?}") };
    assert_eq!((&h.positive[..], &h.negative[..]), (&[(1, 1.0), (2, 2.0), (4, 1.0)][..], &[(-2, 2.0)][..]));
    assert_eq!((h.count, h.zero_count, h.sum, h.hint), (7.0, 1.0, 2.5, Hint::Unknown));
    assert!(is_stale(found.floats[2]) && matches!(found.get(2), Sample::Float(_)));
    assert_eq!(stored(&store, "f").floats, [1.5, 2.5]);
}

#[test]
fn what_is_wrong_is_told_and_costs_nothing_else() {
    let good = || histogram(T0);
    let span = |offset, length| vec![BucketSpan { offset, length }];
    let cases = [
        (Histogram { positive_spans: span(1, 2), ..good() }, "spans have 2 buckets, but there are 3 counts"),
        (Histogram { positive_deltas: vec![1, 1, -9], ..good() }, "a count is negative: -7"),
        (
            Histogram { negative_spans: span(i32::MAX, 1), ..good() },
            "bucket 2147483647 of schema 0 is beyond any number",
        ),
        (
            Histogram { negative_spans: span(i32::MIN, 1), ..good() },
            "bucket -2147483648 of schema 0 is beyond any number",
        ),
        (
            Histogram {
                positive_spans: vec![
                    BucketSpan { offset: 1, length: 2 },
                    BucketSpan { offset: -2, length: 1 },
                ],
                ..good()
            },
            "a span but the first has the offset -2, which goes back",
        ),
        (
            Histogram { count: Some(Count::CountInt(8)), ..good() },
            "buckets hold 7 observations, but the count is 8",
        ),
        (
            Histogram { count: Some(Count::CountFloat(f64::NAN)), ..good() },
            "spans have 3 buckets, but there are 0 counts",
        ),
        (Histogram { schema: 9, ..good() }, "schema 9 is not known; -4 to 8 are, and -53 for custom buckets"),
        (Histogram { zero_threshold: f64::NAN, ..good() }, "the zero bucket's width is NaN"),
        (Histogram { positive_spans: span(0, u32::MAX), ..good() }, "it has more than 320 buckets"),
        (
            Histogram { positive_spans: vec![BucketSpan::default(); 5000], ..good() },
            "it has more than 320 buckets",
        ),
        (Histogram { schema: CUSTOM, ..good() }, "bucket 1 of schema -53 is beyond any number"),
    ];
    for (wrong, why) in cases {
        let (_dir, store) = store();
        let out = send(
            &store,
            vec![
                series("before", &[(T0, 1.0)], Vec::new()),
                series("h", &[], vec![wrong, histogram(T0 + 10)]),
                series("after", &[(T0, 1.0)], Vec::new()),
            ],
        );
        assert_eq!((out.floats, out.histograms, out.refused, out.cut), (2, 1, 1, false), "{why}");
        assert!(out.told[0].contains(why), "{:?} instead of {why}", out.told);
        assert_eq!(stored(&store, "h").times, [T0 + 10], "{why}");
    }
    // An observation that is no number makes the sum one that is none, and lies in no bucket.
    let (_dir, store) = store();
    let odd = Histogram { sum: f64::NAN, count: Some(Count::CountInt(8)), ..good() };
    assert_eq!(send(&store, vec![series("h", &[], vec![odd])]).histograms, 1);
}

#[test]
fn series_that_are_none_are_told() {
    let (_dir, store) = store();
    let mut nameless = series("x", &[(T0, 1.0)], Vec::new());
    nameless.labels.remove(0);
    let mut twice = series("x", &[(T0, 1.0)], Vec::new());
    twice.labels.push(Label { name: "job".into(), value: "k".into() });
    let mut long = series("x", &[(T0, 1.0)], Vec::new());
    long.labels.push(Label { name: "long".into(), value: "x".repeat(5000) });
    let good = series("good", &[(T0, 1.0)], Vec::new());
    let out = send(&store, vec![nameless, twice, long, good]);
    assert_eq!((out.floats, out.refused), (1, 3));
    assert_eq!(out.told[0], "a series has no name");
    assert!(
        out.told[1].starts_with("a label is given twice") && out.told[2].contains("4096 bytes"),
        "{:?}",
        out.told
    );
    // A body that is cut at any place: what stands before is taken, nothing stops.
    let body = WriteRequest {
        metadata: Vec::new(),
        timeseries: vec![series("a", &[(T0 + 1, 1.0)], vec![histogram(T0 + 2)])],
    }
    .encode_to_vec();
    for cut in 1..body.len() {
        let out = take(&store, Version::One, &body[..cut], T0);
        assert!(out.cut || out.refused > 0, "cut at {cut}: {out:?}");
        let _ = take(&store, Version::Two, &body[..cut], T0);
    }
}

#[test]
fn times_out_of_bounds_and_out_of_order_are_told_apart() {
    let (_dir, store) = store();
    let old = T0 - 20 * 86_400_000;
    let out = send(&store, vec![series("f", &[(old, 0.0), (T0, 1.0), (T0 + 3_600_000, 2.0)], Vec::new())]);
    assert_eq!((out.floats, out.refused), (1, 2));
    let out = send(&store, vec![series("f", &[(T0 - 5, 1.0), (T0, 9.0), (T0 + 5, 3.0)], Vec::new())]);
    assert_eq!((out.floats, out.refused), (1, 2));
    assert!(
        out.told[0].starts_with("out of order") && out.told[1].starts_with("duplicate sample"),
        "{:?}",
        out.told
    );
    assert!(out.told[0].ends_with("(1 samples, first of f{job=\"j\"})"), "{:?}", out.told);
    assert_eq!(stored(&store, "f").times, [T0, T0 + 5]);
}

#[test]
fn caps_hold_and_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { max_series: 2, native_memory: crate::units::Bytes(1), ..Settings::default() };
    let store = Store::open(dir.path(), &settings).unwrap();
    let of = |i: usize, at| series(&format!("h{i}"), &[], vec![histogram(at)]);
    let out = send(&store, (0..5).map(|i| of(i, T0)).collect());
    assert_eq!((out.histograms, out.refused), (2, 3));
    assert!(out.told[0].contains("store.metrics.max_series"), "{:?}", out.told);
    let out = send(&store, vec![of(0, T0 + 1), series("h1", &[(T0 + 1, 1.0)], Vec::new())]);
    assert_eq!((out.floats, out.histograms, out.refused), (1, 0, 1));
    assert!(out.told[0].contains("store.metrics.native_memory"), "{:?}", out.told);
}

#[test]
fn version_two_reads_symbols_custom_buckets_and_fractions() {
    let (_dir, store) = store();
    let body = crate::export::remote_write::proto::v2::Request {
        symbols: ["", "__name__", "h", "job", "j", "Help."].map(str::to_owned).to_vec(),
        timeseries: vec![crate::export::remote_write::proto::v2::TimeSeries {
            labels_refs: vec![1, 2, 3, 4],
            histograms: vec![
                Histogram {
                    schema: CUSTOM,
                    count: Some(Count::CountInt(3)),
                    sum: 4.0,
                    positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
                    positive_deltas: vec![1, 1],
                    custom_values: vec![0.5, 1.0],
                    timestamp: T0,
                    ..Histogram::default()
                },
                Histogram {
                    schema: 1,
                    count: Some(Count::CountFloat(0.75)),
                    sum: 4.0,
                    positive_spans: vec![BucketSpan { offset: 3, length: 2 }],
                    positive_counts: vec![0.25, 0.5],
                    reset_hint: 3,
                    timestamp: T0 + 1,
                    ..Histogram::default()
                },
            ],
            metadata: Some(crate::export::remote_write::proto::v2::Metadata {
                r#type: 3,
                help_ref: 5,
                unit_ref: 0,
            }),
            ..Default::default()
        }],
    };
    let out = take(&store, Version::Two, &body.encode_to_vec(), T0);
    assert_eq!((out.histograms, out.refused), (2, 0), "{:?}", out.told);
    let found = stored(&store, "h");
    let (Sample::Histogram(a), Sample::Histogram(b)) = (found.get(0), found.get(1)) else { panic!() };
    assert_eq!((&a.custom[..], &a.positive[..]), (&[0.5, 1.0][..], &[(0, 1.0), (1, 2.0)][..]));
    assert_eq!((b.hint, &b.positive[..], b.count), (Hint::Gauge, &[(3, 0.25), (4, 0.5)][..], 0.75));
    assert_eq!(store.metadata()[0].1.help, "Help.");
    let mut lost = body;
    lost.timeseries[0].labels_refs = vec![1, 99];
    let out = take(&store, Version::Two, &lost.encode_to_vec(), T0);
    assert_eq!(out.told, ["symbol 99 is not in the request"]);
}

#[test]
fn headers_choose_the_message() {
    let of = |kind: &'static str, encoding: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        version(&headers)
    };
    assert_eq!(of("application/x-protobuf", "snappy"), Ok(Version::One));
    assert_eq!(of("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy"), Ok(Version::Two));
    assert!(
        of("", "snappy").is_err()
            && of("application/json", "snappy").is_err()
            && of("application/x-protobuf", "gzip").is_err()
    );
    assert!(of("application/x-protobuf;proto=other", "snappy").is_err());
}
