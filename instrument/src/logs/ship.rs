//! The thread's work that sends log lines: TCP with reconnect, UDP, or standard output.

use crate::drops::{Lane, Reason};
use crate::kernel;
use crate::pipe::{Batch, Pipe};
use crate::settings::LogTarget;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Largest datagram of the UDP form; larger records are dropped and counted.
const UDP_MAX: usize = 60 << 10;
/// How much of what was sent is kept until the peer's machine acknowledges it.
const FLIGHT_MAX: usize = 1 << 20;
const CONNECT: Duration = Duration::from_secs(1);
const WRITE: Duration = Duration::from_millis(250);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Sends what the pipe holds.
#[derive(Debug)]
pub(crate) struct Shipper {
    target: LogTarget,
    pipe: Arc<Pipe>,
    /// Taken from the pipe and not yet sent; the offset is into the first.
    backlog: VecDeque<Batch>,
    offset: usize,
    tcp: Option<Connection>,
    udp: Option<UdpSocket>,
    again: Option<Instant>,
    backoff: Duration,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// Batches that were written whole; what the peer has not acknowledged when the connection breaks is sent again.
    flight: VecDeque<Batch>,
}

impl Shipper {
    pub(crate) fn new(target: LogTarget, pipe: Arc<Pipe>) -> Self {
        Shipper {
            target,
            pipe,
            backlog: VecDeque::new(),
            offset: 0,
            tcp: None,
            udp: None,
            again: None,
            backoff: BACKOFF.0,
        }
    }

    /// Sends what can be sent now. True when nothing is left.
    pub(crate) fn ship(&mut self, now: Instant) -> bool {
        let backlog = &mut self.backlog;
        self.pipe.take(|batch| backlog.push_back(batch));
        match self.target.clone() {
            LogTarget::Off => self.discard(),
            LogTarget::Stdout => self.stdout(),
            LogTarget::Udp(target) => self.udp(&target),
            LogTarget::Tcp(target) => self.tcp(&target, now),
        }
        // What has to wait takes no more room than the account says.
        for batch in &mut self.backlog {
            if batch.bytes.capacity() - batch.bytes.len() > 4 << 10 {
                batch.bytes.shrink_to_fit();
            }
        }
        self.backlog.is_empty()
    }

    /// Counts what is left as lost to the shutdown.
    pub(crate) fn give_up(&mut self) {
        let backlog = &mut self.backlog;
        self.pipe.take(|batch| backlog.push_back(batch));
        let partial = self.backlog.front().map_or(0, |b| count_lines(&b.bytes[..self.offset]));
        let left: u64 = self.backlog.iter().map(|b| b.items).sum::<u64>() - partial;
        self.pipe.drops().add(Lane::Logs, Reason::Shutdown, left);
        self.discard();
    }

    fn discard(&mut self) {
        while let Some(batch) = self.backlog.pop_front() {
            self.settle(batch);
        }
        self.offset = 0;
    }

    /// Done with it.
    fn settle(&self, batch: Batch) {
        self.pipe.settle(batch.bytes.len());
        self.pipe.recycle(batch);
    }

    fn stdout(&mut self) {
        let mut out = io::stdout().lock();
        while let Some(batch) = self.backlog.pop_front() {
            if out.write_all(&batch.bytes).is_err() {
                self.pipe.drops().add(Lane::Logs, Reason::Refused, batch.items);
            }
            self.settle(batch);
        }
        let _ = out.flush();
    }

    fn udp(&mut self, target: &str) {
        if self.udp.is_none() {
            self.udp = open_udp(target).ok();
        }
        let Some(socket) = &self.udp else { return };
        while let Some(batch) = self.backlog.pop_front() {
            for line in batch.bytes.split_inclusive(|b| *b == b'\n') {
                if line.len() > UDP_MAX {
                    self.pipe.drops().add(Lane::Logs, Reason::TooLarge, 1);
                } else if socket.send(line).is_err() || matches!(socket.take_error(), Ok(Some(_))) {
                    self.pipe.drops().add(Lane::Logs, Reason::Refused, 1);
                }
            }
            self.settle(batch);
        }
    }

    fn tcp(&mut self, target: &str, now: Instant) {
        self.check_peer();
        if self.backlog.is_empty() {
            return;
        }
        if self.tcp.is_none() {
            if self.again.is_some_and(|at| now < at) {
                return;
            }
            match connect(target) {
                Ok(stream) => {
                    self.tcp = Some(Connection { stream, flight: VecDeque::new() });
                    self.again = None;
                    self.backoff = BACKOFF.0;
                }
                Err(_) => {
                    self.again = Some(now + self.backoff);
                    self.backoff = (self.backoff * 2).min(BACKOFF.1);
                    return;
                }
            }
        }
        self.write();
    }

    fn write(&mut self) {
        while let (Some(connection), Some(batch)) = (&mut self.tcp, self.backlog.front()) {
            match connection.stream.write(&batch.bytes[self.offset..]) {
                Ok(n) if n > 0 => {
                    self.offset += n;
                    if self.offset == batch.bytes.len() {
                        self.offset = 0;
                        if let Some(batch) = self.backlog.pop_front() {
                            self.pipe.settle(batch.bytes.len());
                            connection.sent(batch, &self.pipe);
                        }
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // The peer is slow: what is left waits here, and counts against the bound.
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return,
                _ => return self.broken(),
            }
        }
    }

    /// A peer that closed is noticed before more is written into the void.
    fn check_peer(&mut self) {
        let Some(connection) = &mut self.tcp else { return };
        let mut scratch = [0u8; 256];
        let alive = connection.stream.set_nonblocking(true).is_ok()
            && match connection.stream.read(&mut scratch) {
                Ok(0) => false,
                Ok(_) => true,
                Err(e) => e.kind() == io::ErrorKind::WouldBlock,
            }
            && connection.stream.set_nonblocking(false).is_ok();
        if alive {
            connection.acknowledged(self.offset, &self.pipe);
        } else {
            self.broken();
        }
    }

    /// Puts back what the peer's machine has not acknowledged, from the start of a line on.
    fn broken(&mut self) {
        let Some(mut connection) = self.tcp.take() else { return };
        let acknowledged = connection.acknowledged(self.offset, &self.pipe);
        let again = connection.flight.len();
        for batch in connection.flight.into_iter().rev() {
            self.pipe.unsettle(batch.bytes.len());
            self.backlog.push_front(batch);
        }
        // A batch that was written in part is whole still. Of the first of all, what arrived goes.
        if (again > 0 || self.offset > 0)
            && let Some(first) = self.backlog.front_mut()
        {
            let from = line_start(&first.bytes, acknowledged);
            self.pipe.settle(from);
            first.bytes.drain(..from);
            first.items = count_lines(&first.bytes);
        }
        self.offset = 0;
    }
}

impl Connection {
    /// Keeps a batch for as long as the peer may ask for it, within bounds.
    fn sent(&mut self, batch: Batch, pipe: &Pipe) {
        self.flight.push_back(batch);
        if self.in_flight() > FLIGHT_MAX {
            self.acknowledged(0, pipe);
            // More is on its way than we keep: the oldest goes.
            while self.in_flight() > FLIGHT_MAX
                && let Some(batch) = self.flight.pop_front()
            {
                pipe.recycle(batch);
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.flight.iter().map(|b| b.bytes.len()).sum()
    }

    /// Forgets batches that the peer's machine has acknowledged whole, `written` bytes of another having been written
    /// after them; how much of the first that is left has been acknowledged.
    fn acknowledged(&mut self, written: usize, pipe: &Pipe) -> usize {
        let unacknowledged = kernel::unacknowledged(&self.stream).unwrap_or(0);
        let mut acknowledged = (self.in_flight() + written).saturating_sub(unacknowledged);
        while let Some(batch) = self.flight.pop_front_if(|b| b.bytes.len() <= acknowledged) {
            acknowledged -= batch.bytes.len();
            pipe.recycle(batch);
        }
        acknowledged
    }
}

/// Start of the line that the byte at `at` belongs to.
fn line_start(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1)
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

fn connect(target: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in target.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_write_timeout(Some(WRITE))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn open_udp(target: &str) -> io::Result<UdpSocket> {
    let address = target.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.connect(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drops::Drops;
    use std::io::BufRead;
    use std::net::TcpListener;

    fn shipper(target: &str) -> (Shipper, Arc<Pipe>) {
        let pipe = Arc::new(Pipe::of_records(1 << 20, Arc::new(Drops::default())));
        (Shipper::new(LogTarget::Tcp(target.to_owned()), pipe.clone()), pipe)
    }

    #[test]
    fn lines_wait_for_a_collector_and_arrive_in_order() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap().to_string();
        drop(held);
        let (mut shipper, pipe) = shipper(&address);
        let mut now = Instant::now();
        pipe.push(b"one\n");
        assert!(!shipper.ship(now));
        let collector = TcpListener::bind(&address).unwrap();
        pipe.push(b"two\n");
        now += Duration::from_secs(3);
        assert!(shipper.ship(now));
        let (stream, _) = collector.accept().unwrap();
        let lines: Vec<_> = io::BufReader::new(stream).lines().take(2).map(Result::unwrap).collect();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(pipe.queued(), 0);
    }

    #[test]
    fn a_peer_that_closed_is_noticed_before_the_next_write() {
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut shipper, pipe) = shipper(&collector.local_addr().unwrap().to_string());
        let now = Instant::now();
        pipe.push(b"one\n");
        assert!(shipper.ship(now));
        drop(collector.accept().unwrap());
        let deadline = Instant::now() + Duration::from_secs(5);
        while shipper.tcp.is_some() {
            assert!(Instant::now() < deadline, "the close never came");
            shipper.ship(now);
        }
        pipe.push(b"two\n");
        assert!(shipper.ship(now + Duration::from_secs(3)));
        let mut line = String::new();
        io::BufReader::new(collector.accept().unwrap().0).read_line(&mut line).unwrap();
        assert_eq!(line, "two\n");
    }

    #[test]
    fn a_slow_peer_bounds_memory_and_loses_only_what_is_counted() {
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let pipe = Arc::new(Pipe::of_records(64 << 10, Arc::new(Drops::default())));
        let mut shipper =
            Shipper::new(LogTarget::Tcp(collector.local_addr().unwrap().to_string()), pipe.clone());
        let now = Instant::now();
        let line = format!("{}\n", "x".repeat(1_023));
        let mut emitted = 0u64;
        // The kernel's buffers take some megabytes before the peer is felt to be slow.
        while pipe.drops().total(Lane::Logs) == 0 {
            for _ in 0..256 {
                pipe.push(line.as_bytes());
                emitted += 1;
            }
            shipper.ship(now);
            assert!(emitted < 200_000, "never slow");
        }
        assert!(pipe.queued() <= 64 << 10);
        let reader = std::thread::spawn(move || {
            io::BufReader::new(collector.accept().unwrap().0).lines().map_while(Result::ok).count() as u64
        });
        while !shipper.ship(now) {}
        drop(shipper);
        assert_eq!(reader.join().unwrap() + pipe.drops().total(Lane::Logs), emitted);
    }

    #[test]
    fn what_was_emitted_arrived_or_was_counted_through_a_restart() {
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = collector.local_addr().unwrap();
        let pipe = Arc::new(Pipe::of_records(4 << 10, Arc::new(Drops::default())));
        let mut shipper = Shipper::new(LogTarget::Tcp(address.to_string()), pipe.clone());
        let mut now = Instant::now();
        let mut emitted = 0;
        let mut emit = |n: u64| {
            for _ in 0..n {
                pipe.push(format!("record {emitted}\n").as_bytes());
                emitted += 1;
            }
        };
        emit(50);
        assert!(shipper.ship(now));
        let mut arrived: Vec<String> = Vec::new();
        let read = |from: TcpListener, arrived: &mut Vec<String>| {
            let (stream, _) = from.accept().unwrap();
            // It ends as a service should: it reads what came, then closes.
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            arrived.extend(io::BufReader::new(stream).lines().map_while(Result::ok));
        };
        read(collector, &mut arrived);
        assert_eq!(arrived.len(), 50);
        // Nobody listens: the buffer takes what it can.
        for _ in 0..10 {
            emit(100);
            now += Duration::from_secs(3);
            shipper.ship(now);
        }
        let dropped = pipe.drops().total(Lane::Logs);
        assert!(dropped > 0 && pipe.queued() <= 4 << 10);
        let collector = TcpListener::bind(address).unwrap();
        now += Duration::from_secs(3);
        assert!(shipper.ship(now));
        emit(20);
        assert!(shipper.ship(now));
        drop(shipper);
        read(collector, &mut arrived);
        arrived.sort();
        arrived.dedup();
        assert_eq!(arrived.len() as u64 + pipe.drops().total(Lane::Logs), emitted);
    }

    #[test]
    fn what_is_sent_again_starts_with_a_line() {
        assert_eq!(line_start(b"ab\ncd\nef", 4), 3);
        assert_eq!(line_start(b"ab\ncd\n", 6), 6);
        assert_eq!(line_start(b"ab", 1), 0);
    }
}
