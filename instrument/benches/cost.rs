//! What instrumentation costs the thread that serves, with stock parts doing like work beside it.
//!
//! Run with `cargo bench -p sightline-instrument`. Buffers are emptied between batches, so that what is measured is
//! acceptance and not refusal. The stock parts: cadence formatting into a sink that throws away, and the compact
//! formatter of tracing-subscriber writing to nowhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench that cannot go on has nothing to measure"
)]

use axum::body::Body;
use cadence::prelude::*;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::BodyExt;
use sightline_instrument::testing::Capture;
use sightline_instrument::{counter, handler, timed, timer};
use std::convert::Infallible;
use std::hint::black_box;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

fn metrics(c: &mut Criterion) {
    let capture = Capture::new("bench");
    let mut group = c.benchmark_group("metrics");
    let held = capture.call(|| counter("cache", "kittens", "hit"));
    group.bench_function("counter, held", |b| b.iter(|| held.increment(1)));
    capture.call(|| {
        group.bench_function("counter, by name", |b| {
            b.iter(|| counter(black_box("cache"), "kittens", "hit").increment(1));
        });
        group.bench_function("handler(..).called()", |b| b.iter(|| handler(black_box("list")).called()));
        group.bench_function("counter, facade", |b| {
            b.iter(|| metrics::counter!("cache.kittens.hit").increment(1))
        });
    });
    let held = capture.call(|| timer("sqlite", "select"));
    group.bench_function("timer, held", |b| b.iter(|| held.record(black_box(Duration::from_micros(750)))));
    capture.call(|| {
        group.bench_function("timer, by name", |b| {
            b.iter(|| timer(black_box("sqlite"), "select").record(Duration::from_micros(750)));
        });
    });
    let client =
        cadence::StatsdClient::builder("bench", cadence::NopMetricSink).with_tag("host", "a").build();
    group.bench_function("stock: cadence counter", |b| {
        b.iter(|| client.count(black_box("cache.kittens.hit"), 1))
    });
    group.finish();
}

fn logs(c: &mut Criterion) {
    let capture = Capture::with("bench", |s| {
        s.log_rate_limit = u32::MAX;
        s.log_filter = "info".to_owned();
    });
    let mut group = c.benchmark_group("logs");
    capture.call(|| {
        let span = tracing::info_span!("request", method = "GET", path = "/kittens");
        let _entered = span.enter();
        group.bench_function("event in a span", |b| {
            b.iter_batched(
                || capture.empty(),
                |()| {
                    for n in 0..64 {
                        tracing::info!(n, breed = "tabby", "a kitten was found");
                    }
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function("event, disabled", |b| b.iter(|| tracing::debug!("not wanted")));
    });
    let stock = tracing_subscriber::fmt().compact().with_ansi(false).with_writer(std::io::sink).finish();
    tracing::subscriber::with_default(stock, || {
        let span = tracing::info_span!("request", method = "GET", path = "/kittens");
        let _entered = span.enter();
        group.bench_function("stock: fmt compact event in a span", |b| {
            b.iter(|| {
                for n in 0..64 {
                    tracing::info!(n, breed = "tabby", "a kitten was found");
                }
            });
        });
    });
    group.finish();
}

/// Answers at once.
#[derive(Clone)]
struct Hello;

impl Service<Request<Body>> for Hello {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::from("hello"))))
    }
}

fn request() -> Request<Body> {
    Request::post("/helloworld")
        .header("host", "kittens.example")
        .header("user-agent", "bench/1.0")
        .header("accept", "*/*")
        .header("content-type", "application/json")
        .header("content-length", "14")
        .body(Body::from("{\"name\":\"Nic\"}"))
        .expect("a valid request")
}

fn now<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

fn requests(c: &mut Criterion) {
    let capture = Capture::new("bench");
    let mut group = c.benchmark_group("request");
    let mut bare = Hello;
    group.bench_function("bare", |b| {
        b.iter_batched(
            request,
            |r| now(async { bare.call(r).await.map(|a| now(a.into_body().collect())) }),
            BatchSize::SmallInput,
        );
    });
    let mut service = capture.service().layer().paths(["/helloworld"]).layer(Hello);
    group.bench_function("whole: ids, span, record, metrics", |b| {
        b.iter_batched(
            || {
                capture.empty();
                request()
            },
            |r| now(async { service.call(r).await.map(|a| now(a.into_body().collect())) }),
            BatchSize::SmallInput,
        );
    });
    capture.call(|| {
        group.bench_function("timed call with a span", |b| {
            b.iter_batched(
                || capture.empty(),
                |()| now(timed("sqlite", "select", async { Ok::<_, std::fmt::Error>(()) })),
                BatchSize::SmallInput,
            );
        });
    });
    group.finish();
}

criterion_group!(benches, metrics, logs, requests);
criterion_main!(benches);
