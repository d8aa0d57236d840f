//! Load on the metrics lane as a process of its own: CPU for each million lines, loss, memory, scrape time.
//!
//! `cargo bench -p sightline-agent --bench load` runs every part; name parts to run only these
//! (`-- packed single tcp series stall flood`). With `STATSD_EXPORTER=/path/to/statsd_exporter` the peer runs beside it.
//! Everything is on loopback and bounded in count and time. 1,000 series, half of them counters, 35% timers,
//! 10% gauges, 5% sets, datagrams of 1,400 bytes, unless a part says otherwise. `RUNS` (3) says how often the parts
//! that measure processor time are repeated; each line is a median. Memory and scrapes are those of the whole program
//! as `sightline statsd-exporter`, which refuses sets as the peer does.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)] // a program for people, that ends at the first surprise

mod lines;
mod send;
mod server;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use server::Server;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match args.first().map(String::as_str) {
        Some("serve") => return server::serve(&args[1..]),
        Some("bare") => return server::bare(),
        _ => {}
    }
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let wants = |part: &str| args.is_empty() || args.iter().any(|a| a == part);
    let mut kinds = vec!["sightline"];
    if std::env::var_os("STATSD_EXPORTER").is_some() {
        kinds.push("statsd_exporter");
    }
    for kind in kinds {
        println!("== {kind}");
        if wants("packed") {
            packed(kind);
        }
        if wants("single") {
            single(kind);
        }
        if wants("tcp") {
            tcp(kind);
        }
        if wants("series") {
            let program = if kind == "sightline" { "sightline statsd-exporter" } else { kind };
            for count in [1_000, 10_000, 100_000] {
                series(program, count);
            }
        }
        if wants("stall") {
            stall(kind);
        }
        if wants("flood") && kind == "sightline" {
            flood();
        }
    }
    if wants("single") {
        println!("== recvmmsg alone");
        single("bare");
    }
}

/// 1,400-byte datagrams at a fixed pace, then as fast as nothing is lost.
fn packed(kind: &str) {
    let datagrams = lines::datagrams(&lines::mix(1_000, 40_000), 1_400);
    for rate in [50_000, 500_000, 1_000_000, 2_000_000, 3_000_000, 4_000_000] {
        let seconds = if rate == 50_000 { 5 } else { 2 };
        if at_pace("packed", kind, &datagrams, rate, seconds) > 0.2 {
            break;
        }
    }
}

/// One line a datagram.
fn single(kind: &str) {
    let datagrams = lines::datagrams(&lines::mix(1_000, 40_000), 1);
    for rate in [50_000, 200_000, 400_000] {
        at_pace("single", kind, &datagrams, rate, 2);
    }
}

/// Sends for some seconds; prints what a million lines cost, and what was lost. Returns the loss.
fn at_pace(part: &str, kind: &str, datagrams: &[lines::Datagram], rate: u64, seconds: u64) -> f64 {
    let (mut costs, mut losses, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs() {
        let server = Server::start(kind, &[]);
        if kind != "bare" {
            warm(&server, datagrams);
        }
        let before = server.cpu();
        let (sent, took) = send::paced(server.statsd, datagrams, (rate * seconds) as usize, rate);
        // What the kernel or the program still holds; a scrape would add its own time.
        std::thread::sleep(Duration::from_millis(300));
        costs.push((server.cpu() - before) / (sent.lines as f64 / 1e6));
        rates.push(sent.lines as f64 / took.as_secs_f64());
        losses.push(if kind == "bare" { 0.0 } else { server.settle(sent) });
    }
    let lost = median(losses);
    println!(
        "{part} {rate:>9}/s: sent {:>9.0}/s, {:.3} CPU s/M lines, lost {:.3}%",
        median(rates),
        median(costs),
        lost * 100.0
    );
    lost
}

fn runs() -> usize {
    std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(3)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn tcp(kind: &str) {
    let load = lines::mix(1_000, 40_000);
    for connections in [1, 4] {
        let (mut costs, mut rates) = (Vec::new(), Vec::new());
        for _ in 0..runs() {
            let server = Server::start(kind, &[]);
            warm(&server, &lines::datagrams(&load, 1_400));
            let before = server.cpu();
            let begun = Instant::now();
            let sent = send::tcp(server.statsd, &load, 4_000_000, connections);
            let lost = server.settle(sent);
            assert!(lost == 0.0, "TCP lost {lost}");
            rates.push(sent.lines as f64 / begun.elapsed().as_secs_f64());
            costs.push((server.cpu() - before) / (sent.lines as f64 / 1e6));
        }
        println!(
            "tcp {connections} connections: {:>9.0} lines/s until shown, {:.3} CPU s/M lines, lost nothing",
            median(rates),
            median(costs)
        );
    }
}

/// Memory and scrapes by number of series; each series gets ten samples.
fn series(kind: &str, count: usize) {
    let server = Server::start(kind, &[]);
    std::thread::sleep(Duration::from_millis(300));
    let idle = server.resident();
    let load = lines::mix(count, count * 10);
    let datagrams = lines::datagrams(&load, 1_400);
    let (sent, _) = send::paced(server.statsd, &datagrams, count * 10, 400_000);
    let lost = server.settle(sent);
    let fed = server.resident();
    let mut times = Vec::new();
    let (mut body, mut cpu) = (0, 0.0);
    for _ in 0..5 {
        let (before, begun) = (server.cpu(), Instant::now());
        body = server.scrape().len();
        times.push(begun.elapsed());
        cpu += (server.cpu() - before) / 5.0;
    }
    times.sort();
    println!(
        "{count:>7} series: idle {idle:.1} MiB, fed {fed:.1} MiB, peak after 5 scrapes {:.1} MiB, scrape {:.1} ms \
         ({:.0} ms CPU, {:.1} MB), lost {:.3}%",
        server.peak(),
        times[2].as_secs_f64() * 1e3,
        cpu * 1e3,
        body as f64 / 1e6,
        lost * 100.0
    );
}

/// Updates while 100,000 series are scraped over and over: what is lost at a million lines a second, and, in this process
/// and on a core of its own, how long the lines of one datagram take.
fn stall(kind: &str) {
    let load = lines::mix(100_000, 200_000);
    let datagrams = lines::datagrams(&load, 1_400);
    for scraped in [false, true] {
        let server = Server::start(kind, &["unbounded"]);
        for _ in 0..2 {
            let (sent, _) = send::paced(server.statsd, &datagrams, load.len(), 200_000);
            server.settle(sent);
        }
        server.forget();
        let stop = AtomicBool::new(false);
        let (sent, scrapes) = std::thread::scope(|scope| {
            let scraper = scope.spawn(|| {
                let mut scrapes = 0;
                while scraped && !stop.load(Relaxed) {
                    scrapes += usize::from(!server.scrape().is_empty());
                }
                scrapes
            });
            let (sent, _) = send::paced(server.statsd, &datagrams, 3_000_000, 1_000_000);
            stop.store(true, Relaxed);
            (sent, scraper.join().unwrap())
        });
        println!(
            "stall: 1,000,000 lines/s for 3 s during {scrapes} scrapes of 100,000 series: lost {:.3}%",
            server.settle(sent) * 100.0
        );
    }
    if kind == "sightline" {
        for scraped in [false, true] {
            server::keep_to(0);
            let (half, most, worst) = server::update_times(&datagrams, scraped);
            println!(
                "stall: one datagram, scraped {scraped}: median {half:.1?}, 99.9% {most:.1?}, worst {worst:.1?}"
            );
        }
    }
}

/// A million unique tags against a budget of 64 MiB.
fn flood() {
    let server = Server::start("sightline", &["64MiB"]);
    let before = server.cpu();
    let sent = send::flood(server.statsd, 1_000_000);
    std::thread::sleep(Duration::from_millis(500));
    let cpu = (server.cpu() - before) / (sent as f64 / 1e6);
    let body = server.scrape();
    println!(
        "flood of {sent} unique tags: {:.1} MiB (peak {:.1}), {cpu:.2} CPU s/M lines, {} series shown",
        server.resident(),
        server.peak(),
        body.lines().filter(|l| l.starts_with("flood")).count()
    );
}

/// Every series exists and every cache is warm before anything is measured.
fn warm(server: &Server, datagrams: &[lines::Datagram]) {
    let (sent, _) = send::paced(server.statsd, datagrams, 20_000, 100_000);
    server.settle(sent);
    server.forget();
}
