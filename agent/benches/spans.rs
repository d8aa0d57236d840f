//! Throughput of the spans lane with its disk queue: OTLP over HTTP or gRPC in protobuf, 100 spans a request, four
//! connections that each wait for their answer, into a cheap back end that takes Zipkin's v2 JSON.
//!
//! `cargo bench --bench spans -- [--spans 1000000] [--rounds 3] [--grpc] [--free]`. The agent has one processor, generator
//! and back end the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench that cannot go on has nothing to measure"
)]
#![allow(clippy::print_stdout, reason = "it prints its table")]

mod lane;

use bytes::Bytes;
use lane::otlp::{self, CONNECTIONS, PER_REQUEST, Way};
use lane::sink::{Kind, Sink};
use lane::{agent, argument, flag, round};

/// Requests that are made before the clock runs, and sent again and again.
const PREPARED: u64 = 64;

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if flag("test") {
        return;
    }
    let (spans, rounds) = (argument("spans", 1_000_000u64), argument("rounds", 3));
    let spans = spans.next_multiple_of(CONNECTIONS * PER_REQUEST);
    let (way, on, off) = if flag("grpc") { (Way::Grpc, "grpc", "http") } else { (Way::Http, "http", "grpc") };
    agent::stand_aside();
    let requests: Vec<Bytes> = (0..PREPARED).map(otlp::request).collect();
    println!("{} bytes a request of {PER_REQUEST} spans, over {on}", requests[0].len());
    round::head("spans");
    for number in 1..=rounds {
        let sink = Sink::start(Kind::Spans);
        let dir = tempfile::tempdir().unwrap();
        let input = agent::port();
        let extra = format!(
            "otlp: {{{off}: {{listen: 'off'}}, {on}: {{listen: '{input}'}}}}\nzipkin: {{urls: ['http://{}']}}",
            sink.address
        );
        let agent = agent::start(dir.path(), input, &extra);
        let each = spans / CONNECTIONS / PER_REQUEST;
        round::round(number, agent.id(), &sink, spans, || otlp::send(way, input, each, &requests));
    }
}
