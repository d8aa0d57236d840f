//! The receivers over real loopback sockets, in front of a queue that is a vector.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;

use crate::logs::envelope::Envelope;
use crate::logs::{Handle, Settings, start};
use crate::receive::address::Address;
use crate::receive::sink::memory::Memory;
use crate::units::Bytes;

struct Lane {
    sink: Arc<Memory>,
    handle: Handle,
    stop: watch::Sender<bool>,
    tcp: std::net::SocketAddr,
    udp: std::net::SocketAddr,
    http: std::net::SocketAddr,
}

/// A port that was free a moment ago, for TCP and UDP alike.
fn free() -> Address {
    let port = std::iter::repeat_with(|| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
        .map(|listener| listener.local_addr().unwrap().port())
        .find(|port| std::net::UdpSocket::bind(("127.0.0.1", *port)).is_ok())
        .unwrap();
    serde_json::from_value(format!("127.0.0.1:{port}").into()).unwrap()
}

async fn lane(bound: usize, change: impl FnOnce(&mut Settings)) -> Lane {
    let sink = Memory::with_bound(bound);
    let (stop, stopped) = watch::channel(false);
    let mut settings = Settings::default();
    settings.tcp.listen = free();
    settings.udp.listen = free();
    settings.http.listen = free();
    change(&mut settings);
    let handle = start(&settings, "web-1", sink.clone(), stopped).await.unwrap();
    let [tcp, udp, http] =
        [&settings.tcp.listen, &settings.udp.listen, &settings.http.listen].map(|a| a.socket().unwrap());
    Lane { sink, handle, stop, tcp, udp, http }
}

fn messages(sink: &Memory) -> Vec<String> {
    let payloads = sink.payloads.lock();
    payloads
        .iter()
        .map(|payload| {
            let document = Envelope::decode(payload).unwrap().document;
            let value: serde_json::Value = serde_json::from_slice(document).unwrap();
            value["message"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn lines_over_tcp_and_udp_reach_the_queue() {
    let lane = lane(100, |_| {}).await;
    let mut tcp = TcpStream::connect(lane.tcp).await.unwrap();
    tcp.write_all(b"{\"message\":\"one\"}\r\n{\"message\":").await.unwrap();
    lane.sink.until(1).await;
    tcp.write_all(b"\"two\"}{\"message\":\"three\"}\nfour").await.unwrap();
    drop(tcp);
    lane.sink.until(4).await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.send_to(b"{\"message\":\"five\"}\n{\"message\":\"six\"}", lane.udp).await.unwrap();
    lane.sink.until(6).await;
    assert_eq!(messages(&lane.sink), ["one", "two", "three", "four", "five", "six"]);
    lane.stop.send_replace(true);
    lane.handle.stopped(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_full_queue_stops_the_reading_and_loses_nothing() {
    let lane = lane(10, |_| {}).await;
    let mut tcp = TcpStream::connect(lane.tcp).await.unwrap();
    let total = 20_000;
    let writer = tokio::spawn(async move {
        for n in 0..total {
            let line = format!("{{\"message\":\"{n}\",\"filler\":\"{}\"}}\n", "x".repeat(400));
            tcp.write_all(line.as_bytes()).await.unwrap();
        }
    });
    // Eight megabytes do not fit into the kernel's buffers of both sides: the writer has to be held up.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!writer.is_finished());
    lane.sink.set_bound(usize::MAX);
    writer.await.unwrap();
    lane.sink.until(total).await;
    let expected: Vec<String> = (0..total).map(|n| n.to_string()).collect();
    assert_eq!(messages(&lane.sink), expected);
}

#[tokio::test]
async fn stopping_takes_what_was_sent_before() {
    let lane = lane(100, |_| {}).await;
    let mut tcp = TcpStream::connect(lane.tcp).await.unwrap();
    tcp.write_all(b"{\"message\":\"one\"}\n").await.unwrap();
    lane.sink.until(1).await;
    tcp.write_all(b"{\"message\":\"two\"}\nthree").await.unwrap();
    lane.stop.send_replace(true);
    lane.handle.stopped(Duration::from_secs(5)).await;
    assert_eq!(messages(&lane.sink), ["one", "two", "three"]);
}

#[tokio::test]
async fn connections_beyond_the_cap_are_closed_and_idle_ones_too() {
    let lane = lane(100, |settings| {
        settings.tcp.limits.connections = 2;
        settings.tcp.limits.idle = crate::units::Span(Duration::from_millis(300));
    })
    .await;
    use tokio::io::AsyncReadExt;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(TcpStream::connect(lane.tcp).await.unwrap());
    }
    // The third is closed at once, the others when they have been idle for too long.
    for stream in open.iter_mut().rev() {
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0; 1])).await.unwrap();
        assert_eq!(ended.unwrap_or(0), 0);
    }
    let mut after = TcpStream::connect(lane.tcp).await.unwrap();
    after.write_all(b"{\"message\":\"served\"}\n").await.unwrap();
    lane.sink.until(1).await;
}

async fn post(lane: &Lane, path: &str, kind: &str, body: &str) -> (u16, http::HeaderMap, String) {
    use http_body_util::{BodyExt, Full};
    let client =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let request = http::Request::post(format!("http://{}{path}", lane.http)).header("content-type", kind);
    let request = request.body(Full::<bytes::Bytes>::from(body.to_owned())).unwrap();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn http_takes_lines_and_arrays() {
    let lane = lane(100, |_| {}).await;
    let (status, _, answer) =
        post(&lane, "/logs", "application/x-ndjson", "{\"message\":\"one\"}\n{\"message\":\"two\"}\n").await;
    assert_eq!((status, &*answer), (200, "{\"accepted\":2}\n"));
    let (status, ..) = post(&lane, "/logs", "application/json", "[{\"message\":\"three\"}]").await;
    assert_eq!((status, messages(&lane.sink)), (200, vec!["one".to_owned(), "two".into(), "three".into()]));
    let (status, ..) = post(&lane, "/logs", "application/json", "[{\"message\":").await;
    assert_eq!((status, lane.sink.len()), (400, 3));
    lane.sink.set_bound(3);
    let (status, headers, _) = post(&lane, "/logs", "application/json", "{\"message\":\"four\"}").await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "1"));
}

#[tokio::test]
async fn bulk_answers_each_item_and_keeps_ids() {
    let lane = lane(100, |_| {}).await;
    let body = concat!(
        "{\"create\":{\"_index\":\"logs-x\",\"_id\":\"mine\"}}\n{\"message\":\"one\"}\n",
        "{\"index\":{}}\n{\"message\":\n",
        "{\"delete\":{\"_id\":\"1\"}}\n",
        "{\"index\":{}}\n{\"message\":\"two\"}\n",
    );
    let (status, headers, answer) = post(&lane, "/kittens/_bulk", "application/x-ndjson", body).await;
    assert_eq!((status, headers["x-elastic-product"].to_str().unwrap()), (200, "Elasticsearch"));
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["errors"], true);
    let statuses: Vec<_> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [201, 400, 400, 201]);
    assert_eq!(answer["items"][3]["index"]["_index"], "kittens");
    assert_eq!(messages(&lane.sink), ["one", "two"]);
    assert_eq!(Envelope::decode(&lane.sink.payloads.lock()[0]).unwrap().id, "mine");
    let (status, ..) = post(&lane, "/_bulk", "application/x-ndjson", "no action\n").await;
    assert_eq!(status, 400);
}

/// Beats with their own defaults did not connect: they set up a template first, and nothing was received there.
#[tokio::test]
async fn shippers_set_up_what_they_like_before_they_send() {
    let lane = lane(100, |settings| settings.http.limits.size = Bytes(1000)).await;
    for path in ["/_index_template/filebeat-7.17.29", "/_ilm/policy/filebeat", "/_ingest/pipeline/x"] {
        let (status, headers, answer) = post(&lane, path, "application/json", "{\"a\":1}").await;
        assert_eq!((status, &*answer), (200, "{\"acknowledged\":true}"), "{path}");
        assert_eq!(headers["x-elastic-product"], "Elasticsearch");
        let (status, ..) = post(&lane, path, "application/json", &"x".repeat(1001)).await;
        assert_eq!(status, 413, "{path}");
    }
    assert_eq!(lane.sink.len(), 0, "nothing of it is a record");
}
