//! The same work by stock parts.

use super::cpu::ThreadCpu;
use super::{rounds, service};
use cadence::prelude::*;
use cadence::{BufferedUdpMetricSink, NopMetricSink, QueuingMetricSink, StatsdClient};
use criterion::BenchmarkGroup;
use http::Request;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use std::hint::black_box;
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use tower_http::trace::TraceLayer;
use tower_layer::Layer;
use tracing_subscriber::layer::SubscriberExt;

type Group<'a> = BenchmarkGroup<'a, ThreadCpu>;

/// A client over cadence's own queue and UDP; the socket keeps the address taken.
fn cadence() -> (StatsdClient, UdpSocket) {
    let collector = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let udp =
        BufferedUdpMetricSink::from(collector.local_addr().expect("bound"), socket).expect("an address");
    let queue = QueuingMetricSink::with_capacity(udp, 65_536);
    let client = StatsdClient::builder("bench", queue)
        .with_tag("environment", "test")
        .with_tag("host", "a")
        .with_error_handler(|_| {})
        .build();
    (client, collector)
}

pub(crate) fn metrics(group: &mut Group<'_>) {
    let nop = StatsdClient::builder("bench", NopMetricSink).with_tag("host", "a").build();
    group.bench_function("stock: cadence, formatting alone", |b| {
        b.iter(|| nop.count(black_box("cache.kittens.hit"), 1));
    });
    let (client, _collector) = cadence();
    group.bench_function("stock: cadence, queue and UDP", |b| {
        b.iter(|| client.count(black_box("cache.kittens.hit"), 1));
    });
    let collector = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let dogstatsd = metrics_exporter_dogstatsd::DogStatsDBuilder::default()
        .with_remote_address(collector.local_addr().expect("bound").to_string())
        .expect("an address")
        .build()
        .expect("it starts");
    metrics::with_local_recorder(&dogstatsd, || {
        let held = metrics::counter!("cache.kittens.hit");
        group.bench_function("stock: dogstatsd counter, held", |b| b.iter(|| held.increment(1)));
        group.bench_function("stock: dogstatsd counter, by name", |b| {
            b.iter(|| metrics::counter!("cache.kittens.hit").increment(1));
        });
        group.bench_function("stock: dogstatsd histogram, by name", |b| {
            b.iter(|| metrics::histogram!("sqlite.select.timing").record(black_box(0.75)));
        });
    });
}

pub(crate) fn logs(group: &mut Group<'_>) {
    let json = tracing_subscriber::fmt().json().flatten_event(true).with_writer(std::io::sink).finish();
    tracing::subscriber::with_default(json, || {
        let span = tracing::info_span!("request", method = "GET", path = "/kittens");
        let _entered = span.enter();
        let mut n = 0u64;
        group.bench_function("stock: tracing-subscriber JSON event in a span", |b| {
            b.iter(|| {
                n += 1;
                tracing::info!(n, breed = "tabby", "a kitten was found");
            });
        });
    });
}

/// Exports to nowhere.
#[derive(Debug)]
struct Forget;

impl SpanExporter for Forget {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// A request with a span that OpenTelemetry records, one JSON record, and four metrics.
fn with_service(run: impl FnOnce(&mut dyn FnMut(Request<axum::body::Body>))) {
    let provider = SdkTracerProvider::builder().with_batch_exporter(Forget).build();
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("bench")))
        .with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::sink));
    let (client, _collector) = cadence();
    tracing::subscriber::with_default(subscriber, || {
        let layer = TraceLayer::new_for_http()
            .make_span_with(|r: &Request<axum::body::Body>| {
                tracing::info_span!(
                    "request",
                    http.request.method = %r.method(),
                    url.path = r.uri().path(),
                    http.response.status_code = tracing::field::Empty,
                    request_id = "550e8400-e29b-41d4-a716-446655440000",
                )
            })
            .on_request(())
            .on_body_chunk(())
            .on_eos(())
            .on_response(|r: &http::Response<axum::body::Body>, took: Duration, span: &tracing::Span| {
                span.record("http.response.status_code", r.status().as_u16());
                tracing::info!(status = r.status().as_u16(), took = took.as_nanos() as u64, "answered");
            });
        let mut inner = layer.layer(service::Hello);
        run(&mut |request| {
            let start = Instant::now();
            let _ = client.count("handlers.helloworld.called", 1);
            service::call(&mut inner, request);
            let _ = client.count("handlers.helloworld.success", 1);
            let _ = client.time("handlers.helloworld.timing", start.elapsed());
            let _ = client.gauge("health.requests.in_flight", 1u64);
        });
    });
    let _ = provider.shutdown();
}

pub(crate) fn requests(group: &mut Group<'_>) {
    with_service(|call| {
        group.bench_function("stock: tower-http, JSON, tracing-opentelemetry, cadence", |b| {
            b.iter_custom(|n| rounds(n, service::request, &mut *call, || ()));
        });
    });
}

pub(crate) fn allocations() {
    with_service(|call| super::allocations::tell("stock", || call(service::request())));
}
