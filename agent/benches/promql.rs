//! Ten thousand series for six hours: how fast they are taken, how much room they need, how fast queries answer.
//!
//! `cargo bench -p sightline-agent --bench promql`; about a minute. Prints a table and asserts nothing, since wall
//! times depend on the machine.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table is what this program is for")]

use sightline_agent::store::metrics::{Settings, Store};
use sightline_agent::store::promql::{Answer, Options, range};
use std::time::{Duration, Instant};

const SERIES: usize = 10_000;
const EVERY: i64 = 10_000;
const ROUNDS: i64 = 6 * 3600 * 1000 / EVERY;
const T0: i64 = 1_700_006_400_000;

/// Half counters, a quarter gauges with two decimals, a quarter constant: what agents see.
fn value(series: usize, round: i64) -> f64 {
    let r = round as f64;
    match series % 4 {
        0 | 1 => (r * ((series % 97) as f64 + 1.0) * 1.7).floor(),
        2 => ((r / 30.0 + series as f64).sin() * 1000.0).round() / 100.0,
        _ => series as f64,
    }
}

struct Name {
    metric: &'static str,
    labels: Vec<(&'static str, String)>,
}

fn names() -> Vec<Name> {
    let name = |i: usize| {
        let metric = match i % 4 {
            // A hundred series of the metric that the queries read.
            0 if i.is_multiple_of(100) => "m",
            0 => "requests_total",
            1 => "bytes_total",
            2 => "temperature",
            _ => "limit",
        };
        let labels = vec![
            ("environment", "prod".to_owned()),
            ("instance", format!("host-{:04}", i / 20)),
            ("job", format!("job-{}", i % 7)),
            ("path", format!("/items/{i}")),
        ];
        Name { metric, labels }
    };
    (0..SERIES).map(name).collect()
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0u64) / 1024
}

/// User and system time of this process, which other work on the machine does not touch.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |n: usize| rest.split_whitespace().nth(n).and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn main() {
    // `cargo test --benches` only asks whether it runs.
    let rounds = if std::env::args().any(|a| a == "--bench") { ROUNDS } else { 10 };
    let dir = std::env::temp_dir().join(format!("sightline-bench-promql-{}", std::process::id()));
    let store = match Store::open(&dir, &Settings::default()) {
        Ok(store) => store,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let names = names();
    let labels: Vec<Vec<(&str, &str)>> =
        names.iter().map(|n| n.labels.iter().map(|(k, v)| (*k, v.as_str())).collect()).collect();
    println!("resident before         {:>12} MiB", resident());
    let (mut taking, mut taking_cpu, mut sealing) = (Duration::ZERO, 0.0, Duration::ZERO);
    for round in 0..rounds {
        let now = T0 + round * EVERY + (round * 7919) % 13;
        let (start, start_cpu) = (Instant::now(), cpu());
        store.sample(now, &mut |each| {
            for (i, name) in names.iter().enumerate() {
                each(name.metric, &labels[i], value(i, round));
            }
        });
        taking += start.elapsed();
        taking_cpu += cpu() - start_cpu;
        let start = Instant::now();
        if let Err(error) = store.maintain(now) {
            eprintln!("{error}");
        }
        sealing += start.elapsed();
    }
    let samples = SERIES as f64 * rounds as f64;
    let stats = store.stats();
    println!("samples taken           {samples:>12.0}");
    println!(
        "take, log and sync      {:>12.2} M samples/s of wall time",
        samples / taking.as_secs_f64() / 1e6
    );
    println!(
        "                        {:>12.2} M samples/s of processor time",
        samples / taking_cpu.max(0.01) / 1e6
    );
    println!("seal into blocks        {:>12.2} s in all", sealing.as_secs_f64());
    println!(
        "head                    {:>12.2} bytes/sample",
        stats.head_bytes as f64 / stats.head_samples.max(1) as f64
    );
    let sealed = (samples - stats.head_samples as f64).max(1.0);
    println!("blocks of samples       {:>12.2} bytes/sample", size(&dir.join("raw")) as f64 / sealed);
    println!("blocks of roll-ups      {:>12.2} bytes/sample", size(&dir.join("rollup")) as f64 / sealed);
    println!("resident                {:>12} MiB", resident());
    let (from, to) = (T0, T0 + rounds * EVERY);
    for query in [
        "m{path=\"/items/100\"}",
        "rate(m{path=\"/items/100\"}[5m])",
        "sum by (job) (rate(m[5m]))",
        "topk(10, rate(m[5m]))",
        "max_over_time(m[1h])",
        "sum by (job) (requests_total)",
    ] {
        let mut points = 0;
        let start_cpu = cpu();
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            match range(&*store, query, (from, to, 60_000), &Options::default()) {
                Ok((Answer::Matrix(rows), _)) => points = rows.iter().map(|r| r.1.len()).sum(),
                Ok(_) => {}
                Err(error) => eprintln!("{query}: {error}"),
            }
            times.push(start.elapsed());
        }
        times.sort();
        let each = (cpu() - start_cpu) * 1000.0 / times.len() as f64;
        let [least, middle] = [times[0], times[times.len() / 2]].map(|t| t.as_secs_f64() * 1000.0);
        println!(
            "{query:36} least {least:>8.2} ms, median {middle:>8.2} ms, cpu {each:>6.1} ms, {points} points"
        );
    }
    let (start, start_cpu) = (Instant::now(), cpu());
    for panel in 0..20 {
        let query = format!("sum by (job) (rate(m{{job=~\"job-[0-{}]\"}}[5m]))", panel % 7);
        if let Err(error) = range(&*store, &query, (from, to, 15_000), &Options::default()) {
            eprintln!("{error}");
        }
    }
    let (wall, used) = (start.elapsed().as_secs_f64() * 1000.0, (cpu() - start_cpu) * 1000.0);
    println!("20 such panels, step 15 s            {wall:.1} ms, cpu {used:.0} ms");
    println!("resident                {:>12} MiB", resident());
    drop(store);
    let start = Instant::now();
    let opened = Store::open(&dir, &Settings::default());
    println!("open again              {:>12.2} s", start.elapsed().as_secs_f64());
    drop(opened);
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        eprintln!("{}: {error}", dir.display());
    }
}

fn size(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
}
