//! Input that means harm: bombs, depth, size, slowness, numbers of connections. The agent stays up and small, counts
//! what it refuses, and serves the next good input.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::fakes::bulk::Bulk;
use super::fakes::server::Server;
use super::support::agent::{Ports, Process};
use super::support::{eventually, free_port, get_text};

/// What all of it together may cost above an agent that was just started, in MiB.
const ROOM: u64 = 160;

/// The patience of the ports is short here, and what unfinished lines may hold is little.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("SIGHTLINE_LOGS__TCP__LIMITS__BODY", "2s"),
    ("SIGHTLINE_SPANS__ZIPKIN__LIMITS__IDLE", "2s"),
    ("SIGHTLINE_LOGS__TCP__LIMITS__IN_FLIGHT", "4MiB"),
];

fn resident(agent: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

struct Target {
    ports: Ports,
    http: u16,
    grpc: u16,
    client: reqwest::Client,
}

impl Target {
    async fn count(&self, name: &str, labels: &[&str]) -> f64 {
        let text = get_text(&self.ports.url("/metrics")).await.unwrap_or_default();
        let lines =
            text.lines().filter(|l| l.starts_with(name) && labels.iter().all(|label| l.contains(label)));
        lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    async fn rejected(&self, lane: &str, reason: &str) -> f64 {
        let (lane, reason) = (format!("lane=\"{lane}\""), format!("reason=\"{reason}\""));
        self.count("sightline_rejected_total", &[&lane, &reason]).await
    }

    async fn rises(&self, name: &str, labels: &[&str], from: f64) {
        eventually(&format!("{name}{labels:?} is counted"), 20, async || {
            let now = self.count(name, labels).await;
            if now > from { Ok(()) } else { Err(now) }
        })
        .await;
    }

    /// The gRPC status of one call whose message is `message`, compressed or not.
    async fn call(&self, service: &str, flag: u8, message: &[u8]) -> String {
        let mut frame = vec![flag];
        frame.extend((message.len() as u32).to_be_bytes());
        frame.extend(message);
        self.frame(service, frame).await
    }

    async fn frame(&self, service: &str, frame: Vec<u8>) -> String {
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let uri = format!("http://127.0.0.1:{}/opentelemetry.proto.collector.{service}/Export", self.grpc);
        let request = http::Request::post(uri)
            .header("content-type", "application/grpc")
            .header("grpc-encoding", "gzip")
            .body(Full::<bytes::Bytes>::from(frame))
            .unwrap();
        let answer = client.request(request).await.unwrap();
        let status = |headers: &http::HeaderMap| Some(headers.get("grpc-status")?.to_str().ok()?.to_owned());
        let head = status(answer.headers());
        let rest = answer.into_body().collect().await.unwrap();
        head.or_else(|| status(rest.trailers()?)).unwrap_or_default()
    }

    async fn post(&self, port: u16, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> u16 {
        let mut request = self.client.post(format!("http://127.0.0.1:{port}{path}")).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    }

    /// A good record, span and sample still get through.
    async fn serves(&self, server: &Server<Bulk>, n: u64) {
        let mut lines = TcpStream::connect(("127.0.0.1", self.ports.logs)).unwrap();
        writeln!(lines, "{{\"n\":{n},\"service\":\"good\"}}").unwrap();
        eventually("a good record arrives", 20, async || {
            if server.store.tally(n + 1).lost == 0 { Ok(()) } else { Err(server.store.len()) }
        })
        .await;
        let span = format!(r#"[{{"traceId":"{:032x}","id":"{:016x}","name":"good"}}]"#, n + 1, n + 1);
        let json = [("content-type", "application/json")];
        assert_eq!(self.post(self.ports.zipkin, "/api/v2/spans", &json, span.into_bytes()).await, 202);
    }
}

fn bomb(megabytes: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..megabytes {
        gzip.write_all(&zeros).unwrap();
    }
    gzip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harm_is_refused_counted_and_forgotten() {
    let server = Server::start(Bulk::default()).await;
    let ports = Ports::new();
    let http = free_port();
    let more = format!(
        "elasticsearch: {{urls: ['{}'], delivery: {{linger: 1ms}}}}\nqueue: {{min_free: 0}}",
        server.url()
    );
    let logs = format!(
        "http: {{listen: '127.0.0.1:{http}', limits: {{body: 500ms, header: 500ms}}}}, max_line: 256KiB"
    );
    let grpc = free_port();
    let address = format!("127.0.0.1:{grpc}");
    let environment = [&ENVIRONMENT[..], &[("SIGHTLINE_OTLP__GRPC__LISTEN", address.as_str())]].concat();
    let agent = ports.start(&logs, &more, &environment).await;
    let target = Target { ports, http, grpc, client: reqwest::Client::new() };
    target.serves(&server, 0).await;
    let before = resident(&agent);

    // Some kilobytes that become a gigabyte, on each port that unpacks.
    let bomb = bomb(1024);
    let (json, protobuf) = ("application/json", "application/x-protobuf");
    for (port, path, kind, lane) in [
        (http, "/logs", json, "logs"),
        (target.ports.otlp, "/v1/logs", json, "logs"),
        (target.ports.otlp, "/v1/traces", protobuf, "spans"),
        (target.ports.otlp, "/v1/metrics", protobuf, "metrics"),
        (target.ports.zipkin, "/api/v2/spans", json, "spans"),
    ] {
        let was = target.rejected(lane, "body_too_large").await;
        let headers = [("content-type", kind), ("content-encoding", "gzip")];
        assert_eq!(target.post(port, path, &headers, bomb.clone()).await, 413, "{path}");
        assert_eq!(target.rejected(lane, "body_too_large").await, was + 1.0, "{path}");
        let was = target.rejected(lane, "body_corrupt").await;
        assert_eq!(
            target.post(port, path, &headers, b"\x1f\x8bno gzip at all".to_vec()).await,
            400,
            "{path}"
        );
        assert_eq!(target.rejected(lane, "body_corrupt").await, was + 1.0, "{path}");
    }

    for (service, lane) in [
        ("logs.v1.LogsService", "logs"),
        ("trace.v1.TraceService", "spans"),
        ("metrics.v1.MetricsService", "metrics"),
    ] {
        let was = target.rejected(lane, "body_too_large").await;
        assert_eq!(target.call(service, 1, &bomb).await, "3", "{service}: a bomb");
        assert_eq!(target.rejected(lane, "body_too_large").await, was + 1.0, "{service}");
        let was = target.rejected(lane, "body_corrupt").await;
        assert_eq!(target.call(service, 1, b"\x1f\x8bno gzip at all").await, "3", "{service}: no gzip");
        assert_eq!(target.rejected(lane, "body_corrupt").await, was + 1.0, "{service}");
        let was = target.rejected(lane, "malformed").await;
        assert_eq!(target.call(service, 0, b"\x0a\xff\xff\xff\x7f").await, "3", "{service}: no message");
        assert_eq!(target.rejected(lane, "malformed").await, was + 1.0, "{service}");
        let was = target.rejected(lane, "body_broken").await;
        let promise = b"\0\xff\xff\xff\xffabc".to_vec();
        assert_eq!(target.frame(service, promise).await, "3", "{service}: less than it promised");
        assert_eq!(target.rejected(lane, "body_broken").await, was + 1.0, "{service}");
    }

    // Depth: a line nested a hundred thousand times is kept as text; OTLP and Zipkin refuse theirs.
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let was = target.count("sightline_logs_noted_total", &["too_deep"]).await;
    let mut lines = TcpStream::connect(("127.0.0.1", target.ports.logs)).unwrap();
    lines.write_all(format!("{{\"n\":1,\"deep\":{}}}\n", deep("[", "]")).as_bytes()).unwrap();
    eventually("the deep line is kept as text", 20, async || {
        let now = target.count("sightline_logs_noted_total", &["too_deep"]).await;
        if now > was { Ok(()) } else { Err(now) }
    })
    .await;
    let nested = |name: &str| format!("{{\"{name}\":{}}}", deep("[", "]")).into_bytes();
    for (port, path) in [(target.ports.otlp, "/v1/traces"), (target.ports.zipkin, "/api/v2/spans")] {
        assert_eq!(
            target.post(port, path, &[("content-type", json)], nested("resourceSpans")).await,
            400,
            "{path}"
        );
    }
    // Protobuf that promises more than there is, and messages within messages without end.
    let mut inner = vec![];
    for _ in 0..20_000 {
        let mut outer = vec![0x0a];
        let mut length = inner.len();
        while length >= 0x80 {
            outer.push(length as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.append(&mut inner);
        inner = outer;
    }
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
        let kind = [("content-type", protobuf)];
        assert_eq!(target.post(target.ports.otlp, path, &kind, b"\x0a\xff\xff\xff\x7f".to_vec()).await, 400);
        let status = target.post(target.ports.otlp, path, &kind, inner.clone()).await;
        assert!(matches!(status, 200 | 400), "{path}: {status}");
    }

    // Size and encoding: a line of 8 MiB without an end, broken UTF-8 in a member and in a plain line.
    let was = target.rejected("logs", "line_too_long").await;
    let noted = ["what=\"invalid_utf8\""];
    let noted_before = target.count("sightline_logs_noted_total", &noted).await;
    let mut lines = TcpStream::connect(("127.0.0.1", target.ports.logs)).unwrap();
    for _ in 0..8 {
        lines.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    lines.write_all(b"\n{\"n\":1,\"service\":\"good\",\"message\":\"\xff\xfe\x80\"}\n").unwrap();
    eventually("the line is refused and the next one taken", 20, async || {
        let refused = target.rejected("logs", "line_too_long").await - was;
        if refused == 1.0 && server.store.tally(2).lost == 0 { Ok(()) } else { Err(refused) }
    })
    .await;

    // Text that is none, on each port: taken with its broken letters replaced, or refused; counted by name.
    let noted_now = target.count("sightline_logs_noted_total", &noted).await;
    assert_eq!(noted_now, noted_before + 1.0, "the line above");
    lines.write_all(b"a plain \xc3 line\n").unwrap();
    target.rises("sightline_logs_noted_total", &noted, noted_now).await;
    let item = b"{\"create\":{}}\n{\"message\":\"\xff\"}\n".to_vec();
    assert_eq!(target.post(http, "/_bulk", &[("content-type", json)], item).await, 200);
    assert_eq!(target.rejected("logs", "invalid_utf8").await, 1.0);
    for (port, path) in [(target.ports.otlp, "/v1/traces"), (target.ports.zipkin, "/api/v2/spans")] {
        let was = target.rejected("spans", "invalid_utf8").await;
        let body = b"[{\"name\":\"\xff\"}]".to_vec();
        assert_eq!(target.post(port, path, &[("content-type", json)], body).await, 400);
        assert_eq!(target.rejected("spans", "invalid_utf8").await, was + 1.0);
    }
    let mut span = vec![0x0a, 16];
    span.extend([1; 16]);
    span.extend([0x12, 8]);
    span.extend([1; 8]);
    span.extend([0x2a, 2, 0xff, b'x']);
    for _ in 0..3 {
        span = [&[0x12, span.len() as u8][..], &span].concat();
    }
    span[0] = 0x0a;
    let was = target.count("sightline_spans_noted_total", &noted).await;
    assert_eq!(target.call("trace.v1.TraceService", 0, &span).await, "0");
    assert_eq!(target.count("sightline_spans_noted_total", &noted).await, was + 1.0);
    // A body, and a name with one point: the rest of the request must not go with them.
    let log = vec![0x2a, 4, 0x0a, 2, 0xff, b'x'];
    let metric = [&[0x0a, 2, 0xff, b'x', 0x2a, 11, 0x0a, 9, 0x21][..], &1.0_f64.to_le_bytes()].concat();
    for (service, counter, mut message) in [
        ("logs.v1.LogsService", "sightline_logs_noted_total", log),
        ("metrics.v1.MetricsService", "sightline_metrics_noted_total", metric),
    ] {
        for tag in [0x12, 0x12, 0x0a] {
            message = [&[tag, message.len() as u8][..], &message].concat();
        }
        let was = target.count(counter, &noted).await;
        assert_eq!(target.call(service, 0, &message).await, "0");
        assert_eq!(target.count(counter, &noted).await, was + 1.0, "{service}");
    }

    // Slowness: headers and bodies that trickle are cut off.
    let silent = TcpStream::connect(("127.0.0.1", target.ports.zipkin)).unwrap();
    for piece in
        ["POST /logs HTTP/1.1\r\nhost:", "POST /logs HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"]
    {
        let mut slow = TcpStream::connect(("127.0.0.1", target.http)).unwrap();
        slow.write_all(piece.as_bytes()).unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let began = Instant::now();
        // An answer or the end of the connection; what matters is that it does not wait for ever.
        let ended = slow.read_to_end(&mut Vec::new());
        assert!(ended.is_ok() || began.elapsed() < Duration::from_secs(9), "{piece:?} is waited for");
    }
    let closed = "sightline_connections_closed_total";
    target.rises(closed, &["logs_http", "slow_header"], 0.0).await;
    assert_eq!(target.rejected("logs", "body_timeout").await, 1.0);
    // A line whose end does not come, a byte at a time, and connections that say nothing.
    let mut trickle = TcpStream::connect(("127.0.0.1", target.ports.logs)).unwrap();
    eventually("the slow line is cut off", 20, async || {
        // An error is what is waited for.
        let _ = trickle.write_all(b"x");
        let now = target.count(closed, &["logs_tcp", "slow_line"]).await;
        if now == 1.0 { Ok(()) } else { Err(now) }
    })
    .await;
    target.rises(closed, &["\"zipkin\"", "idle"], 0.0).await;
    drop(silent);
    // Many lines without an end: together they hold no more than their bound.
    let mut unfinished: Vec<TcpStream> = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(("127.0.0.1", target.ports.logs)).unwrap();
        stream.write_all(&vec![b'x'; 200 << 10]).unwrap();
        unfinished.push(stream);
    }
    target.rises("sightline_rejected_total", &["logs", "unfinished_lines"], 10.0).await;
    drop(unfinished);

    // Numbers: two thousand connections that say nothing. Those above the bound are closed and counted.
    let was = target.count("sightline_connections_refused_total", &["too_many_connections"]).await;
    let idle: Vec<TcpStream> =
        (0..2000).filter_map(|_| TcpStream::connect(("127.0.0.1", target.ports.logs)).ok()).collect();
    eventually("connections above the bound are counted", 20, async || {
        let refused =
            target.count("sightline_connections_refused_total", &["too_many_connections"]).await - was;
        if refused >= 900.0 { Ok(()) } else { Err(format!("{refused} of {} refused", idle.len())) }
    })
    .await;
    drop(idle);
    eventually("there is room again", 20, async || {
        let open = target.count("sightline_connections_open", &["logs_tcp"]).await;
        if open < 100.0 { Ok(()) } else { Err(open) }
    })
    .await;

    target.serves(&server, 2).await;
    let grown = resident(&agent).saturating_sub(before);
    assert!(grown < ROOM, "{grown} MiB more than at the start");
}
