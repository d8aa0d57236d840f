//! Native histograms by remote write, the very same requests to us and to a real Prometheus, and the same JSON from
//! both: counters with resets, gauges, fractions, mixed resolutions, marks of staleness. Each query is asked twice, of
//! the head and of sealed blocks.
//!
//! The Prometheus that Debian has, 2.42, is the first that knew native histograms. What it left out then is not asked: it
//! interpolates quantiles evenly, takes a histogram as zero in `avg`, `max`, `* 2`, `abs`, `label_replace` and
//! `last_over_time`, and carries a rate beyond the time at which a histogram was empty. Today's meaning of these is tested by Prometheus' own files.
use super::against_prometheus::{Prometheus, ask, encoded, found, same, sorted};
use axum::body::Body;
use axum::http::Request;
use prost::Message;
use serde_json::Value;
use sightline_agent::export::remote_write::proto::v1::{Label, TimeSeries, WriteRequest};
use sightline_agent::export::remote_write::proto::v2::{BucketSpan, Count, Histogram, ZeroCount};
use sightline_agent::store::api::prometheus::router;
use sightline_agent::store::metrics::{Settings, Store};
use std::time::{SystemTime, UNIX_EPOCH};
use tower::ServiceExt;

/// Less than two hours, so that nothing is too old to be written.
const ROUNDS: i64 = 240;
const EVERY: i64 = 15_000;
/// The bits of the mark of staleness.
const STALE: u64 = 0x7ff0_0000_0000_0002;

const QUERIES: &[&str] = &[
    "took_seconds",
    "took_seconds{job=\"api\"}",
    "rate(took_seconds[5m])",
    "increase(took_seconds[10m])",
    "sum(rate(took_seconds[5m]))",
    "sum by (job) (rate(took_seconds[2m]))",
    "histogram_quantile(1, took_seconds)",
    "histogram_count(took_seconds)",
    "histogram_sum(took_seconds)",
    "histogram_sum(rate(took_seconds[5m])) / histogram_count(rate(took_seconds[5m]))",
    "sum(histogram_count(rate(took_seconds[5m])))",
    "took_seconds + took_seconds",
    "took_seconds > 3",
    "count(took_seconds)",
    "count by (job) (took_seconds)",
    "group(took_seconds)",
    "count_over_time(took_seconds[5m])",
    "present_over_time(took_seconds[5m])",
    "absent(took_seconds)",
    "absent(took_seconds{job=\"none\"})",
    "absent_over_time(took_seconds[5m])",
    "timestamp(took_seconds)",
    "took_seconds offset 10m",
    "took_seconds @ end()",
    "took_seconds and on(job) took_seconds{job=\"api\"}",
    "took_seconds unless on(job) took_seconds{job=\"api\"}",
    "took_seconds or vector(1)",
    "sum(took_seconds{job=~\"api|coarse\"})",
    "histogram_count(sum(took_seconds{job=~\"api|coarse\"}))",
    "delta(depth[5m])",
    "depth",
    "count_over_time(depth[10m])",
    "ends",
    "count_over_time(ends[10m])",
    "rate(ends[5m])",
    "{job=\"api\"}",
    "histogram_count(increase(took_seconds[5m]))",
    "histogram_sum(depth)",
    "histogram_count(depth)",
    "histogram_quantile(1, sum by (job) (rate(took_seconds[5m])))",
    "rate(took_seconds{job=\"web\"}[1m])",
    "increase(took_seconds{job=\"web\"}[9m])",
    "sum without (job) (increase(took_seconds[5m]))",
    "rate(took_seconds[5m] offset 4m)",
    "rate(took_seconds[5m] @ end())",
    "sum(histogram_sum(took_seconds))",
    "topk(1, histogram_count(took_seconds))",
    "histogram_count(took_seconds) > 100",
    "quantile(0.5, histogram_count(rate(took_seconds[5m])))",
    "sum by (job) (histogram_count(depth)) / 2",
];

/// A counter with whole counts: buckets from `first` on.
fn counter(schema: i32, first: i32, counts: &[i64], zero: u64, below: i64, timestamp: i64) -> Histogram {
    let mut deltas = Vec::new();
    let mut before = 0;
    for count in counts {
        deltas.push(count - before);
        before = *count;
    }
    let (spans, deltas) = if counts.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        (vec![BucketSpan { offset: first, length: counts.len() as u32 }], deltas)
    };
    let count = counts.iter().sum::<i64>() as u64 + zero + below as u64;
    Histogram {
        count: Some(Count::CountInt(count)),
        sum: counts.iter().enumerate().map(|(i, n)| (i as f64 + 0.25) * *n as f64).sum::<f64>()
            - below as f64,
        schema,
        zero_threshold: 0.001,
        zero_count: Some(ZeroCount::ZeroCountInt(zero)),
        positive_spans: spans,
        positive_deltas: deltas,
        negative_spans: if below > 0 { vec![BucketSpan { offset: 1, length: 1 }] } else { Vec::new() },
        negative_deltas: if below > 0 { vec![below] } else { Vec::new() },
        timestamp,
        ..Histogram::default()
    }
}

fn of(name: &str, job: &str, histogram: Histogram) -> TimeSeries {
    let label = |n: &str, v: &str| Label { name: n.into(), value: v.into() };
    TimeSeries {
        labels: vec![label("__name__", name), label("job", job)],
        samples: Vec::new(),
        histograms: vec![histogram],
        exemplars: Vec::new(),
    }
}

/// One request a round, every series with one sample.
fn request(round: i64, time: i64) -> WriteRequest {
    let mut series = Vec::new();
    for (job, schema, factor) in [("api", 2, 3), ("web", 2, 11), ("coarse", 0, 5)] {
        // A restart half-way; new buckets now and then.
        let age = if job == "web" && round >= 130 { round - 130 } else { round };
        let counts: Vec<i64> = (0..4 + age / 40).map(|i| (age * factor) / (i + 1)).collect();
        series.push(of("took_seconds", job, counter(schema, -3, &counts, (age / 7) as u64, age / 11, time)));
    }
    // In quarters, so that fractions add up exactly: this Prometheus asks for it.
    let swing = ((round as f64 / 15.0).sin() * 40.0 + 48.0).round() / 4.0;
    let gauge = Histogram {
        count: Some(Count::CountFloat(swing * 1.75)),
        sum: swing * 3.0,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: Some(ZeroCount::ZeroCountFloat(0.0)),
        positive_spans: vec![BucketSpan { offset: 2, length: 2 }],
        positive_counts: vec![swing, swing * 0.75],
        reset_hint: 3,
        timestamp: time,
        ..Histogram::default()
    };
    series.push(of("depth", "api", gauge));
    if round < 150 {
        series.push(of("ends", "api", counter(3, 0, &[round, round * 2], 0, 0, time)));
    } else if round == 150 {
        let stale = Histogram { sum: f64::from_bits(STALE), timestamp: time, ..Histogram::default() };
        series.push(of("ends", "api", stale));
    }
    WriteRequest { timeseries: series, metadata: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_histograms_are_those_of_a_real_prometheus() {
    if !found("prometheus") {
        println!("not run: prometheus is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(
        dir.path(),
        &["--web.enable-remote-write-receiver", "--enable-feature=native-histograms,promql-at-modifier"],
    );
    let store = Store::open(&dir.path().join("ours"), &Settings::default()).unwrap();
    let rules = sightline_agent::store::rules::Rules::load(&Default::default()).unwrap();
    let router = router(store.clone(), std::sync::Arc::new(rules));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    // Off the grid of the queries, so that no sample lies on a window's border.
    let start = (now - ROUNDS * EVERY) / 60_000 * 60_000 + 3_713;
    for round in 0..ROUNDS {
        let time = start + round * EVERY;
        let plain = request(round, time).encode_to_vec();
        let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        prometheus.write(&body);
        let ours = Request::post("/api/v1/write")
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .body(Body::from(body))
            .unwrap();
        let answer = router.clone().oneshot(ours).await.unwrap();
        assert_eq!(answer.status(), 204, "round {round}");
    }
    let (from, to) = (start / 60_000 * 60 + 660, (start + (ROUNDS - 5) * EVERY) / 60_000 * 60);
    let (mut wrong, mut with_data, mut theirs) = (Vec::new(), 0, Vec::new());
    let mut compare = |path: &str, ours: Value, theirs: &Value| {
        if !same(&ours, theirs) {
            let short = |v: &Value| v.to_string().chars().take(700).collect::<String>();
            wrong.push(format!("{path}\n  ours   {}\n  theirs {}", short(&ours), short(theirs)));
        }
    };
    for query in QUERIES {
        let query = encoded(query);
        let mut filled = false;
        for path in [
            format!("/api/v1/query_range?query={query}&start={from}&end={to}&step=60"),
            format!("/api/v1/query?query={query}&time={to}"),
        ] {
            let answer = sorted(prometheus.json(&path));
            filled |= answer["data"]["result"].as_array().is_some_and(|rows| !rows.is_empty());
            compare(&path, sorted(ask(&router, &path).await), &answer);
            theirs.push((path, answer));
        }
        with_data += usize::from(filled);
    }
    println!("{} queries; {with_data} of them find something", QUERIES.len());
    assert!(with_data * 10 >= QUERIES.len() * 8, "only {with_data} queries find something");
    for path in ["/api/v1/labels", "/api/v1/label/__name__/values"] {
        let (ours, theirs) = (ask(&router, path).await, prometheus.json(path));
        compare(path, ours, &theirs);
    }
    // The same once more, when all of it lies in blocks.
    store.maintain(now + 3 * 3_600_000).unwrap();
    assert_eq!(store.stats().head_samples, 0);
    for (path, answer) in &theirs {
        compare(path, sorted(ask(&router, path).await), answer);
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}
