//! Throughput of the logs lane with its disk queue, into a cheap `_bulk`: records a second, processor seconds per
//! million, peak memory.
//!
//! `cargo bench --bench logs -- [--records 1000000] [--rounds 3] [--delivery] [--backlog] [--free]`. By default the real
//! agent takes 400-byte JSON lines over four TCP connections, on a processor of its own; generator and back end have the
//! other (`--free`: as the kernel likes). `--delivery` leaves the receiver out and measures queue, pump and exporter
//! alone, in a process of their own. `--backlog` fills the queue first and then measures the start and the draining.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench that cannot go on has nothing to measure"
)]
#![allow(clippy::print_stdout, reason = "it prints its table")]

mod lane;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use lane::agent::Agent;
use lane::lines::{self, CONNECTIONS};
use lane::round::{self, PATIENCE};
use lane::sink::{Kind, Sink};
use lane::{agent, argument, backlog, flag};
use sightline_agent::export::dead_letters::{self, DeadLetters};
use sightline_agent::export::elasticsearch::{self, Elasticsearch};
use sightline_agent::export::pump::Pump;
use sightline_agent::logs::envelope::Envelope;
use sightline_agent::queue::{self, Full, Queue};

fn main() {
    if flag("child") {
        return delivery(argument("child", String::new()), argument("records", 1_000_000));
    }
    // `cargo test --benches` only wants to know that it starts.
    if flag("test") {
        return;
    }
    agent::stand_aside();
    if flag("backlog") {
        return backlog::run(argument("records", 1_760_000));
    }
    let (records, rounds) = (argument("records", 1_000_000u64), argument("rounds", 3));
    round::head("records");
    for number in 1..=rounds {
        let sink = Sink::start(Kind::Bulk);
        let dir = tempfile::tempdir().unwrap();
        if flag("delivery") {
            let mut child = start_delivery(&sink, records, dir.path());
            round::round(number, child.id(), &sink, records, || {});
            child.kill().unwrap();
            child.wait().unwrap();
        } else {
            let input = agent::port();
            let agent = start_agent(&sink, dir.path(), input);
            round::round(number, agent.id(), &sink, records, || lines::send(input, records));
        }
    }
}

fn start_delivery(sink: &Sink, records: u64, dir: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--child", &format!("{};{}", sink.address, dir.display()), "--records", &records.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn start_agent(sink: &Sink, dir: &std::path::Path, input: SocketAddr) -> Agent {
    let extra = format!(
        "logs: {{tcp: {{listen: '{input}'}}, udp: {{listen: 'off'}}, http: {{listen: 'off'}}}}\nelasticsearch: {{urls: ['http://{}']}}",
        sink.address
    );
    agent::start(dir, input, &extra)
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
            let document = lines::line(n);
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
