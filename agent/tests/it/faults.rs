//! The fault table in small, on the real binary: numbered records come in by `_bulk`, each group again until it is
//! acknowledged, and go out to a strict fake that misbehaves, while the agent is killed, crashes at named points, has
//! its disk filled and its files damaged. What was acknowledged is there, once, and the books say the rest.
//!
//! `just faults` is the same in large.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::fakes::bulk::{Bulk, Tally};
use super::fakes::server::{Fault, Server};
use super::support::agent::{Ports, Process};
use super::support::{eventually, get_text, sample};

const GROUP: u64 = 50;

/// An agent between a sender and a back end, which outlives it.
struct Row {
    ports: Ports,
    server: Server<Bulk>,
    queue: String,
}

impl Row {
    async fn new(queue: &str) -> Self {
        let queue = format!("{{min_free: 0, segment_bytes: 16KiB, {queue}}}");
        Row { ports: Ports::new(), server: Server::start(Bulk::default()).await, queue }
    }

    /// Starts the agent, to end at `crash_point` if there is one.
    async fn agent(&self, crash_point: &str) -> Process {
        let more = format!(
            "queue: {}\nelasticsearch: {{urls: ['{}'], timeout: 500ms, delivery: {{max_records: 100, linger: 1ms, backoff: 2ms, max_backoff: 50ms}}}}",
            self.queue,
            self.server.url()
        );
        let http = format!("http: {{listen: '127.0.0.1:{}'}}, max_line: 64KiB", self.ports.bulk);
        self.ports.start(&http, &more, &[("SIGHTLINE_CRASH_POINT", crash_point)]).await
    }

    /// Sends the numbers `from..to` in groups, each until the agent says that it is kept.
    fn send(&self, from: u64, to: u64) -> tokio::task::JoinHandle<()> {
        let url = format!("http://127.0.0.1:{}/_bulk", self.ports.bulk);
        tokio::spawn(async move {
            let client = reqwest::Client::new();
            let deadline = Instant::now() + Duration::from_secs(60);
            for first in (from..to).step_by(GROUP as usize) {
                let body: String = (first..to.min(first + GROUP))
                    .map(|n| format!("{{\"create\":{{\"_id\":\"{n:020}\"}}}}\n{{\"n\":{n},\"service\":\"faults\",\"message\":\"{n:0>100}\"}}\n"))
                    .collect();
                loop {
                    let request = client.post(&url).header("content-type", "application/x-ndjson");
                    match request.body(body.clone()).send().await {
                        Ok(answer) if answer.status() == 200 => break,
                        other => assert!(Instant::now() < deadline, "the records cannot be sent: {other:?}"),
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        })
    }

    async fn figure(&self, name: &str) -> f64 {
        let text = get_text(&self.ports.url("/metrics")).await.unwrap_or_default();
        let lines = text.lines().filter(|l| l.starts_with(name) && l.contains("lane=\"logs\""));
        lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until nothing is queued; what was dropped since the last start.
    async fn drained(&self) -> u64 {
        eventually("the queue is empty and the books balance", 60, async || {
            let text = get_text(&self.ports.url("/metrics")).await?;
            let queued = sample(&text, "sightline_queued{lane=\"logs\"");
            let off = sample(&text, "sightline_ledger_difference{lane=\"logs\"");
            if (queued, off) == (Some(0.0), Some(0.0)) { Ok(()) } else { Err(format!("{queued:?} {off:?}")) }
        })
        .await;
        self.figure("sightline_dropped_total").await as u64
    }

    fn tally(&self, records: u64) -> Tally {
        assert_eq!(self.server.store.violations(), [""; 0]);
        self.server.store.tally(records)
    }

    fn segments(&self) -> Vec<std::path::PathBuf> {
        let folder = self.ports.dir.path().join("data/queue/logs");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "segment"))
            .collect();
        files.sort();
        files
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_loses_and_doubles_nothing() {
    const COUNT: u64 = 3000;
    let row = Row::new("").await;
    row.server.misbehave(Fault::CloseAfter(20));
    let mut agent = row.agent("").await;
    let sending = row.send(0, COUNT);
    for n in 0..5u64 {
        // At another place in the stream each time.
        eventually("some records arrive", 30, async || {
            let there = row.server.store.len() as u64;
            if there >= n * COUNT / 8 { Ok(()) } else { Err(there) }
        })
        .await;
        agent.signal("-KILL");
        agent.ended(10).await;
        agent = row.agent("").await;
    }
    sending.await.unwrap();
    assert_eq!(row.drained().await, 0);
    assert_eq!(row.tally(COUNT), Tally { lost: 0, doubled: 0 });
}

/// Lines have no answer: what the kernel held for the agent when it was killed, or the agent had not yet written, is
/// gone, and nothing before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_over_tcp_lose_at_a_kill_only_the_end_of_what_was_sent() {
    let row = Row::new("").await;
    let mut agent = row.agent("").await;
    let write = |from: u64, to: u64| {
        let mut lines = TcpStream::connect(("127.0.0.1", row.ports.logs)).unwrap();
        for n in from..to {
            writeln!(lines, "{{\"n\":{n},\"service\":\"lines\",\"message\":\"{n:0>300}\"}}").unwrap();
        }
        lines
    };
    let arrived = async |count: usize| {
        eventually("the lines arrive", 30, async || {
            let there = row.server.store.len();
            if there >= count { Ok(()) } else { Err(there) }
        })
        .await;
    };
    let first = write(0, 2000);
    arrived(2000).await;
    let second = write(2000, 6000);
    agent.signal("-KILL");
    agent.ended(10).await;
    drop((first, second));
    let _agent = row.agent("").await;
    let _third = write(6000, 7000);
    eventually("the lines after the kill arrive", 30, async || {
        let numbers = row.server.store.numbers();
        let after = numbers.iter().filter(|n| **n >= 6000).count();
        if after == 1000 { Ok(()) } else { Err(after) }
    })
    .await;
    assert_eq!(row.drained().await, 0);
    let numbers = row.server.store.numbers();
    let kept = numbers.iter().filter(|n| **n < 6000).count() as u64;
    let expected: Vec<u64> = (0..kept).chain(6000..7000).collect();
    assert!(numbers == expected, "{} of 4000 lines in flight were lost, but not the last ones", 6000 - kept);
}

#[cfg(feature = "crash-points")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_of_the_queue_loses_and_doubles_nothing() {
    const COUNT: u64 = 1500;
    for point in [
        "segment-created:2",
        "segment-full:2",
        "group-written:5",
        "group-synced:5",
        "end-written:5",
        "cursor-written:2",
        "cursor-synced:2",
        "before-remove:2",
        "removed:1",
    ] {
        let row = Row::new("").await;
        let mut agent = row.agent(point).await;
        let sending = row.send(0, COUNT);
        assert_eq!(agent.ended(30).await, None, "{point} is reached and ends the agent by a signal");
        let _agent = row.agent("").await;
        sending.await.unwrap();
        assert_eq!(row.drained().await, 0, "{point}");
        assert_eq!(row.tally(COUNT), Tally { lost: 0, doubled: 0 }, "{point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_until_there_is_room_and_loses_nothing() {
    const COUNT: u64 = 3000;
    let mut row = Row::new("max_bytes: 128KiB").await;
    row.server.down().await;
    let _agent = row.agent("").await;
    let sending = row.send(0, COUNT);
    eventually("the queue is full", 30, async || {
        let before = row.figure("sightline_queued{").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = row.figure("sightline_queued{").await;
        if now > 0.0 && now == before { Ok(()) } else { Err(now) }
    })
    .await;
    assert!(!sending.is_finished(), "the sender was told to wait");
    let bytes: u64 = row.segments().iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(bytes <= 128 << 10, "{bytes} bytes on disk");
    row.server.up().await;
    sending.await.unwrap();
    assert_eq!(row.drained().await, 0);
    assert_eq!(row.tally(COUNT), Tally { lost: 0, doubled: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_cost_what_was_hit_and_every_lost_record_is_counted() {
    const COUNT: u64 = 2000;
    let mut row = Row::new("").await;
    row.server.down().await;
    let mut agent = row.agent("").await;
    row.send(0, COUNT).await.unwrap();
    agent.signal("-KILL");
    agent.ended(10).await;
    let files = row.segments();
    assert!(files.len() >= 8, "{} segments", files.len());
    // A bit flipped, a block zeroed, a tail cut off in the middle, a file gone, and the very end cut off.
    let edit = |file: &std::path::Path, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(file).unwrap();
        change(&mut bytes);
        std::fs::write(file, bytes).unwrap();
    };
    edit(&files[0], &|bytes| bytes[5000] ^= 16);
    edit(&files[1], &|bytes| bytes[4096..8192].fill(0));
    edit(&files[2], &|bytes| bytes.truncate(bytes.len() - 1000));
    std::fs::remove_file(&files[3]).unwrap();
    let last = files.last().unwrap();
    edit(last, &|bytes| bytes.truncate(bytes.len() - 700));
    let _agent = row.agent("").await;
    row.server.up().await;
    let dropped = row.drained().await;
    let Tally { lost, doubled } = row.tally(COUNT);
    assert_eq!((lost, doubled), (dropped, 0), "what is missing is what the books say");
    let per_segment = COUNT / files.len() as u64;
    assert!(lost > per_segment && lost < 3 * per_segment, "{lost} lost, {per_segment} in a segment");
}
