//! kittenserver under load with and without its instrumentation: throughput, response times, CPU.
//!
//! `just bench-service` runs, in one go and in both orders, the same router with the crate and served by axum alone
//! (whatever the handlers say to the crate goes nowhere then). The server is a process of its own on the first core, so that
//! all that the crate does in the background counts against it; the load and a collector that reads and forgets are on the
//! second (which they do not leave). In the last part the collector is killed in the middle. Each part is run at saturation (closed loop), then at a
//! fixed rate of half of what the bare server does, where response times mean something.
//!
//! `--seconds N` (of one run, default 5), `--rounds N` (default 2), `--route PATH` (one route instead of the mixture),
//! `--saturation` (the first part alone), `--spread` (the crate's own threads may use both cores), `--agent PATH` (the real
//! agent with its store as the collector: it works for what it gets, on the core of the load).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench that cannot go on has nothing to measure"
)]

mod collector;
mod load;
mod server;

use load::{Load, Outcome};
use server::{Collectors, Server};
use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)).cloned();
    match value("--role").as_deref() {
        Some("server") => return server::serve(&value("--collectors").unwrap_or_default()),
        Some("collector") => return collector::run(),
        _ => {}
    }
    // `cargo test --benches` runs this too: for a moment, to see that it works.
    let smoke = !args.iter().any(|a| a == "--bench");
    let number = |name: &str, default| value(name).and_then(|v| v.parse().ok()).unwrap_or(default);
    let seconds = Duration::from_secs_f64(if smoke { 0.3 } else { number("--seconds", 5.0) });
    let rounds = if smoke { 1 } else { number("--rounds", 2.0) as usize };
    let flag = |name: &str| args.iter().any(|a| a == name);
    let how = How { seconds, spread: flag("--spread"), agent: value("--agent") };
    let load = Load::new(value("--route"));
    server::pin(std::process::id(), "1", true);
    println!(
        "{} connections; one run takes {seconds:?}; server on core 0, load on core 1",
        load::CONNECTIONS
    );
    let compare = |rate, kill| compare(rounds, rate, kill, |with| run(&load, &how, rate, with, kill));
    let full = compare(None, false);
    if flag("--saturation") {
        return;
    }
    let rate = full[0].rate() / 2.0;
    compare(Some(rate), false);
    compare(None, true);
    compare(Some(rate), true);
}

/// Without, with, with, without, and so on; then the medians side by side: `[without, with]`.
fn compare(
    rounds: usize,
    rate: Option<f64>,
    kill: bool,
    mut run: impl FnMut(bool) -> Outcome,
) -> [Outcome; 2] {
    let what = match (rate, kill) {
        (None, false) => "at saturation".to_owned(),
        (None, true) => "at saturation, collector killed in the middle".to_owned(),
        (Some(rate), false) => format!("at {rate:.0}/s"),
        (Some(rate), true) => format!("at {rate:.0}/s, collector killed in the middle"),
    };
    println!("\n{what}\n{:>8} {}", "", Outcome::HEAD);
    let mut all = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for step in 0..2 {
            let with = (round + step) % 2 == 1;
            let outcome = run(with);
            println!("{:>8} {outcome}", if with { "with" } else { "without" });
            all[usize::from(with)].push(outcome);
        }
    }
    let [without, with] = all.map(Outcome::median);
    let change = |a: f64, b: f64| (b / a - 1.0) * 100.0;
    println!(
        "  change: throughput {:+.1}%, p50 {:+.1}%, p99 {:+.1}%, CPU {:+.1} us a request",
        change(without.rate(), with.rate()),
        change(without.p50.as_secs_f64(), with.p50.as_secs_f64()),
        change(without.p99.as_secs_f64(), with.p99.as_secs_f64()),
        with.cpu_us - without.cpu_us,
    );
    [without, with]
}

struct How {
    seconds: Duration,
    spread: bool,
    agent: Option<String>,
}

fn run(load: &Load, how: &How, rate: Option<f64>, with: bool, kill: bool) -> Outcome {
    let seconds = how.seconds;
    let mut collectors = with.then(|| Collectors::start(how.agent.as_deref()));
    let server = Server::start(collectors.as_ref().map(|c| c.addresses.clone()).unwrap_or_default());
    if how.spread {
        server.spread();
    }
    load.run(server.address, seconds / 5, rate);
    let before = server.figures();
    let mut outcome = if kill {
        let mut first = load.run(server.address, seconds / 2, rate);
        if let Some(c) = collectors.as_mut() {
            c.kill();
        }
        first.join(load.run(server.address, seconds / 2, rate));
        first
    } else {
        load.run(server.address, seconds, rate)
    };
    let after = server.figures();
    outcome.cpu_us = (after.cpu() - before.cpu()) * 1e6 / outcome.requests as f64;
    outcome.threads = after.since(&before, outcome.requests);
    outcome
}
