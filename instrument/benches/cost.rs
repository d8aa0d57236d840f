//! What instrumentation costs the thread that serves, beside stock parts that do the same work.
//!
//! Run with `just bench-cost`. The measure is CPU time of the calling thread, so that neither our own sending threads nor a
//! busy machine is counted in. Buffers are emptied between rounds, outside of the measure: what is measured is acceptance
//! and not refusal. At the end come the allocations of one request.
//!
//! The stock parts: cadence (formatting alone, and over its own queue and UDP), metrics-exporter-dogstatsd, tower-http's
//! trace layer, tracing-subscriber's JSON and tracing-opentelemetry with the SDK's batches into an exporter that forgets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench that cannot go on has nothing to measure"
)]

mod parts;

use criterion::{Criterion, criterion_group, criterion_main};
use parts::cpu::ThreadCpu;
use parts::{allocations, service, stock};
use sightline_instrument::testing::Capture;
use sightline_instrument::{counter, handler, timed, timer};
use std::hint::black_box;
use std::time::Duration;
use tower_layer::Layer;

type Bench = Criterion<ThreadCpu>;

fn metrics(c: &mut Bench) {
    let capture = Capture::new("bench");
    let mut group = c.benchmark_group("metrics");
    let held = capture.call(|| counter("cache", "kittens", "hit"));
    group.bench_function("counter, held (goal 12 ns)", |b| b.iter(|| held.increment(1)));
    let held = capture.call(|| timer("sqlite", "select"));
    group.bench_function("timer, held", |b| b.iter(|| held.record(black_box(Duration::from_micros(750)))));
    capture.call(|| {
        group.bench_function("counter, by name (goal 60 ns)", |b| {
            b.iter(|| counter(black_box("cache"), "kittens", "hit").increment(1));
        });
        group.bench_function("timer, by name (goal 60 ns)", |b| {
            b.iter(|| timer(black_box("sqlite"), "select").record(Duration::from_micros(750)));
        });
        group.bench_function("handler(..).called()", |b| b.iter(|| handler(black_box("list")).called()));
        group.bench_function("counter!, facade", |b| {
            b.iter(|| metrics::counter!("cache.kittens.hit").increment(1));
        });
    });
    stock::metrics(&mut group);
    group.finish();
}

fn logs(c: &mut Bench) {
    let capture = Capture::with("bench", |s| {
        s.log_rate_limit = u32::MAX;
        s.log_filter = "info".to_owned();
    });
    let mut group = c.benchmark_group("logs");
    capture.call(|| {
        let span = tracing::info_span!("request", method = "GET", path = "/kittens");
        let _entered = span.enter();
        group.bench_function("event in a span (goal 900 ns)", |b| {
            let event = |n| tracing::info!(n, breed = "tabby", "a kitten was found");
            b.iter_custom(|n| parts::rounds(n, || (), event_of(event), || capture.empty()));
        });
        group.bench_function("event, disabled (goal 1 ns)", |b| b.iter(|| tracing::debug!("not wanted")));
    });
    stock::logs(&mut group);
    group.finish();
}

/// An event whose field changes.
fn event_of(event: impl Fn(u64)) -> impl FnMut(()) {
    let mut n = 0;
    move |()| {
        n += 1;
        event(n);
    }
}

fn requests(c: &mut Bench) {
    let capture = Capture::new("bench");
    let mut group = c.benchmark_group("request");
    group.bench_function("bare", |b| {
        b.iter_custom(|n| {
            parts::rounds(n, service::request, |r| service::call(&mut service::Hello, r), || ())
        });
    });
    let mut ours = capture.service().layer().paths(["/helloworld"]).layer(service::Hello);
    group.bench_function("whole: ids, span, access record, metrics (goal 2,500 ns)", |b| {
        b.iter_custom(|n| {
            parts::rounds(n, service::request, |r| service::call(&mut ours, r), || capture.empty())
        });
    });
    capture.call(|| {
        group.bench_function("timed call with a span", |b| {
            let call = |()| {
                let _ = service::now(timed("sqlite", "select", async { Ok::<_, std::fmt::Error>(()) }));
            };
            b.iter_custom(|n| parts::rounds(n, || (), call, || capture.empty()));
        });
    });
    stock::requests(&mut group);
    group.finish();

    allocations::tell("bare", || service::call(&mut service::Hello, service::request()));
    allocations::tell("whole", || {
        capture.empty();
        service::call(&mut ours, service::request())
    });
    stock::allocations();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ThreadCpu);
    targets = metrics, logs, requests
}
criterion_main!(benches);
