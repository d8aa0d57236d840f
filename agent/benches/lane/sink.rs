//! Back ends that cost next to nothing: they count what is posted and answer that all is well.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A cheap back end on a port of its own; it lives as long as the program.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    records: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

/// How records are counted in a body, and how they are answered.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Bulk,
    Spans,
}

impl Sink {
    pub(crate) fn start(kind: Kind) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), kind)
    }

    pub(crate) fn start_at(address: SocketAddr, kind: Kind) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let sink = Sink { address, records: Arc::default(), requests: Arc::default() };
        let handle = sink.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sink = handle.clone();
                std::thread::spawn(move || sink.serve(stream, kind));
            }
        });
        sink
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Relaxed)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Waits for `count` records; the time that took, or a panic after `limit` without any.
    pub(crate) fn wait(&self, count: u64, limit: Duration) {
        let (mut last, mut since) = (0, Instant::now());
        while self.records() < count {
            if self.records() != last {
                (last, since) = (self.records(), Instant::now());
            }
            assert!(since.elapsed() < limit, "only {last} of {count} records came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn serve(&self, stream: TcpStream, kind: Kind) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut reader = BufReader::with_capacity(256 << 10, stream);
        let mut body = Vec::new();
        loop {
            let mut length = 0usize;
            let mut line = String::new();
            loop {
                line.clear();
                if reader.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                if line == "\r\n" {
                    break;
                }
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().ok()?;
                }
            }
            body.resize(length, 0);
            reader.read_exact(&mut body).ok()?;
            let (count, answer) = match kind {
                Kind::Bulk => {
                    let count = memchr::memchr_iter(b'\n', &body).count() as u64 / 2;
                    let items = vec![r#"{"create":{"status":201}}"#; count as usize].join(",");
                    let text = format!(r#"{{"errors":false,"items":[{items}]}}"#);
                    (count, format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()))
                }
                Kind::Spans => {
                    let count = memchr::memmem::find_iter(&body, br#""traceId""#).count() as u64;
                    (count, "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned())
                }
            };
            reader.get_mut().write_all(answer.as_bytes()).ok()?;
            self.requests.fetch_add(1, Relaxed);
            self.records.fetch_add(count, Relaxed);
        }
    }
}
