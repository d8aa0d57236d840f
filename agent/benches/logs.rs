//! Throughput of the logs lane with its disk queue, into a cheap `_bulk`: records a second, processor seconds per
//! million, peak memory.
//!
//! `cargo bench --bench logs -- [--records 1000000] [--rounds 3] [--delivery] [--free]`. By default the real agent
//! takes 400-byte JSON lines over four TCP connections, on a processor of its own; generator and back end have the
//! other (`--free`: as the kernel likes). `--delivery` leaves the receiver out and measures queue, pump
//! and exporter alone, in a process of their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench that cannot go on has nothing to measure"
)]
#![allow(clippy::print_stdout, reason = "it prints its table")]

mod lane;

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lane::sink::{Kind, Sink};
use lane::{agent, argument, flag, process};
use sightline_agent::export::dead_letters::{self, DeadLetters};
use sightline_agent::export::elasticsearch::{self, Elasticsearch};
use sightline_agent::export::pump::Pump;
use sightline_agent::logs::envelope::Envelope;
use sightline_agent::queue::{self, Full, Queue};

const CONNECTIONS: u64 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    if flag("child") {
        return delivery(argument("child", String::new()), argument("records", 1_000_000));
    }
    // `cargo test --benches` only wants to know that it starts.
    if flag("test") {
        return;
    }
    agent::stand_aside();
    let (records, rounds) = (argument("records", 1_000_000u64), argument("rounds", 3));
    println!(
        "| round | records/s | CPU s per million | peak RSS MiB | of it anonymous at the end | requests |"
    );
    println!("|---|---|---|---|---|---|");
    for round in 1..=rounds {
        let sink = Sink::start(Kind::Bulk);
        let dir = tempfile::tempdir().unwrap();
        let (mut child, input) = if flag("delivery") {
            start_delivery(&sink, records, dir.path())
        } else {
            start_agent(&sink, dir.path())
        };
        let before = process::cpu_seconds(child.id());
        let begun = Instant::now();
        if let Some(address) = input {
            send(&address, records);
        }
        sink.wait(records, PATIENCE);
        let wall = begun.elapsed().as_secs_f64();
        let cpu = process::cpu_seconds(child.id()) - before;
        println!(
            "| {round} | {:.0} | {:.2} | {:.0} | {:.0} | {} |",
            records as f64 / wall,
            cpu * 1e6 / records as f64,
            process::mebibytes(child.id(), "VmHWM"),
            process::mebibytes(child.id(), "RssAnon"),
            sink.requests()
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// One line of about 400 bytes.
fn line(n: u64) -> String {
    let mut line = format!(
        r#"{{"@timestamp":"2026-01-01T00:00:{:02}.{:06}Z","message":"listed the kittens of this page","log.level":"info","service.name":"kittenserver","service.environment":"bench","host.name":"server1","handler":"list","status":200,"method":"GET","request_id":"5f2b9c1e-0000-4000-8000-{n:012x}","n":{n},"labels":{{"page":"{}","pad":""#,
        n / 1_000_000 % 60,
        n % 1_000_000,
        n % 97,
    );
    while line.len() < 396 {
        line.push('x');
    }
    line.push_str("\"}}\n");
    line
}

fn send(address: &str, records: u64) {
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                let mut buffer = String::new();
                for n in (connection..records).step_by(CONNECTIONS as usize) {
                    buffer.push_str(&line(n));
                    if buffer.len() > 64 << 10 {
                        stream.write_all(buffer.as_bytes()).unwrap();
                        buffer.clear();
                    }
                }
                stream.write_all(buffer.as_bytes()).unwrap();
            });
        }
    });
}

fn start_delivery(sink: &Sink, records: u64, dir: &std::path::Path) -> (std::process::Child, Option<String>) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--child", &format!("{};{}", sink.address, dir.display()), "--records", &records.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    (child, None)
}

fn start_agent(sink: &Sink, dir: &std::path::Path) -> (std::process::Child, Option<String>) {
    let input = agent::port();
    let extra = format!(
        "logs: {{tcp: {{listen: '{input}'}}, udp: {{listen: 'off'}}, http: {{listen: 'off'}}}}\nelasticsearch: {{urls: ['http://{}']}}",
        sink.address
    );
    (agent::start(dir, input, &extra), Some(input.to_string()))
}

/// The child of `--delivery`: four threads enqueue what a receiver would have made of the lines.
fn delivery(place: String, records: u64) {
    let (sink, dir) = place.split_once(';').unwrap();
    let dir = std::path::Path::new(dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let queue = Queue::open(dir, "logs", &queue::Settings::default()).unwrap();
    let letters = DeadLetters::open(&dir.join("dlq"), &dead_letters::Settings::default()).unwrap();
    let settings = elasticsearch::Settings { urls: vec![format!("http://{sink}")], ..Default::default() };
    let exporter = Elasticsearch::new(&settings).unwrap();
    let _pump = runtime.block_on(async {
        Pump::start(queue.clone(), exporter, std::sync::Arc::new(letters), &settings.delivery)
    });
    // One group of records, made once: making them is not what is measured.
    let group: Vec<Vec<u8>> = (0..250)
        .map(|n| {
            let (mut payload, id) = (Vec::new(), format!("0000{n:022}"));
            let document = line(n);
            let stream = "logs-kittenserver.app-bench";
            Envelope { stream, id: &id, document: document.trim_end().as_bytes() }.encode(&mut payload);
            payload
        })
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                for _ in 0..records / CONNECTIONS / 250 {
                    while let Err(full) = queue.append(&group) {
                        assert!(matches!(full, Full::Busy | Full::Bound), "{full}");
                        runtime.block_on(queue.wait_room());
                    }
                }
            });
        }
    });
    // The parent ends this process when the last record has arrived.
    std::thread::sleep(PATIENCE * 2);
}
