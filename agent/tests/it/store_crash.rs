//! The embedded store under `kill -9`, as users run it: the real binary, fed over its own ports, killed ten times
//! while it writes. Logs and spans that were acknowledged are there once; samples that a query had shown stay, numbers
//! and native histograms; histograms that others wrote are there once they were acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prost::Message;
use serde_json::{Value, json};
use sightline_agent::export::remote_write::proto::v2;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::support::agent::Ports;
use super::support::{eventually, get_json, get_text};

const KILLS: u64 = 10;
/// Records of one request.
const EACH: u64 = 20;

/// Numbers that were acknowledged, and the one batch that may have been under way at each kill.
#[derive(Default)]
struct Sent {
    acked: BTreeSet<u64>,
    unsure: BTreeSet<u64>,
}

/// Sends numbered batches, each exactly once, until it is told to stop or the agent is gone.
fn writer(
    url: String,
    first: u64,
    stop: Arc<AtomicBool>,
    acks: Arc<AtomicU64>,
    body: fn(u64) -> Value,
) -> JoinHandle<Sent> {
    tokio::spawn(async move {
        let client = reqwest::Client::new();
        let (mut sent, mut next) = (Sent::default(), first);
        while !stop.load(Ordering::Relaxed) {
            let numbers = next..next + EACH;
            next = numbers.end;
            let answer = client.post(&url).json(&body(numbers.start)).send().await;
            if answer.is_ok_and(|a| a.status().is_success()) {
                sent.acked.extend(numbers);
                acks.fetch_add(1, Ordering::Relaxed);
            } else {
                sent.unsure.extend(numbers);
                break;
            }
        }
        sent
    })
}

fn now_ns() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
}

fn otlp_logs(first: u64) -> Value {
    let records: Vec<Value> = (first..first + EACH)
        .map(|n| {
            json!({
                "timeUnixNano": now_ns().to_string(),
                "severityText": "INFO",
                "body": { "stringValue": format!("numbered record {n}") },
                "attributes": [{ "key": "n", "value": { "intValue": n.to_string() } }],
            })
        })
        .collect();
    let resource =
        json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "numbers" } }] });
    json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": records }] }] })
}

fn zipkin_spans(first: u64) -> Value {
    let spans = (first..first + EACH).map(|n| {
        json!({
            "traceId": format!("{n:032x}"), "id": format!("{:016x}", n + 1), "name": "number",
            "timestamp": (now_ns() / 1000) as u64, "duration": 1000,
            "localEndpoint": { "serviceName": "numbers" }, "tags": { "n": n.to_string() },
        })
    });
    spans.collect()
}

/// How often each number is stored.
fn counted(lines: &str, number: impl Fn(&Value) -> Option<u64>) -> BTreeMap<u64, u32> {
    let mut times = BTreeMap::new();
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        *times.entry(number(&record).unwrap_or_else(|| panic!("no number in {line}"))).or_default() += 1;
    }
    times
}

/// What is missing or doubled, in words; nothing if all is well.
fn judged(what: &str, sent: &Sent, times: &BTreeMap<u64, u32>) -> Result<(), String> {
    let missing: Vec<_> = sent.acked.iter().filter(|n| !times.contains_key(n)).take(5).collect();
    let doubled: Vec<_> = times.iter().filter(|(_, count)| **count > 1).take(5).collect();
    let foreign: Vec<_> =
        times.keys().filter(|n| !sent.acked.contains(n) && !sent.unsure.contains(n)).take(5).collect();
    if missing.is_empty() && doubled.is_empty() && foreign.is_empty() {
        return Ok(());
    }
    Err(format!("{what}: missing {missing:?}, doubled {doubled:?}, never sent {foreign:?}"))
}

/// Times and values of all stored samples of a metric: numbers, or histograms as their JSON.
async fn samples(ports: &Ports, metric: &str) -> Result<BTreeMap<String, String>, String> {
    let answer = get_json(&ports.url(&format!("/api/v1/query?query={metric}%5B1h%5D"))).await?;
    let rows = answer["data"]["result"].as_array().ok_or_else(|| answer.to_string())?;
    let of = |row: &Value, key: &str| row[key].as_array().cloned().unwrap_or_default();
    let pairs = rows.iter().flat_map(|row| [of(row, "values"), of(row, "histograms")].concat());
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    Ok(pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect())
}

/// Both kinds of samples of our own.
async fn own_samples(ports: &Ports) -> Result<BTreeMap<String, String>, String> {
    let mut all = samples(ports, "numbered_gauge").await?;
    for (time, value) in samples(ports, "instrument_timing_seconds").await? {
        all.insert(format!("timing {time}"), value);
    }
    Ok(all)
}

/// One histogram of `number` observations at a time in milliseconds, as remote write 2.0.
fn written_histogram(time: u64, number: u64) -> Vec<u8> {
    let histogram = v2::Histogram {
        count: Some(v2::Count::CountInt(number)),
        sum: number as f64 / 2.0,
        schema: 3,
        positive_spans: vec![v2::BucketSpan { offset: -8, length: 1 }],
        positive_deltas: vec![number as i64],
        timestamp: time as i64,
        ..v2::Histogram::default()
    };
    let series =
        v2::TimeSeries { labels_refs: vec![1, 2], histograms: vec![histogram], ..Default::default() };
    let symbols = ["", "__name__", "written_histogram"].map(str::to_owned).to_vec();
    let plain = v2::Request { symbols, timeseries: vec![series] }.encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&plain).unwrap()
}

/// Writes histograms, each a millisecond later at least, until it is told to stop or the agent is gone.
fn histogram_writer(url: String, stop: Arc<AtomicBool>) -> JoinHandle<Sent> {
    tokio::spawn(async move {
        let client = reqwest::Client::new();
        let (mut sent, mut last) = (Sent::default(), 0);
        while !stop.load(Ordering::Relaxed) {
            let time = (now_ns() / 1_000_000) as u64;
            if time <= last {
                tokio::task::yield_now().await;
                continue;
            }
            last = time;
            let request = client
                .post(&url)
                .header("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
                .header("content-encoding", "snappy")
                .body(written_histogram(time, time % 1000 + 1));
            if request.send().await.is_ok_and(|a| a.status().is_success()) {
                sent.acked.insert(time);
            } else {
                sent.unsure.insert(time);
                break;
            }
        }
        sent
    })
}

/// Milliseconds of the written histograms that are stored; each has to hold what was sent.
async fn written_times(ports: &Ports) -> BTreeMap<u64, u32> {
    let mut times = BTreeMap::new();
    for (time, value) in samples(ports, "written_histogram").await.unwrap() {
        let millis = (time.parse::<f64>().unwrap() * 1000.0).round() as u64;
        let value: Value = serde_json::from_str(&value).unwrap();
        assert_eq!(value["count"], (millis % 1000 + 1).to_string(), "{time}");
        *times.entry(millis).or_default() += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_missing_or_doubled_after_ten_kills_of_the_agent() {
    let ports = Ports::new();
    // Small parts, so that a kill also hits the change from one to the next; quick rounds of samples.
    let settings = "store: {part_size: 300KiB, min_free: 0B, metrics: {interval: 1s}}";
    let (mut logs, mut spans, mut written) = (Sent::default(), Sent::default(), Sent::default());
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    let export = |kind: &'static str| {
        let config = ports.dir.path().join("sightline.yaml");
        move || {
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_sightline"))
                .args(["store", "--config", config.to_str().unwrap(), "export", kind])
                .args(["--query", "service:numbers"])
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        }
    };
    let (all_logs, all_spans) = (export("logs"), export("spans"));
    for kill in 0..=KILLS {
        let started = Instant::now();
        let mut agent = ports.agent(settings).await;
        slowest = slowest.max(started.elapsed());

        // What was acknowledged before the kill is stored, or comes out of the queue now.
        eventually("everything acknowledged is there once", 30, async || {
            let logs_found = counted(&all_logs(), |r| r["labels.n"].as_str()?.parse().ok());
            let spans_found = counted(&all_spans(), |s| s["tags"]["n"].as_str()?.parse().ok());
            judged("logs", &logs, &logs_found)?;
            judged("spans", &spans, &spans_found)
        })
        .await;
        judged("written histograms", &written, &written_times(&ports).await).unwrap();
        let kept = own_samples(&ports).await.unwrap();
        let lost: Vec<_> = shown.iter().filter(|(time, value)| kept.get(*time) != Some(value)).collect();
        assert!(lost.is_empty(), "samples that were there before kill {kill} are not: {lost:?}");
        if kill == KILLS {
            println!(
                "{} logs, {} spans and {} written histograms acknowledged, {} samples shown; slowest start {slowest:?}",
                logs.acked.len(),
                spans.acked.len(),
                written.acked.len(),
                shown.len()
            );
            let text = get_text(&ports.url("/metrics")).await.unwrap();
            let damage =
                |l: &&str| l.starts_with("sightline_store_parts_set_aside_total") && !l.ends_with(" 0");
            assert_eq!(text.lines().find(damage), None, "a kill damages nothing");
            break;
        }

        let stop = Arc::new(AtomicBool::new(false));
        let acks = Arc::new(AtomicU64::new(0));
        let first = 1 + kill * 1_000_000;
        let logs_url = format!("http://127.0.0.1:{}/v1/logs", ports.otlp);
        let spans_url = format!("http://127.0.0.1:{}/api/v2/spans", ports.zipkin);
        let log_writer = writer(logs_url, first, stop.clone(), acks.clone(), otlp_logs);
        let span_writer = writer(spans_url, first, stop.clone(), acks.clone(), zipkin_spans);
        let histogram_writer = histogram_writer(ports.url("/api/v1/write"), stop.clone());
        let gauge = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let line = format!("numbered_gauge:{}|g", kill + 1);
        gauge.send_to(line.as_bytes(), ("127.0.0.1", ports.statsd)).await.unwrap();
        let line = format!("dev.h.numbers.handlers.list.timing:{}|ms", 100 + kill * 50);
        gauge.send_to(line.as_bytes(), ("127.0.0.1", ports.statsd)).await.unwrap();
        // A different number of commits and rounds each time, and then in the middle of the next one.
        eventually("a sample of this round is stored", 30, async || {
            let now = own_samples(&ports).await?;
            let fresh = now.values().any(|v| *v == (kill + 1).to_string())
                && now.len() > shown.len() + 1
                && now.keys().any(|k| k.starts_with("timing"));
            let enough = acks.load(Ordering::Relaxed) > 10 + kill * 7;
            if !fresh || !enough {
                return Err(format!("{now:?}"));
            }
            shown = now;
            Ok(())
        })
        .await;
        agent.signal("-KILL");
        agent.ended(10).await;
        stop.store(true, Ordering::Relaxed);
        for (all, round) in
            [(&mut logs, log_writer), (&mut spans, span_writer), (&mut written, histogram_writer)]
        {
            let round = round.await.unwrap();
            all.acked.extend(round.acked);
            all.unsure.extend(round.unsure);
        }
    }
}
