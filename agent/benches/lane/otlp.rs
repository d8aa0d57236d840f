//! Spans as an instrumented service sends them, over HTTP or gRPC, each connection waiting for its answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

pub(crate) const CONNECTIONS: u64 = 4;
pub(crate) const PER_REQUEST: u64 = 100;

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Http,
    Grpc,
}

/// Sends `count` of `requests` in turn on each connection; a failure ends the program.
pub(crate) fn send(way: Way, address: SocketAddr, count: u64, requests: &[Bytes]) {
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let mine =
                (0..count).map(move |n| &requests[(connection + n * CONNECTIONS) as usize % requests.len()]);
            scope.spawn(move || match way {
                Way::Http => over_http(address, mine),
                Way::Grpc => over_grpc(address, mine),
            });
        }
    });
}

fn over_http<'a>(address: SocketAddr, requests: impl Iterator<Item = &'a Bytes>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = [0; 4096];
    for body in requests {
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

fn over_grpc<'a>(address: SocketAddr, requests: impl Iterator<Item = &'a Bytes>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // As gRPC's libraries do: else each request waits for the acknowledgement of its header.
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build(connector);
        let url = format!("http://{address}/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        for message in requests {
            let prefix = [&[0], &(message.len() as u32).to_be_bytes()[..]].concat();
            let request = http::Request::post(&url)
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(Full::<Bytes>::from([&prefix, &message[..]].concat()))
                .unwrap();
            let answer = client.request(request).await.unwrap().into_body().collect().await.unwrap();
            let status = answer.trailers().and_then(|trailers| trailers.get("grpc-status"));
            assert!(status.is_some_and(|status| status == "0"), "{status:?}");
        }
    });
}

/// What an instrumented service sends: one resource, one scope, requests with their usual attributes.
pub(crate) fn request(n: u64) -> Bytes {
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
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec().into()
}
