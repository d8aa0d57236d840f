//! The metrics lane as its user meets it: the real program, every kind of socket, a reload, a restart, `top`.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::support::agent::{Ports, Process};
use super::support::{eventually, get_text, sample};

async fn shows(ports: &Ports, series: &str, value: f64) {
    eventually(series, 20, async || {
        let text = get_text(&ports.url("/metrics")).await?;
        match sample(&text, &format!("{series} ")) {
            Some(shown) if shown == value => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// An agent whose whole configuration is `metrics`, in YAML flow style, and `more`.
async fn start(ports: &Ports, metrics: &str, more: &str) -> Process {
    let config = ports.dir.path().join("sightline.yaml");
    write_config(&config, ports, metrics, more);
    let log = ports.dir.path().join("agent.log");
    let process = Process::start(&["run", "--config", config.to_str().unwrap()], &[], &log);
    eventually("the agent is ready", 30, async || {
        get_text(&ports.url("/-/ready")).await.map_err(|e| format!("{e}; its log: {}", process.log()))
    })
    .await;
    process
}

fn write_config(path: &Path, ports: &Ports, metrics: &str, more: &str) {
    let off = "logs: {tcp: {listen: off}, udp: {listen: off}, http: {listen: off}}\n\
               otlp: {http: {listen: off}, grpc: {listen: off}}\nspans: {zipkin: {listen: off}}\n";
    let data = ports.dir.path().join("data");
    let text = format!(
        "data_dir: {}\nweb: {{listen: '127.0.0.1:{}'}}\nmetrics: {{{metrics}}}\n{off}{more}\n",
        data.display(),
        ports.web
    );
    std::fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_socket_receives_and_the_relay_gets_all_of_it() {
    let ports = Ports::new();
    let dir = ports.dir.path();
    let (datagram, stream) = (dir.join("d.sock"), dir.join("s.sock"));
    // What a program that was killed leaves behind.
    drop((UnixDatagram::bind(&datagram).unwrap(), UnixListener::bind(&stream).unwrap()));
    let relayed = UdpSocket::bind("127.0.0.1:0").unwrap();
    relayed.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let metrics = format!(
        "listen_udp: '[::]:{statsd}', listen_tcp: '[::]:{statsd}', listen_unix_datagram: '{}', \
         listen_unix_stream: '{}', unix_mode: '700', relay: '{}'",
        datagram.display(),
        stream.display(),
        relayed.local_addr().unwrap(),
        statsd = ports.statsd,
    );
    let mut agent = start(&ports, &metrics, "").await;
    for path in [&datagram, &stream] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    v4.send_to(b"udp.v4:1|c\r\n", ("127.0.0.1", ports.statsd)).unwrap();
    let v6 = UdpSocket::bind("[::1]:0").unwrap();
    v6.send_to(b"udp.v6:1|c|#k:v|c:id|T1656581400|e:it-false|card:low", ("::1", ports.statsd)).unwrap();
    TcpStream::connect(("127.0.0.1", ports.statsd)).unwrap().write_all(b"tcp.v4:1|c\r\ntcp.end:1|c").unwrap();
    TcpStream::connect(("::1", ports.statsd)).unwrap().write_all(b"tcp.v6:1:2:3|c\n").unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"unix.datagram:1|c", &datagram).unwrap();
    UnixStream::connect(&stream).unwrap().write_all(b"unix.stream:1|c\n").unwrap();
    for (series, value) in [
        ("udp_v4", 1.0),
        ("udp_v6{container_id=\"id\",k=\"v\"}", 1.0),
        ("tcp_v4", 1.0),
        ("tcp_end", 1.0),
        ("tcp_v6", 6.0),
        ("unix_datagram", 1.0),
        ("unix_stream", 1.0),
    ] {
        shows(&ports, series, value).await;
    }
    let mut all = String::new();
    let mut buffer = [0; 2000];
    while all.lines().count() < 7 {
        let len = relayed.recv(&mut buffer).expect("the relay gets every line");
        all.push_str(std::str::from_utf8(&buffer[..len]).unwrap());
    }
    for name in ["udp.v4", "udp.v6", "tcp.v4", "tcp.end", "tcp.v6:1:2:3|c", "unix.datagram", "unix.stream"] {
        assert!(all.contains(name), "{name} is not in {all}");
    }
    agent.signal("-TERM");
    assert_eq!(agent.ended(20).await, Some(0));
    assert!(!datagram.exists() && !stream.exists(), "socket files go with the agent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_in_the_configuration_are_read_again_and_counters_survive_a_restart() {
    let ports = Ports::new();
    let metrics = format!("listen_udp: '127.0.0.1:{0}', listen_tcp: '127.0.0.1:{0}'", ports.statsd);
    let config = ports.dir.path().join("sightline.yaml");
    let mut agent = start(&ports, &metrics, "mapping: {mappings: [{match: a.*, name: first}]}").await;
    let send = |line: &str| {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.send_to(line.as_bytes(), ("127.0.0.1", ports.statsd)).unwrap();
    };
    send("a.x:1|c");
    shows(&ports, "first", 1.0).await;
    let client = reqwest::Client::new();
    let reload = async || {
        let answer = client.post(ports.url("/-/reload")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };

    write_config(&config, &ports, &metrics, "mapping: {mappings: [{match: a.*, nam: second}]}");
    let (status, said) = reload().await;
    assert!(status == 422 && said.contains("nam"), "{status} {said}");
    send("a.x:1|c");
    shows(&ports, "first", 2.0).await;

    write_config(&config, &ports, &metrics, "mapping: {mappings: [{match: a.*, name: second}]}");
    assert_eq!(reload().await.0, 200);
    send("a.x:5|c");
    shows(&ports, "second", 5.0).await;

    agent.signal("-TERM");
    assert_eq!(agent.ended(20).await, Some(0));
    let _agent = start(&ports, &metrics, "mapping: {mappings: [{match: a.*, name: second}]}").await;
    send("a.x:1|c");
    shows(&ports, "second", 6.0).await;
    shows(&ports, "first", 2.0).await;
}

fn sightline(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sightline")).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_names_who_fills_the_registry() {
    let ports = Ports::new();
    let metrics = format!(
        "listen_udp: '', listen_tcp: '127.0.0.1:{}', budget: {{series_per_metric: 50}}",
        ports.statsd
    );
    let _agent = start(&ports, &metrics, "").await;
    let mut lines: String = (0..80).map(|user| format!("many:1|c|#user:{user},region:eu\n")).collect();
    lines.push_str("few:1|c\n");
    TcpStream::connect(("127.0.0.1", ports.statsd)).unwrap().write_all(lines.as_bytes()).unwrap();
    shows(&ports, "few", 1.0).await;

    let url = ports.url("");
    let (code, table, said) = sightline(&["top", "--url", &url]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{table}");
    let first = table.lines().nth(2).unwrap_or_default();
    assert!(first.starts_with("many") && first.contains("user 50"), "{table}");
    let (_, json, _) = sightline(&["top", "--url", &url, "-n", "1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["top"][0]["metric"], json["top"].as_array().unwrap().len()), (&"many".into(), 1));
    assert_eq!(json["top"][0]["folded"], 30);

    let (code, _, said) = sightline(&["top", "--url", "http://127.0.0.1:1"]);
    assert!(code == Some(1) && said.contains("no agent answers"), "{said}");
}
