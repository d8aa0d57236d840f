//! The lane under fault in a process of its own, so that it can be killed: it enqueues what it is told over TCP,
//! acknowledges when that can no longer be lost, and delivers to one `_bulk`.
//!
//! A request is 12 bytes, a count and the first number; the records are made here. The answer is one byte. A count
//! of 0 asks for the books, answered by six numbers.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sightline_agent::export::dead_letters::{self, DeadLetters};
use sightline_agent::export::elasticsearch::{self, Elasticsearch};
use sightline_agent::export::pump::{self, Pump};
use sightline_agent::ledger;
use sightline_agent::logs::envelope::Envelope;
use sightline_agent::queue::{self, Full, Queue};
use sightline_agent::units::{Bytes, Span};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the books of the child say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Books {
    pub(crate) exported: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) dropped: u64,
    pub(crate) queued: u64,
    pub(crate) off: u64,
    pub(crate) recovered: u64,
}

/// How the child is started: where its port, its data and its back end are, and where it is to crash.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) port: u16,
    pub(crate) dir: PathBuf,
    pub(crate) sink: String,
}

impl Start {
    pub(crate) fn spawn(&self, crash_point: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .arg("--child")
            .args([&self.port.to_string(), self.dir.to_str().unwrap(), &self.sink])
            .env("SIGHTLINE_CRASH_POINT", crash_point)
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }
}

fn record(n: u64) -> Vec<u8> {
    let mut payload = Vec::with_capacity(500);
    let document = format!(r#"{{"@timestamp":"2026-01-01T00:00:00Z","n":{n},"message":"{:0>340}"}}"#, n);
    let id = format!("{n:020}");
    Envelope { stream: "logs-faults.app-bench", id: &id, document: document.as_bytes() }.encode(&mut payload);
    payload
}

/// The child's life; `args` are port, folder and back end.
pub(crate) fn run(args: &[String]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(serve(args[0].parse().unwrap(), Path::new(&args[1]), &args[2]));
}

async fn serve(port: u16, dir: &Path, sink: &str) {
    let settings =
        queue::Settings { min_free: Bytes(0), segment_bytes: Bytes(1 << 20), ..queue::Settings::default() };
    let queue = Queue::open(dir, "logs", &settings).unwrap();
    let letters = DeadLetters::open(&dir.join("dlq"), &dead_letters::Settings::default()).unwrap();
    let settings = elasticsearch::Settings {
        urls: vec![sink.to_owned()],
        timeout: Span(Duration::from_secs(2)),
        ..elasticsearch::Settings::default()
    };
    let delivery =
        pump::Settings { max_records: 2000, max_backoff: Span::secs(2), ..settings.delivery.clone() };
    let exporter = Elasticsearch::new(&settings).unwrap();
    let _pump = Pump::start(queue.clone(), exporter, Arc::new(letters), &delivery);
    let listener = loop {
        // The port of a child that was killed a moment ago.
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(talk(stream, queue.clone()));
    }
}

async fn talk(mut stream: TcpStream, queue: Arc<Queue>) -> std::io::Result<()> {
    loop {
        let (count, first) = (stream.read_u32().await?, stream.read_u64().await?);
        let books = ledger::lane("logs");
        if count == 0 {
            let b = books.balance();
            let off = b.difference().unsigned_abs();
            for figure in [b.exported, b.dead_lettered, b.dropped, b.queued.unsigned_abs(), off, b.recovered]
            {
                stream.write_u64(figure).await?;
            }
            continue;
        }
        let payloads: Vec<Vec<u8>> = (first..first + u64::from(count)).map(record).collect();
        let ticket = loop {
            match queue.append(&payloads) {
                Ok(ticket) => break ticket,
                Err(Full::Closed) => return Ok(()),
                Err(_) => queue.wait_room().await,
            }
        };
        books.received(payloads.len() as u64);
        if queue.durable(ticket).await.is_ok() {
            stream.write_u8(1).await?;
        }
    }
}

/// Sends the numbers of one connection in groups, each until it is acknowledged.
pub(crate) async fn send(port: u16, groups: Vec<(u64, u32)>, deadline: Instant) {
    let mut stream: Option<TcpStream> = None;
    for (first, count) in groups {
        loop {
            assert!(Instant::now() < deadline, "the records cannot be sent");
            if stream.is_none() {
                stream = TcpStream::connect(("127.0.0.1", port)).await.ok();
            }
            if let Some(open) = &mut stream
                && exchange(open, first, count).await.is_ok()
            {
                break;
            }
            stream = None;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn exchange(stream: &mut TcpStream, first: u64, count: u32) -> std::io::Result<u8> {
    stream.write_u32(count).await?;
    stream.write_u64(first).await?;
    stream.read_u8().await
}

pub(crate) async fn books(port: u16) -> Option<Books> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_u32(0).await.ok()?;
    stream.write_u64(0).await.ok()?;
    let mut next = [0u64; 6];
    for figure in &mut next {
        *figure = stream.read_u64().await.ok()?;
    }
    let [exported, dead_lettered, dropped, queued, off, recovered] = next;
    Some(Books { exported, dead_lettered, dropped, queued, off, recovered })
}
