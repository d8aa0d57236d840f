//! Speed of the embedded store: ingest of logs, searches, counts and histograms, memory and disk.
//!
//! `cargo bench -p sightline-agent --bench store`. `STORE_BENCH_RECORDS` sets the number of records (default 1,000,000),
//! `STORE_BENCH_NAMED=1` lets each come with its sender's id. `STORE_BENCH_DAYS=31` lets that many simulated days pass instead,
//! of `STORE_BENCH_RECORDS` each, with a commit every `STORE_BENCH_STEP` seconds of a day (default 30).
//! CPU seconds include parsing, indexing, merging and committing, on all threads; they are what a busy machine does not
//! distort, as it does wall time.
#![allow(clippy::print_stdout)] // a bench speaks to a terminal

mod days;

use std::error::Error;
use std::fmt::Write as _;
use std::time::Instant;

use bytes::Bytes;
use sightline_agent::export::{Entry, Verdict};
use sightline_agent::logs::envelope::Envelope;
use sightline_agent::store::events::{EventStore, Events, Search, Sort};
use sightline_agent::store::query::{Operator, parse};
use sightline_agent::store::settings::Settings;

/// As many as the writer's thread gathers for one commit under load. `STORE_BENCH_BATCH` sets another size: with 1,000
/// the disk looks as after a day in which the merges had time.
const BATCH: u64 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let records: u64 = number("STORE_BENCH_RECORDS").unwrap_or(1_000_000);
    let batch: u64 = number("STORE_BENCH_BATCH").unwrap_or(BATCH).max(1);
    let dir = std::env::temp_dir().join(format!("sightline-store-bench-{}", std::process::id()));
    let settings = Settings { min_free: sightline_agent::units::Bytes(0), ..Settings::default() };
    let result = match number("STORE_BENCH_DAYS") {
        Some(days) => {
            let step = number("STORE_BENCH_STEP").unwrap_or(30).max(1);
            days::run(&dir, &settings, (days as i64, records.max(1), step as i64 * 1000))
        }
        None => run(&dir, &settings, (records, batch)),
    };
    std::fs::remove_dir_all(&dir)?;
    result
}

fn run(
    dir: &std::path::Path,
    settings: &Settings,
    (records, at_once): (u64, u64),
) -> Result<(), Box<dyn Error>> {
    let now = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis())?;
    let events = Events::open(dir, settings)?;
    let (mut raw, mut slowest, mut wall) = (0_u64, 0.0_f64, 0.0);
    let mut made = 0;
    let mut spent = 0.0;
    // Mapped index files count as resident too.
    let (mut most_own, mut most_all) = (0, 0);
    while made < records {
        let batch: Vec<Entry> =
            (made..records.min(made + at_once)).map(|n| record(n, now - (records - n) as i64)).collect();
        made += batch.len() as u64;
        raw += batch.iter().map(|entry| entry.payload.len() as u64).sum::<u64>();
        let (cpu, started) = (cpu_seconds(), Instant::now());
        let verdicts = events.logs.append(&batch);
        spent += cpu_seconds() - cpu;
        let took = started.elapsed().as_secs_f64();
        wall += took;
        slowest = slowest.max(took);
        most_own = most_own.max(status("RssAnon:") >> 10);
        most_all = most_all.max(status("VmRSS:") >> 10);
        if verdicts.iter().any(|verdict| *verdict != Verdict::Done) {
            return Err(format!(
                "a record was not taken: {:?}",
                verdicts.iter().find(|v| **v != Verdict::Done)
            )
            .into());
        }
    }
    let (stored, bytes) = events.logs.totals();
    println!(
        "ingest   {stored} records of {} bytes: {:.0}/s by the clock, {:.0}/s per CPU second",
        raw / made,
        made as f64 / wall,
        made as f64 / spent
    );
    println!(
        "         slowest commit of {at_once}: {slowest:.2} s; disk {} MiB = {:.2} of raw",
        bytes >> 20,
        bytes as f64 / raw as f64
    );
    println!(
        "memory   while ingesting: {} MiB at the highest moment (VmHWM); between commits at most {most_all} MiB, of which anonymous (the process's own) {most_own} MiB",
        status("VmHWM:") >> 10
    );
    for text in [
        "*",
        "level:error",
        "level:error AND service.name:svc-03",
        "connection timeout",
        "\"connection timeout\"",
        "request_id:req-00000777",
        "status:[500 TO 599]",
        "event.duration:>=900000000",
        "url.path:\\/api\\/items\\/1*",
        "host.name:/web-0[12]/",
        "NOT level:info",
        "nothing-like-it",
        "message:/.*timeout.*/",
        "message:/.*timeout to.*/",
        "message:/(?i).*TIMEOUT to.*[05]/",
        "message:/.*[0-9]{5}7/",
    ] {
        let node = parse(text, Operator::Or)?;
        let (mut newest, mut count, mut hits, mut total) = (f64::MAX, f64::MAX, 0, 0);
        for _ in 0..3 {
            let selection = events.logs.select(&node, None, None)?;
            let started = Instant::now();
            total = events.logs.count(&selection).value;
            count = count.min(started.elapsed().as_secs_f64() * 1e3);
            // Each has a time of its own to spend.
            let selection = events.logs.select(&node, None, None)?;
            let sort = Sort::Time { descending: true };
            let started = Instant::now();
            hits = events
                .logs
                .search(&Search { selection, limit: 100, offset: 0, sort, after: None })
                .value
                .len();
            newest = newest.min(started.elapsed().as_secs_f64() * 1e3);
        }
        println!(
            "query    {text:<40} newest-100 {newest:7.1} ms ({hits:3} hits)   count {count:7.1} ms ({total})"
        );
    }
    let selection = events.logs.select(&parse("*", Operator::Or)?, None, None)?;
    for (what, request) in [
        (
            "histogram by level",
            r#"{"t":{"date_histogram":{"field":"@timestamp","fixed_interval":"30s"},"aggs":{"l":{"terms":{"field":"_doc.log.level"}}}}}"#,
        ),
        (
            "top values of five fields",
            r#"{"a":{"terms":{"field":"_doc.log.level"}},"b":{"terms":{"field":"_doc.service.name"}},"c":{"terms":{"field":"_doc.host.name"}},"d":{"terms":{"field":"_doc.status"}},"e":{"terms":{"field":"_doc.url.path"}}}"#,
        ),
    ] {
        let request = serde_json::from_str(request)?;
        let mut least = f64::MAX;
        for _ in 0..3 {
            let started = Instant::now();
            events.logs.histogram(&selection, &request)?;
            least = least.min(started.elapsed().as_secs_f64() * 1e3);
        }
        println!("query    {what} over all {least:.1} ms");
    }
    drop(events);
    let started = Instant::now();
    let events = Events::open(dir, settings)?;
    println!(
        "open     {:.0} ms with {} parts",
        started.elapsed().as_secs_f64() * 1e3,
        events.logs.stats().len()
    );
    println!(
        "memory   after the queries: anonymous {} MiB, with mapped files {} MiB",
        status("RssAnon:") >> 10,
        status("VmRSS:") >> 10
    );
    Ok(())
}

/// A record of about 400 bytes such as the sample service's access log.
fn record(n: u64, at_ms: i64) -> Entry {
    let seconds = at_ms.div_euclid(1000);
    let day = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let level =
        ["info", "info", "info", "info", "info", "info", "info", "debug", "warn", "error"][(n % 10) as usize];
    let what = ["request served", "cache miss for item", "connection timeout to db", "retry of connection"]
        [(n / 7 % 4) as usize];
    let status = [200, 200, 201, 200, 404, 200, 500, 200][(n / 3 % 8) as usize];
    let mut text = String::with_capacity(448);
    // A spread of values as real services have it: few services and hosts, many ids.
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let _ = write!(
        text,
        r#"{{"@timestamp":"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z","message":"{what} {n}","log":{{"level":"{level}"}},"service":{{"name":"svc-{:02}"}},"host":{{"name":"web-{:02}"}},"handler":"list","status":{status},"method":"GET","request_id":"req-{n:08}","trace":{{"id":"{mixed:016x}{:016x}"}},"event":{{"duration":{}}},"url":{{"path":"/api/items/{}"}}}}"#,
        day.year(),
        u8::from(day.month()),
        day.day(),
        day.hour(),
        day.minute(),
        day.second(),
        at_ms.rem_euclid(1000),
        n % 12,
        n % 40,
        mixed.rotate_left(17),
        mixed % 1_000_000_000,
        mixed % 5000,
    );
    let id = format!("{n:016x}");
    let mut payload = Vec::with_capacity(text.len() + 64);
    Envelope { stream: "logs-svc.app-prod", id: &id, document: text.as_bytes() }.encode(&mut payload);
    if std::env::var_os("STORE_BENCH_NAMED").is_some() {
        // As if its sender had chosen the id: such a record may come again, so it is looked up.
        payload.insert(1 + "logs-svc.app-prod".len(), 0);
    }
    Entry { seq: n + 1, payload: Bytes::from(payload) }
}

/// A line of `/proc/self/status` in KiB.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// User and system time of the whole process, from ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut fields = after.split(' ').skip(11).filter_map(|n| n.parse::<f64>().ok());
    (fields.next().unwrap_or(0.0) + fields.next().unwrap_or(0.0)) / 100.0
}
