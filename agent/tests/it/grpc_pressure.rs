//! OTLP over gRPC against a back end that is away and a queue that is small: senders are told to come back, and when
//! the back end does, everything has arrived once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;

use super::fakes::server::Server;
use super::fakes::spans::Spans;
use super::support::agent::Ports;
use super::support::{eventually, free_port, get_text};

const SENDERS: u64 = 4;
const REQUESTS: u64 = 40;
const PER_REQUEST: u64 = 50;

fn request(first: u64) -> ExportTraceServiceRequest {
    let text = AnyValue { value: Some(Value::StringValue("x".repeat(300))) };
    let attributes = vec![KeyValue { key: "pad".into(), value: Some(text), ..KeyValue::default() }];
    let span = |n: u64| Span {
        trace_id: u128::from(n + 1).to_be_bytes().to_vec(),
        span_id: (n + 1).to_be_bytes().to_vec(),
        start_time_unix_nano: 1_767_225_600_000_000_000 + n,
        end_time_unix_nano: 1_767_225_600_000_001_000 + n,
        attributes: attributes.clone(),
        ..Span::default()
    };
    let spans = (first..first + PER_REQUEST).map(span).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }],
    }
}

/// Sends its requests in order, each until it is taken; half of the senders compress.
async fn sender(address: String, number: u64, told: Arc<AtomicU64>) {
    let channel = Endpoint::new(address).unwrap().connect().await.unwrap();
    let mut client = TraceServiceClient::new(channel);
    if number % 2 == 1 {
        client = client.send_compressed(CompressionEncoding::Gzip);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    for n in 0..REQUESTS {
        let request = request((number * REQUESTS + n) * PER_REQUEST);
        while let Err(status) = client.export(request.clone()).await {
            assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
            // Without it a sender gives up: the specification's line between "full now" and "too much".
            assert!(String::from_utf8_lossy(status.details()).contains("google.rpc.RetryInfo"));
            assert!(Instant::now() < deadline, "never taken");
            told.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_delays_grpc_senders_and_loses_nothing() {
    let mut server = Server::start(Spans::default()).await;
    server.down().await;
    let ports = Ports::new();
    let grpc = format!("127.0.0.1:{}", free_port());
    let more = format!(
        "zipkin: {{urls: ['{}'], delivery: {{linger: 1ms, max_backoff: 200ms}}}}\n\
         queue: {{min_free: 0, max_bytes: 1MiB, segment_bytes: 256KiB}}",
        server.url()
    );
    let _agent = ports.start("http: {listen: off}", &more, &[("SIGHTLINE_OTLP__GRPC__LISTEN", &grpc)]).await;
    let told = Arc::<AtomicU64>::default();
    let senders: Vec<_> =
        (0..SENDERS).map(|n| tokio::spawn(sender(format!("http://{grpc}"), n, told.clone()))).collect();
    eventually("every sender was told to wait", 30, async || match told.load(Ordering::Relaxed) {
        n if n >= 2 * SENDERS => Ok(()),
        n => Err(n),
    })
    .await;
    server.up().await;
    for sender in senders {
        sender.await.unwrap();
    }
    let count = SENDERS * REQUESTS * PER_REQUEST;
    eventually("all spans are there", 30, async || match server.store.len() as u64 {
        n if n == count => Ok(()),
        n => Err(n),
    })
    .await;
    assert_eq!((server.store.doubled(), server.store.violations()), (0, vec![]));
    let text = get_text(&ports.url("/metrics")).await.unwrap();
    let received = format!("sightline_received_total{{lane=\"spans\"}} {count}");
    assert!(text.contains(&received), "what was refused was not counted as received: {text}");
}
