//! Real sockets on loopback: everything that is sent shows up.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use super::*;
use crate::metrics::naming::Rules;

fn settings() -> Settings {
    Settings {
        listen_udp: "127.0.0.1:0".to_owned(),
        listen_tcp: "127.0.0.1:0".to_owned(),
        ..Settings::default()
    }
}

fn lane(settings: &Settings) -> (Handle, Arc<Registry>) {
    let registry = Arc::new(Registry::new(settings, Rules::default(), &[]));
    (start(settings, Arc::clone(&registry), Hooks::default()).unwrap(), registry)
}

fn value(registry: &Registry, wanted: &str) -> f64 {
    let mut found = 0.0;
    registry.samples(now(), &mut |name, _, value| {
        if name == wanted {
            found = value;
        }
    });
    found
}

/// Polls until the series has the value, for at most ten seconds.
async fn becomes(registry: &Registry, name: &str, expected: f64) {
    for _ in 0..2000 {
        if value(registry, name) == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{name} is {}, not {expected}", value(registry, name));
}

#[tokio::test]
async fn udp_and_tcp_reach_the_registry() {
    let (handle, registry) = lane(&settings());
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(handle.udp.unwrap()).unwrap();
    udp.send(b"a:1|c\na:2|c\n").unwrap();
    udp.send(b"a:3|c").unwrap();
    becomes(&registry, "a", 6.0).await;

    let mut tcp = TcpStream::connect(handle.tcp.unwrap()).unwrap();
    tcp.write_all(b"b:1|c\nb:2").unwrap();
    tcp.write_all(b"|c\r\n").unwrap();
    tcp.write_all(&[b'x'; 40_000]).unwrap();
    tcp.write_all(b":1|c\nb:5|c").unwrap();
    drop(tcp);
    becomes(&registry, "b", 8.0).await;
    let totals = registry.tally.totals();
    assert_eq!(totals.refused[crate::metrics::line::Refusal::TooLong as usize], 1);
    assert_eq!(totals.connections, 1);
    assert!(handle.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn what_the_kernel_has_taken_is_drained_at_a_stop() {
    let (handle, registry) = lane(&settings());
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(handle.udp.unwrap()).unwrap();
    let mut tcp = TcpStream::connect(handle.tcp.unwrap()).unwrap();
    for _ in 0..1000 {
        udp.send(b"u:1|c").unwrap();
    }
    tcp.write_all(&b"t:1|c\n".repeat(50_000)).unwrap();
    assert!(handle.stop(Duration::from_secs(10)).await);
    let missed = registry.tally.totals().lost[crate::metrics::tally::Lost::Kernel as usize];
    assert_eq!(value(&registry, "u") + missed as f64, 1000.0);
    assert_eq!(value(&registry, "t"), 50_000.0);
}

#[tokio::test]
async fn unix_sockets_take_over_what_a_crash_left() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        listen_unix_datagram: dir.path().join("d.sock"),
        listen_unix_stream: dir.path().join("s.sock"),
        unix_mode: "700".to_owned(),
        ..settings()
    };
    drop(UnixDatagram::bind(&settings.listen_unix_datagram).unwrap());
    drop(UnixListener::bind(&settings.listen_unix_stream).unwrap());
    let (handle, registry) = lane(&settings);

    let datagram = UnixDatagram::unbound().unwrap();
    datagram.send_to(b"d:7|g\n", &settings.listen_unix_datagram).unwrap();
    becomes(&registry, "d", 7.0).await;
    UnixStream::connect(&settings.listen_unix_stream).unwrap().write_all(b"s:9|g\n").unwrap();
    becomes(&registry, "s", 9.0).await;

    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&settings.listen_unix_datagram).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(start(&settings, registry, Hooks::default()).is_err(), "a served socket is not taken over");
    assert!(handle.stop(Duration::from_secs(10)).await);
    assert!(!settings.listen_unix_datagram.exists());
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_the_setting() {
    let (handle, registry) = lane(&settings());
    let taken = Settings { listen_udp: handle.udp.unwrap().to_string(), ..settings() };
    let error = start(&taken, registry, Hooks::default()).err().unwrap().to_string();
    assert!(error.contains("metrics.listen_udp"), "{error}");
    handle.stop(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_and_counted() {
    let (handle, registry) = lane(&Settings { max_connections: 1, ..settings() });
    let mut first = TcpStream::connect(handle.tcp.unwrap()).unwrap();
    first.write_all(b"a:1|c\n").unwrap();
    becomes(&registry, "a", 1.0).await;
    let _second = TcpStream::connect(handle.tcp.unwrap()).unwrap();
    for _ in 0..2000 {
        if registry.tally.totals().connections_refused == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(registry.tally.totals().connections_refused, 1);
    first.write_all(b"a:1|c\n").unwrap();
    becomes(&registry, "a", 2.0).await;
    handle.stop(Duration::from_secs(10)).await;
}

// The test itself waits for the relayed datagrams, so the lane needs threads of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_gets_every_line() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    target.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let settings = Settings {
        relay: target.local_addr().unwrap().to_string(),
        relay_packet: crate::units::Bytes(64),
        ..settings()
    };
    let (handle, registry) = lane(&settings);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(handle.udp.unwrap()).unwrap();
    let long = format!("{}:1|c", "x".repeat(80));
    udp.send(format!("a:1|c\n{long}\nbad line\nb:1|c\n").as_bytes()).unwrap();
    becomes(&registry, "b", 1.0).await;
    let mut buffer = [0; 100];
    let len = target.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"a:1|c\nbad line\nb:1|c\n");

    TcpStream::connect(handle.tcp.unwrap()).unwrap().write_all(b"c:1|c\nd:1|c").unwrap();
    let len = target.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"c:1|c\n");
    let len = target.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"d:1|c\n");
    assert!(handle.stop(Duration::from_secs(10)).await);
    let totals = registry.tally.totals();
    assert_eq!((totals.relay_lines, totals.relay_packets, totals.relay_long_lines), (5, 3, 1));
}

#[tokio::test]
async fn counters_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { state: dir.path().join("state"), ..settings() };
    for run in 1..=2 {
        let (handle, registry) = lane(&settings);
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.send_to(b"a:1|c", handle.udp.unwrap()).unwrap();
        becomes(&registry, "a", f64::from(run)).await;
        assert!(handle.stop(Duration::from_secs(10)).await);
    }
}
