//! The OTLP and Zipkin receivers over real loopback sockets, with answers that clients can read.

use std::io::Write;
use std::sync::Arc;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full as Whole};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::watch;

use super::{Settings, Signals, start};
use crate::receive::access::Token;
use crate::receive::address::Address;
use crate::receive::sink::memory::Memory;
use crate::spans::otlp::Traces;
use crate::spans::{Intake, sample::Sampling};
use crate::units::Bytes as Size;

fn free() -> Address {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    serde_json::from_value(format!("127.0.0.1:{port}").into()).unwrap()
}

struct Ports {
    sink: Arc<Memory>,
    http: String,
    grpc: String,
    _stop: watch::Sender<bool>,
}

async fn ports(bound: usize, change: impl FnOnce(&mut Settings)) -> Ports {
    let sink = Memory::with_bound(bound);
    let (stop, stopped) = watch::channel(false);
    let mut settings = Settings::default();
    settings.http.listen = free();
    settings.grpc.listen = free();
    change(&mut settings);
    let traces = Traces(Intake::new(Sampling::default(), None, sink.clone()));
    let signals = Signals { traces: Some(Arc::new(traces)), ..Signals::default() };
    start(&settings, signals, stopped).await.unwrap();
    let url = |address: &Address| format!("http://{}", address.socket().unwrap());
    Ports { sink, http: url(&settings.http.listen), grpc: url(&settings.grpc.listen), _stop: stop }
}

fn request(ids: &[&[u8]]) -> ExportTraceServiceRequest {
    let spans = ids
        .iter()
        .map(|id| Span { trace_id: vec![1; 16], span_id: id.to_vec(), ..Span::default() })
        .collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

async fn post(
    url: String,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (StatusCode, http::HeaderMap, Vec<u8>) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client.request(request.body(Whole::<bytes::Bytes>::from(body)).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn http_takes_protobuf_json_and_gzip_and_tells_what_it_refused() {
    let ports = ports(100, |_| {}).await;
    let traces = || format!("{}/v1/traces", ports.http);
    let bytes = request(&[&[1; 8], &[2; 4]]).encode_to_vec();
    let (status, headers, body) = post(traces(), &[PROTOBUF], bytes.clone()).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::OK, PROTOBUF.1));
    let partial = ExportTraceServiceResponse::decode(&body[..]).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);

    let json = serde_json::to_vec(&request(&[&[3; 8]])).unwrap();
    let (status, headers, body) = post(traces(), &[JSON], json).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"{}"[..]));
    assert_eq!(headers["content-type"], JSON.1);

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    let (status, ..) =
        post(traces(), &[PROTOBUF, ("content-encoding", "gzip")], gzip.finish().unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(ports.sink.len(), 3);
}

#[tokio::test]
async fn http_answers_each_mistake_with_its_status() {
    let ports = ports(100, |settings| settings.http.limits.size = Size(10_000)).await;
    let traces = || format!("{}/v1/traces", ports.http);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![0; 4 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let gzip = ("content-encoding", "gzip");
    for (url, headers, body, expected) in [
        (traces(), &[PROTOBUF][..], b"\x0a\xff".to_vec(), 400),
        (traces(), &[JSON], b"{\"resourceSpans\":".to_vec(), 400),
        (traces(), &[PROTOBUF, gzip], b"no gzip".to_vec(), 400),
        (traces(), &[("content-type", "text/plain")], vec![], 415),
        (traces(), &[PROTOBUF, ("content-encoding", "br")], vec![], 415),
        (traces(), &[PROTOBUF], vec![0; 10_001], 413),
        (traces(), &[PROTOBUF, gzip], bomb, 413),
        (format!("{}/v1/logs", ports.http), &[PROTOBUF], vec![], 404),
    ] {
        let (status, _, answer) = post(url, headers, body).await;
        assert_eq!(status, expected, "{headers:?} {}", String::from_utf8_lossy(&answer));
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Whole<bytes::Bytes>>();
    assert_eq!(client.get(traces().parse().unwrap()).await.unwrap().status(), 405);
    // After all of that, good input is served.
    let (status, ..) = post(traces(), &[PROTOBUF], request(&[&[1; 8]]).encode_to_vec()).await;
    assert_eq!((status.as_u16(), ports.sink.len()), (200, 1));
}

#[tokio::test]
async fn a_full_queue_is_a_retryable_answer() {
    let ports = ports(0, |_| {}).await;
    let bytes = request(&[&[1; 8]]).encode_to_vec();
    let (status, headers, _) = post(format!("{}/v1/traces", ports.http), &[PROTOBUF], bytes).await;
    assert_eq!(
        (status, &headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &http::HeaderValue::from(1))
    );
    let channel = tonic::transport::Endpoint::new(ports.grpc.clone()).unwrap().connect().await.unwrap();
    let status = TraceServiceClient::new(channel).export(request(&[&[1; 8]])).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("google.rpc.RetryInfo"), "{details}");
}

#[tokio::test]
async fn grpc_takes_plain_and_gzip() {
    let ports = ports(100, |_| {}).await;
    let channel = tonic::transport::Endpoint::new(ports.grpc.clone()).unwrap().connect().await.unwrap();
    let mut client = TraceServiceClient::new(channel.clone());
    let answer = client.export(request(&[&[1; 8], &[2; 4]])).await.unwrap().into_inner();
    assert_eq!(answer.partial_success.unwrap().rejected_spans, 1);
    let mut client =
        TraceServiceClient::new(channel).send_compressed(tonic::codec::CompressionEncoding::Gzip);
    client.export(request(&[&[3; 8]])).await.unwrap();
    assert_eq!(ports.sink.len(), 2);
}

#[tokio::test]
async fn a_request_without_its_token_is_not_served() {
    let ports = ports(100, |settings| settings.http.access.tokens = vec![Token("s3cret".into())]).await;
    let traces = || format!("{}/v1/traces", ports.http);
    let bytes = request(&[&[1; 8]]).encode_to_vec();
    let (status, ..) = post(traces(), &[PROTOBUF], bytes.clone()).await;
    assert_eq!((status, ports.sink.len()), (StatusCode::UNAUTHORIZED, 0));
    let (status, ..) = post(traces(), &[PROTOBUF, ("authorization", "Bearer s3cret")], bytes).await;
    assert_eq!((status, ports.sink.len()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn http_at_the_port_of_grpc_gets_an_error_that_http_sees() {
    let ports = ports(100, |_| {}).await;
    let service = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
    for (path, expected, says) in [("v1/traces", 404, "this is otlp_grpc"), (service, 415, "port 4318")] {
        let bytes = request(&[&[1; 8]]).encode_to_vec();
        let (status, _, text) = post(format!("{}/{path}", ports.grpc), &[PROTOBUF], bytes).await;
        assert_eq!((status.as_u16(), ports.sink.len()), (expected, 0), "{path}");
        assert!(String::from_utf8_lossy(&text).contains(says), "{path}");
    }
}
