//! Throughput of the spans lane with its disk queue: OTLP over HTTP in protobuf, 100 spans a request, four
//! connections that each wait for their answer, into a cheap back end that takes Zipkin's v2 JSON.
//!
//! `cargo bench --bench spans -- [--spans 1000000] [--rounds 3] [--free]`. The agent has one processor, generator and
//! back end the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench that cannot go on has nothing to measure"
)]
#![allow(clippy::print_stdout, reason = "it prints its table")]

mod lane;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lane::sink::{Kind, Sink};
use lane::{agent, argument, flag, process};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

const CONNECTIONS: u64 = 4;
const PER_REQUEST: u64 = 100;
/// Requests that are made before the clock runs, and sent again and again.
const PREPARED: u64 = 64;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if flag("test") {
        return;
    }
    let (spans, rounds) = (argument("spans", 1_000_000u64), argument("rounds", 3));
    let spans = spans.next_multiple_of(CONNECTIONS * PER_REQUEST);
    agent::stand_aside();
    let requests: Vec<Vec<u8>> = (0..PREPARED).map(request).collect();
    println!("{} bytes a request of {PER_REQUEST} spans", requests[0].len());
    println!("| round | spans/s | CPU s per million | peak RSS MiB | requests out |");
    println!("|---|---|---|---|---|");
    for round in 1..=rounds {
        let sink = Sink::start(Kind::Spans);
        let dir = tempfile::tempdir().unwrap();
        let input = agent::port();
        let extra = format!(
            "otlp: {{grpc: {{listen: 'off'}}, http: {{listen: '{input}'}}}}\nzipkin: {{urls: ['http://{}']}}",
            sink.address
        );
        let mut child = agent::start(dir.path(), input, &extra);
        let before = process::cpu_seconds(child.id());
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for connection in 0..CONNECTIONS {
                let requests = &requests;
                scope.spawn(move || send(input, connection, spans / CONNECTIONS / PER_REQUEST, requests));
            }
        });
        sink.wait(spans, PATIENCE);
        let wall = begun.elapsed().as_secs_f64();
        let cpu = process::cpu_seconds(child.id()) - before;
        println!(
            "| {round} | {:.0} | {:.2} | {:.0} | {} |",
            spans as f64 / wall,
            cpu * 1e6 / spans as f64,
            process::mebibytes(child.id(), "VmHWM"),
            sink.requests()
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn send(address: SocketAddr, connection: u64, count: u64, requests: &[Vec<u8>]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = [0; 4096];
    for n in 0..count {
        let body = &requests[((connection + n * CONNECTIONS) % PREPARED) as usize];
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-protobuf\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        // A success fits into one read; anything else ends the bench.
        let length = stream.read(&mut answer).unwrap();
        let answer = &answer[..length];
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(answer));
    }
}

/// What an instrumented service sends: one resource, one scope, requests with their usual attributes.
fn request(n: u64) -> Vec<u8> {
    let attribute = |key: &str, value: Value| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    let text = |key: &str, value: &str| attribute(key, Value::StringValue(value.into()));
    let spans = (0..PER_REQUEST)
        .map(|i| {
            let id = n * PER_REQUEST + i + 1;
            let start = 1_767_225_600_000_000_000 + id * 1_000_000;
            Span {
                trace_id: u128::from(id / 4 + 1).to_be_bytes().to_vec(),
                span_id: id.to_be_bytes().to_vec(),
                parent_span_id: if id.is_multiple_of(4) {
                    Vec::new()
                } else {
                    (id - id % 4).to_be_bytes().to_vec()
                },
                name: "GET /kittens/{id}".into(),
                kind: 2 + i32::from(!id.is_multiple_of(4)),
                start_time_unix_nano: start,
                end_time_unix_nano: start + 1_500_000,
                attributes: vec![
                    text("http.request.method", "GET"),
                    text("url.path", "/kittens/42"),
                    attribute("http.response.status_code", Value::IntValue(200)),
                    text("http.request.id", "5f2b9c1e-0000-4000-8000-00000000002a"),
                    text("service", "kittenserver"),
                    text("group", "handlers"),
                    text("segment", "list"),
                    text("server.address", "kittens.example"),
                ],
                ..Span::default()
            }
        })
        .collect();
    let resource = Resource {
        attributes: vec![
            text("service.name", "kittenserver"),
            text("service.version", "1.2.3"),
            text("deployment.environment.name", "bench"),
            text("host.name", "server1"),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope { name: "bench".into(), ..InstrumentationScope::default() };
    let scope_spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
    let resource_spans = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}
