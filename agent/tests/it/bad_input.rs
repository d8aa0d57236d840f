//! Rubbish on every port: counted by its reason, answered where the protocol can answer, and nothing else suffers.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use super::support::agent::Ports;
use super::support::{eventually, get_text};

/// The sum of all samples of `name` whose labels contain `label`.
async fn counted(ports: &Ports, name: &str, label: &str) -> f64 {
    let text = get_text(&ports.url("/metrics")).await.unwrap_or_default();
    let lines = text.lines().filter(|l| l.starts_with(name) && l.contains(label));
    lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn rises(ports: &Ports, name: &str, label: &str, above: f64) {
    eventually(&format!("{name}{{{label}}} rises above {above}"), 20, async || {
        let now = counted(ports, name, label).await;
        if now > above { Ok(()) } else { Err(now) }
    })
    .await;
}

fn send(port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // The agent may hang up on rubbish in the middle of it.
    let _ = stream.write_all(bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_is_counted_and_harms_nothing() {
    let ports = Ports::new();
    let _agent = ports.agent("").await;
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();

    // StatsD: bad lines beside a good one, over UDP and TCP.
    udp.send_to(b"a:b:c|q\nfine.one:1|c\n\xff\xfe:1|c\nnan:NaN|g", ("127.0.0.1", ports.statsd)).unwrap();
    rises(&ports, "sightline_rejected_total", "lane=\"metrics\"", 2.0).await;
    rises(&ports, "fine_one", "", 0.0).await;
    send(ports.statsd, &[b"x".repeat(2 << 20).as_slice(), b"\nfine.two:1|c\n"].concat());
    rises(&ports, "fine_two", "", 0.0).await;

    // Logs: a line that is not JSON is kept as `unparsed`; one of 2 MiB is refused; the connection lives on.
    let before = counted(&ports, "sightline_rejected_total", "lane=\"logs\"").await;
    let mut lines = b"not json at all\n{\"message\":\"".to_vec();
    lines.extend(b"y".repeat(2 << 20));
    lines.extend(b"\"}\n{\"message\":\"still here\",\"service\":\"bad-input\"}\n");
    send(ports.logs, &lines);
    rises(&ports, "sightline_rejected_total", "lane=\"logs\"", before).await;
    eventually("the good line and the odd one are stored", 20, async || {
        let all = get_text(&ports.url("/logs-*/_search?size=50")).await?;
        if all.contains("still here") && all.contains("not json at all") { Ok(()) } else { Err(all) }
    })
    .await;

    // OTLP and Zipkin: a clear answer, a count.
    let client = reqwest::Client::new();
    for (port, path, kind, body, expected) in [
        (ports.otlp, "/v1/traces", "application/x-protobuf", &b"\x0a\xff\xff\xff"[..], 400),
        (ports.otlp, "/v1/traces", "application/json", b"{\"resourceSpans\": 3}", 400),
        (ports.otlp, "/v1/nothing", "application/json", b"{}", 404),
        (ports.otlp, "/v1/traces", "text/plain", b"hello", 415),
        (ports.zipkin, "/api/v2/spans", "application/json", b"[{\"traceId\":\"zz\"}]", 400),
        (ports.zipkin, "/api/v1/spans", "application/json", b"[]", 410),
    ] {
        let url = format!("http://127.0.0.1:{port}{path}");
        let answer = client.post(&url).header("content-type", kind).body(body.to_vec()).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap_or_default();
        assert_eq!(status, expected, "{url}: {text}");
        assert!(!text.trim().is_empty(), "{url} says what is wrong");
    }
    rises(&ports, "sightline_rejected_total", "lane=\"spans\"", 1.0).await;
    assert_eq!(client.get(ports.url("/no/such/path")).send().await.unwrap().status(), 404);

    // The page's port: not HTTP at all.
    let mut stream = TcpStream::connect(("127.0.0.1", ports.web)).unwrap();
    stream.write_all(b"\x16\x03\x01 this is not http\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // Either an answer or a closed connection; what matters is that the next request is served.
    let _ = stream.read(&mut [0; 256]);
    assert!(get_text(&ports.url("/-/ready")).await.is_ok());
}
