//! Ten thousand series for six hours: how fast they are taken, how much room they need, how fast queries answer. Then
//! the same with a thousand series of native histograms beside them.
//!
//! `cargo bench -p sightline-agent --bench promql`; about two minutes. Prints a table and asserts nothing, since wall
//! times depend on the machine.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table is what this program is for")]

use sightline_agent::store::metrics::{Settings, Store};
use sightline_agent::store::promql::histogram::Histogram;
use sightline_agent::store::promql::{Answer, Options, range};
use std::time::{Duration, Instant};

const SERIES: usize = 10_000;
/// Series of native histograms in the second run.
const NATIVES: usize = 1000;
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

/// Timings of a service as native histograms: 30 buckets, of which ten seconds move those around the median.
struct Native {
    histogram: Histogram,
    random: fastrand::Rng,
    /// Observations of ten seconds.
    load: f64,
}

impl Native {
    fn new(i: usize) -> Native {
        let histogram = Histogram {
            schema: 3,
            zero_threshold: 2.938_735_877_055_719e-39,
            positive: (-50..-20).map(|at| (at, 1.0)).collect(),
            count: 30.0,
            sum: 1.0,
            ..Histogram::default()
        };
        Native {
            histogram,
            random: fastrand::Rng::with_seed(i as u64),
            load: [5.0, 20.0, 100.0, 500.0][i % 4],
        }
    }

    fn step(&mut self) -> Histogram {
        for (at, count) in &mut self.histogram.positive {
            let distance = f64::from(*at + 38) / 5.0;
            let expected = self.load * 0.08 * (-distance * distance / 2.0).exp();
            // As many as expected, give or take as chance does, whole.
            let chance = (0..4).map(|_| self.random.f64() - 0.5).sum::<f64>() * 1.73;
            let n = (expected + expected.sqrt() * chance + self.random.f64()).max(0.0).floor();
            *count += n;
            self.histogram.count += n;
            self.histogram.sum += n * 2f64.powf((f64::from(*at) - self.random.f64()) / 8.0);
        }
        self.histogram.clone()
    }
}

/// What the first run says of the numbers alone.
#[derive(Default)]
struct Figures {
    head: usize,
    raw: u64,
    rollup: u64,
}

fn main() {
    // `cargo test --benches` only asks whether it runs.
    let rounds = if std::env::args().any(|a| a == "--bench") { ROUNDS } else { 10 };
    let numbers = run(rounds, 0, &Figures::default());
    println!();
    run(rounds, NATIVES, &numbers);
}

fn run(rounds: i64, natives: usize, numbers: &Figures) -> Figures {
    let dir = std::env::temp_dir().join(format!("sightline-bench-promql-{}-{natives}", std::process::id()));
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
    let mut histograms: Vec<Native> = (0..natives).map(Native::new).collect();
    println!("{SERIES} series of numbers, {natives} of native histograms, {rounds} rounds");
    println!("resident before         {:>12} MiB", resident());
    let (mut taking, mut taking_cpu, mut sealing) = (Duration::ZERO, 0.0, Duration::ZERO);
    let mut most = 0;
    for round in 0..rounds {
        let now = T0 + round * EVERY + (round * 7919) % 13;
        let now_native: Vec<Histogram> = histograms.iter_mut().map(Native::step).collect();
        let (start, start_cpu) = (Instant::now(), cpu());
        store.round(
            now,
            &mut |each| {
                for (i, name) in names.iter().enumerate() {
                    each(name.metric, &labels[i], value(i, round));
                }
            },
            &mut |each| {
                for (i, h) in now_native.iter().enumerate() {
                    let metric = if i < 100 { "took_seconds" } else { "other_seconds" };
                    each(metric, &labels[i], h.clone());
                }
            },
        );
        taking += start.elapsed();
        taking_cpu += cpu() - start_cpu;
        let start = Instant::now();
        if let Err(error) = store.maintain(now) {
            eprintln!("{error}");
        }
        sealing += start.elapsed();
        most = most.max(resident());
    }
    let samples = SERIES as f64 * rounds as f64;
    let stats = store.stats();
    let figures =
        Figures { head: stats.head_bytes, raw: size(&dir.join("raw")), rollup: size(&dir.join("rollup")) };
    let all = samples + natives as f64 * rounds as f64;
    println!("samples taken           {all:>12.0}");
    println!("take, log and sync      {:>12.2} M samples/s of wall time", all / taking.as_secs_f64() / 1e6);
    println!(
        "                        {:>12.2} M samples/s of processor time",
        all / taking_cpu.max(0.01) / 1e6
    );
    println!("seal into blocks        {:>12.2} s in all", sealing.as_secs_f64());
    let in_head = stats.head_samples as f64 / all * rounds as f64;
    let (what, of, rest) = if natives == 0 {
        ("sample", SERIES as f64, &Figures::default())
    } else {
        ("histogram", natives as f64, numbers)
    };
    let per = |all: u64, less: u64, rounds: f64| all.saturating_sub(less) as f64 / (of * rounds).max(1.0);
    let sealed = rounds as f64 - in_head;
    println!(
        "head                    {:>12.2} bytes/{what}",
        per(figures.head as u64, rest.head as u64, in_head)
    );
    println!("blocks of samples       {:>12.2} bytes/{what}", per(figures.raw, rest.raw, sealed));
    println!("blocks of roll-ups      {:>12.2} bytes/{what}", per(figures.rollup, rest.rollup, sealed));
    println!("resident, and at most   {:>12} MiB, {most} MiB", resident());
    let (from, to) = (T0, T0 + rounds * EVERY);
    let queries: &[&str] = if natives == 0 {
        &[
            "m{path=\"/items/100\"}",
            "rate(m{path=\"/items/100\"}[5m])",
            "sum by (job) (rate(m[5m]))",
            "topk(10, rate(m[5m]))",
            "max_over_time(m[1h])",
            "sum by (job) (requests_total)",
        ]
    } else {
        &[
            "histogram_quantile(0.99, sum(rate(took_seconds[5m])))",
            "histogram_quantile(0.99, sum by (job) (rate(took_seconds[5m])))",
            "histogram_count(sum(rate(took_seconds[5m])))",
            "histogram_quantile(0.9, took_seconds{path=\"/items/0\"})",
        ]
    };
    for query in queries {
        let mut points = 0;
        let start_cpu = cpu();
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..if natives == 0 { 20 } else { 5 } {
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
    if natives == 0 {
        dashboard(&store, (from, to));
    }
    println!("resident                {:>12} MiB", resident());
    drop(store);
    let start = Instant::now();
    let opened = Store::open(&dir, &Settings::default());
    println!("open again              {:>12.2} s", start.elapsed().as_secs_f64());
    drop(opened);
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        eprintln!("{}: {error}", dir.display());
    }
    figures
}

fn dashboard(store: &Store, (from, to): (i64, i64)) {
    let (start, start_cpu) = (Instant::now(), cpu());
    for panel in 0..20 {
        let query = format!("sum by (job) (rate(m{{job=~\"job-[0-{}]\"}}[5m]))", panel % 7);
        if let Err(error) = range(store, &query, (from, to, 15_000), &Options::default()) {
            eprintln!("{error}");
        }
    }
    let (wall, used) = (start.elapsed().as_secs_f64() * 1000.0, (cpu() - start_cpu) * 1000.0);
    println!("20 such panels, step 15 s            {wall:.1} ms, cpu {used:.0} ms");
}

fn size(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
}
