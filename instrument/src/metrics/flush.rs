//! The thread's work that sends metrics: every interval, datagrams of packed lines over UDP.
//!
//! While the collector is known to be away (refused, unresolvable), nothing is rendered: counters go on adding up
//! and timers sampling in place, and the next flush that gets through carries it all.

use super::registry::Registry;
use super::render;
use super::series::Samples;
use super::sink::{Sink, datagram};
use crate::drops::{Drops, Lane, Reason};
use std::io;
use std::net::{ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Series are sent again this often even if they have not changed.
const ANNOUNCE: Duration = Duration::from_secs(60);
/// A name is looked up again this often: containers move.
const RESOLVE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Flusher {
    target: String,
    sink: Sink,
    drops: Arc<Drops>,
    socket: Option<(Socket, Instant)>,
    announced: Option<Instant>,
    /// Lines taken from the sink and not yet accepted by the kernel.
    waiting: String,
    spare: Samples,
    line: String,
}

impl Flusher {
    pub(crate) fn new(target: String, sink: Sink, drops: Arc<Drops>) -> Self {
        Flusher {
            target,
            sink,
            drops,
            socket: None,
            announced: None,
            waiting: String::new(),
            spare: Samples::default(),
            line: String::new(),
        }
    }

    /// Sends what there is. `announce` adds lines of its own when series are sent again (the build's, say).
    pub(crate) fn flush(&mut self, registry: &Registry, now: Instant, announce: impl FnOnce(&Sink)) {
        if !self.connect(now) || !self.send_waiting() {
            return;
        }
        if self.announced.is_none_or(|at| now.duration_since(at) >= ANNOUNCE) {
            self.announced = Some(now);
            registry.announce_again();
            announce(&self.sink);
        }
        let mut line = std::mem::take(&mut self.line);
        // What services emitted directly goes out first, and what is rendered is sent as it is made: the sink is no
        // bound on the number of series.
        self.sink.take(&mut self.waiting);
        let mut lines = std::mem::take(&mut self.waiting);
        render::flush(registry, &mut self.spare, &mut line, |line| {
            lines.push_str(line);
            lines.push('\n');
        });
        self.line = line;
        self.waiting = lines;
        self.send_waiting();
    }

    /// What did not get out, for the account at the very end.
    pub(crate) fn give_up(&mut self) {
        let mut left = std::mem::take(&mut self.waiting);
        self.drops.add(Lane::Metrics, Reason::Shutdown, left.lines().count() as u64);
        self.sink.take(&mut left);
        self.drops.add(Lane::Metrics, Reason::Shutdown, left.lines().count() as u64);
    }

    fn connect(&mut self, now: Instant) -> bool {
        if self.socket.as_ref().is_none_or(|(_, at)| now.duration_since(*at) >= RESOLVE) {
            // A failed look-up keeps the socket that worked.
            if let Ok(socket) = open(&self.target) {
                self.socket = Some((socket, now));
            }
        }
        self.socket.is_some()
    }

    /// True when all is sent.
    fn send_waiting(&mut self) -> bool {
        let Some((socket, _)) = &self.socket else { return false };
        let mut rest = self.waiting.as_str();
        while !rest.is_empty() {
            let (packet, after) = datagram(rest);
            if !send(socket, packet) {
                break;
            }
            rest = after;
        }
        let sent = self.waiting.len() - rest.len();
        self.waiting.drain(..sent);
        if matches!(self.socket, Some((Socket::Unix(_), _))) && !self.waiting.is_empty() {
            // The collector may have been started anew, behind the same path.
            self.socket = None;
        }
        self.waiting.is_empty()
    }
}

/// How datagrams leave.
#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    /// Unlike UDP it tells when the collector does not keep up: nothing is lost on the way.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixDatagram),
}

fn open(target: &str) -> io::Result<Socket> {
    #[cfg(unix)]
    if let Some(path) = target.strip_prefix("unix://") {
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        socket.connect(path)?;
        socket.set_nonblocking(true)?;
        return Ok(Socket::Unix(socket));
    }
    let address = target.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(Socket::Udp(socket))
}

/// False when this datagram is known not to have arrived.
fn send(socket: &Socket, packet: &str) -> bool {
    let socket = match socket {
        Socket::Udp(socket) => socket,
        #[cfg(unix)]
        Socket::Unix(socket) => return socket.send(packet.as_bytes()).is_ok(),
    };
    // An error left over from an earlier datagram is reported by the next call instead of sending.
    let sent = match socket.send(packet.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => socket.send(packet.as_bytes()),
        other => other,
    };
    // On this machine a refusal comes back before the call returns.
    sent.is_ok() && !matches!(socket.take_error(), Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::settings::Settings;

    #[cfg(unix)]
    #[test]
    fn a_slow_collector_behind_a_unix_socket_loses_nothing() {
        let folder =
            std::env::temp_dir().join(format!("statsd-{}-{}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("statsd.sock");
        let open = || {
            let _ = std::fs::remove_file(&path);
            std::os::unix::net::UnixDatagram::bind(&path).unwrap()
        };
        let mut collector = open();
        let drops = Arc::new(Drops::default());
        let settings = Settings::new("svc");
        let registry = Registry::new(&settings, &Identity::new(&settings), drops.clone());
        let target = format!("unix://{}", path.display());
        let mut flusher = Flusher::new(target, Sink::new(drops.clone()), drops);
        let now = Instant::now();
        let (counter, mut emitted, mut arrived) = (registry.counter_of(&["a", "b", "hit"]), 0u64, 0u64);
        let mut read = |collector: &std::os::unix::net::UnixDatagram| {
            collector.set_nonblocking(true).unwrap();
            let mut buf = [0u8; 2048];
            while let Ok(n) = collector.recv(&mut buf) {
                for line in std::str::from_utf8(&buf[..n]).unwrap().lines() {
                    arrived += line.split([':', '|']).nth(1).unwrap().parse::<u64>().unwrap();
                }
            }
        };
        for round in 0..3_000 {
            counter.increment(1);
            emitted += 1;
            flusher.flush(&registry, now, |_| {});
            if round == 2_000 {
                // Stopped in an orderly way, and started again.
                read(&collector);
                drop(collector);
                flusher.flush(&registry, now, |_| {});
                collector = open();
            }
        }
        read(&collector);
        flusher.flush(&registry, now, |_| {});
        flusher.flush(&registry, now, |_| {});
        read(&collector);
        std::fs::remove_dir_all(folder).unwrap();
        assert_eq!(arrived, emitted);
    }

    #[test]
    fn counts_survive_a_collector_that_is_away() {
        let held = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        drop(held);

        let drops = Arc::new(Drops::default());
        let settings = Settings::new("svc");
        let registry = Registry::new(&settings, &Identity::new(&settings), drops.clone());
        let mut flusher = Flusher::new(address.to_string(), Sink::new(drops.clone()), drops.clone());
        let counter = registry.counter_of(&["a", "b", "hit"]);
        let now = Instant::now();
        for _ in 0..5 {
            counter.increment(1);
            flusher.flush(&registry, now, |_| {});
        }
        let collector = UdpSocket::bind(address).unwrap();
        collector.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        counter.increment(1);
        flusher.flush(&registry, now, |_| {});
        flusher.flush(&registry, now, |_| {});
        let (mut sum, mut buf) = (0u64, [0u8; 2048]);
        while sum < 6 {
            let n = collector.recv(&mut buf).unwrap();
            for line in std::str::from_utf8(&buf[..n]).unwrap().lines() {
                sum += line.split([':', '|']).nth(1).unwrap().parse::<u64>().unwrap();
            }
        }
        assert_eq!(sum, 6);
        assert_eq!(drops.total(Lane::Metrics), 0);
    }
}
