//! The pure parts of the metrics lane: reading lines, updating series, rendering an exposition.
//!
//! Whole processes under load are measured by the bench `load`.
#![allow(clippy::unwrap_used)] // a program for people, that ends at the first surprise

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sightline_agent::metrics::line::{self, Dialect, Refusal, Sample, Sink};
use sightline_agent::metrics::naming::Rules;
use sightline_agent::metrics::render::{Format, Renderer};
use sightline_agent::metrics::tally::Batch;
use sightline_agent::metrics::{Registry, Settings};

#[path = "load/lines.rs"]
mod lines;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Count(u64);

impl Sink for Count {
    fn sample(&mut self, sample: &Sample<'_>) {
        self.0 += u64::from(black_box(sample).weight > 0.0);
    }
    fn refuse(&mut self, _: Refusal) {}
}

fn registry() -> Arc<Registry> {
    Arc::new(Registry::new(&Settings::default(), Rules::default(), &[]))
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    let cases = [
        ("counter", "kittenserver.handlers.list.success:1|c"),
        ("tagged", "kittenserver.handlers.list.timing:12.5|ms|@0.5|#environment:prod,host:web-1"),
        ("dogstatsd 1.6", "a.b:1:2:3|d|#env:prod,service:x|c:ci-0123456789|T1656581400|e:it-false|card:low"),
    ];
    for (name, text) in cases {
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |b| {
            let mut count = Count(0);
            b.iter(|| line::parse(black_box(text.as_bytes()), Dialect::default(), &mut count));
        });
    }
}

fn update(c: &mut Criterion) {
    let mut group = c.benchmark_group("update");
    for series in [1_000, 10_000] {
        let load = lines::mix(series, 40_000);
        let datagrams = lines::datagrams(&load, 1_400);
        group.throughput(Throughput::Elements(load.len() as u64));
        group.bench_function(format!("mix of {series} series"), |b| {
            let registry = registry();
            let mut batch = Batch::default();
            b.iter(|| {
                for datagram in &datagrams {
                    registry.ingest(&datagram.bytes, 1, &mut batch);
                }
            });
        });
    }
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("series never seen", |b| {
        let load: Vec<String> =
            (0..10_000).map(|i| format!("a.b.c{i}:1|c|#environment:prod,host:web-1")).collect();
        b.iter_batched(
            registry,
            |registry| {
                let mut batch = Batch::default();
                for line in &load {
                    registry.ingest(line.as_bytes(), 1, &mut batch);
                }
                registry
            },
            BatchSize::PerIteration,
        );
    });
}

fn render(c: &mut Criterion) {
    let mut group = c.benchmark_group("render");
    let registry = registry();
    for datagram in lines::datagrams(&lines::mix(10_000, 100_000), 1_400) {
        registry.ingest(&datagram.bytes, 1, &mut Batch::default());
    }
    group.throughput(Throughput::Elements(registry.len() as u64));
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        group.bench_function(format!("{format:?} of 10000 series"), |b| {
            let mut out = Vec::new();
            b.iter(|| {
                let mut renderer = Renderer::new(Arc::clone(&registry), format, 1);
                loop {
                    out.clear();
                    if !renderer.next_piece(&mut out) {
                        break;
                    }
                }
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2))
        .sample_size(20);
    targets = parse, update, render
}
criterion_main!(benches);
