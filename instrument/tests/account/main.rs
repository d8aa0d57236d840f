//! Nothing is lost silently: what a service emitted has arrived or is in the counters of what was dropped, for metrics, logs
//! and spans, while the collector is stopped, slow and started again. And an hour's traffic without a collector stays
//! within the memory that the README states. A process of its own: the service is installed, and memory is counted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod collector;
mod memory;
#[allow(dead_code, reason = "another test wants to know more of a span")]
#[path = "../support/otlp.rs"]
mod otlp;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::{Router, routing::get};
use collector::Collector;
use sightline_instrument::{Instrument, LogTarget, counter, timer};
use std::time::{Duration, Instant};
use tower::ServiceExt;

/// Of log records, in bytes, and of spans: as the settings below say.
const LOGS: usize = 2 << 20;
const SPANS: usize = 2_000;
/// What the README allows beside them: a span with its request takes up to this much, and everything else this.
const SPAN: usize = 3 << 10;
const REST: usize = 4 << 20;

struct Service {
    app: Router,
    runtime: tokio::runtime::Runtime,
    requests: u64,
}

impl Service {
    /// Each makes one span, one access record, one record of its own, and counts one.
    fn requests(&mut self, n: u64) {
        self.runtime.block_on(async {
            for _ in 0..n {
                let request =
                    Request::get("/kittens").header("user-agent", "test/1").body(Body::empty()).unwrap();
                let answer = self.app.clone().oneshot(request).await.unwrap();
                to_bytes(Body::new(answer.into_body()), 1_000).await.unwrap();
            }
        });
        self.requests += n;
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn dropped(instrument: &Instrument, lane: &str) -> u64 {
    instrument.dropped().iter().filter(|d| d.0 == lane).map(|d| d.2).sum()
}

#[test]
fn what_was_emitted_arrived_or_was_counted() {
    let mut collector = Collector::start(None);
    let [statsd, logs, spans] = collector.addresses();
    let instrument = Instrument::builder("svc")
        .settings(|s| {
            s.service = "svc".to_owned();
            s.statsd = Some(statsd.to_string());
            s.logs = LogTarget::Tcp(logs.to_string());
            s.otlp_traces = Some(format!("http://{spans}/v1/traces"));
            s.console = false;
            s.log_filter = "info".to_owned();
            s.log_rate_limit = 50_000;
            s.log_buffer_bytes = LOGS;
            s.span_queue = SPANS;
            s.max_series = 100;
            s.metrics_interval = Duration::from_millis(50);
        })
        .install();
    let kittens = || async {
        counter("cache", "kittens", "hit").increment(1);
        timer("sqlite", "select").record(Duration::from_micros(250));
        tracing::info!("a kitten was found");
        "Felix"
    };
    let app = Router::new().route("/kittens", get(kittens)).layer(instrument.layer());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // The counters of what is dropped are series themselves: they shall not fall to the limit that is tried below.
    for (lane, reason) in [("logs", "buffer_full"), ("logs", "rate_limited"), ("spans", "buffer_full")] {
        counter("telemetry", lane, reason);
    }
    counter("telemetry", "metrics", "too_many_series");
    let mut service = Service { app, runtime, requests: 0 };

    // The collector is there, then slow: it reads nothing while records come.
    service.requests(500);
    until("all arrives", || collector.seen().spans() == 500 && collector.seen().logs() == 1_000);
    collector.slow(true);
    service.requests(1_500);
    std::thread::park_timeout(Duration::from_millis(200));
    collector.slow(false);
    until("the rest arrives", || collector.seen().spans() == 2_000 && collector.seen().logs() == 4_000);
    until("the metrics arrive", || collector.seen().hits() == 2_000);
    assert_eq!(instrument.dropped(), [], "slowness loses nothing");

    // It is gone for as many requests as an hour has seconds, ten in each.
    collector.stop();
    let before = memory::held();
    service.requests(36_000);
    let grown = memory::held().saturating_sub(before);
    assert!(grown < LOGS + SPANS * SPAN + REST, "{grown} bytes more are held");
    assert!(dropped(&instrument, "logs") > 0 && dropped(&instrument, "spans") > 0);

    // Too many names are counted, too.
    for n in 0..200 {
        counter("names", &n.to_string(), "made_up").increment(3);
    }

    // It is back at the same place, and everything that was kept comes.
    collector = Collector::start(Some(collector));
    service.requests(100);
    until("spans come again", || {
        collector.seen().spans() + dropped(&instrument, "spans") == service.requests
    });
    instrument.shutdown(Duration::from_secs(10));

    // What is in the collector's sockets has arrived.
    let requests = service.requests;
    let lost = |lane| dropped(&instrument, lane);
    until("counters went on adding up while nobody listened", || collector.seen().hits() == requests);
    // Samples are thinned out; their rate is sent along.
    until("all timings are accounted for", || collector.seen().timings() == requests);
    until("all spans are accounted for", || collector.seen().spans() + lost("spans") == requests);
    until("all records are accounted for", || collector.seen().logs() + lost("logs") == requests * 2);
    until("all made up names are accounted for", || collector.seen().made_up() + lost("metrics") == 200 * 3);
    until("the log says what is missing from it", || collector.seen().told());
}
