//! From a queue into back ends that misbehave: nothing is lost, nothing is there twice, and the books balance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sightline_agent::export::Exporter;
use sightline_agent::export::dead_letters::{self, DeadLetters};
use sightline_agent::export::elasticsearch::{self, Elasticsearch};
use sightline_agent::export::pump::{self, Pump};
use sightline_agent::export::zipkin::{self, Zipkin};
use sightline_agent::ledger;
use sightline_agent::logs::envelope::Envelope;
use sightline_agent::queue::{self, Queue};
use sightline_agent::units::{Bytes, Span};

use crate::fakes::bulk::{Bulk, Tally};
use crate::fakes::server::{Fault, Lie, Server};
use crate::fakes::spans::Spans;

const COUNT: u64 = 6000;

fn quick() -> pump::Settings {
    pump::Settings {
        max_records: 200,
        linger: Span(Duration::ZERO),
        backoff: Span(Duration::from_millis(2)),
        max_backoff: Span(Duration::from_millis(40)),
        ..pump::Settings::default()
    }
}

fn to(urls: Vec<String>) -> elasticsearch::Settings {
    elasticsearch::Settings {
        urls,
        timeout: Span(Duration::from_millis(500)),
        ..elasticsearch::Settings::default()
    }
}

/// A lane from queue to exporter, on a folder of its own.
struct Lane {
    queue: Arc<Queue>,
    letters: Arc<DeadLetters>,
    pump: Pump,
    name: &'static str,
    _dir: tempfile::TempDir,
}

impl Lane {
    fn start(name: &'static str, exporter: impl Exporter) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = queue::Settings { min_free: Bytes(0), ..queue::Settings::default() };
        let queue = Queue::open(dir.path(), name, &settings).unwrap();
        let letters = DeadLetters::open(&dir.path().join("dlq"), &dead_letters::Settings::default()).unwrap();
        let letters = Arc::new(letters);
        let pump = Pump::start(queue.clone(), exporter, letters.clone(), &quick());
        Lane { queue, letters, pump, name, _dir: dir }
    }

    fn put(&self, payloads: &[Vec<u8>]) {
        ledger::lane(self.name).received(payloads.len() as u64);
        self.queue.append(payloads).unwrap();
    }

    fn put_logs(&self, from: u64, to: u64) {
        let payloads: Vec<Vec<u8>> = (from..to).map(log).collect();
        payloads.chunks(100).for_each(|part| self.put(part));
    }

    async fn drained(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.queue.depth().records > 0 {
            assert!(
                Instant::now() < deadline,
                "not drained: {:?} {:?}",
                self.queue.depth(),
                self.pump.status()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the lane; its books, which balance.
    async fn finish(self) -> (ledger::Balance, Vec<dead_letters::Letter>) {
        self.drained().await;
        self.pump.stop(Instant::now() + Duration::from_secs(5)).await;
        self.queue.close(Instant::now() + Duration::from_secs(5));
        let books = ledger::lane(self.name).balance();
        assert_eq!((books.difference(), books.queued), (0, 0), "{books}");
        (books, self.letters.list().unwrap())
    }
}

fn log(n: u64) -> Vec<u8> {
    let mut payload = Vec::new();
    let (stream, id) = (format!("logs-kitten{}.app-test", n % 3), format!("{n:020}"));
    let document = format!(r#"{{"n":{n},"message":"number {n}"}}"#);
    Envelope { stream: &stream, id: &id, document: document.as_bytes() }.encode(&mut payload);
    payload
}

fn span(n: u64, name: &str) -> Vec<u8> {
    format!(
        r#"{{"traceId":"{:032x}","id":"{:016x}","name":"{name}","timestamp":1,"duration":1}}"#,
        n / 3,
        n + 1
    )
    .into_bytes()
}

/// All records through one fault, which is lifted after a while for those that would never end.
async fn through(
    lane: &'static str,
    fault: Fault,
) -> (Server<Bulk>, ledger::Balance, Vec<dead_letters::Letter>) {
    let server = Server::start(Bulk::default()).await;
    server.misbehave(fault);
    let running = Lane::start(lane, Elasticsearch::new(&to(vec![server.url()])).unwrap());
    running.put_logs(0, COUNT);
    let (books, letters) = running.finish().await;
    assert!(server.faults() > 0 || matches!(fault, Fault::None | Fault::Slow(_)), "the fault was never seen");
    assert_eq!(server.store.violations(), [""; 0]);
    (server, books, letters)
}

async fn nothing_lost(lane: &'static str, fault: Fault) -> Server<Bulk> {
    let (server, books, letters) = through(lane, fault).await;
    assert_eq!(server.store.tally(COUNT), Tally { lost: 0, doubled: 0 });
    assert_eq!((books.exported, letters.len()), (COUNT, 0));
    server
}

#[tokio::test]
async fn a_healthy_back_end_gets_each_record_once() {
    let server = nothing_lost("it-plain", Fault::None).await;
    assert_eq!(server.store.conflicts(), 0, "nothing was sent twice");
    assert!(server.store.largest() <= 200);
}

#[tokio::test]
async fn whole_requests_refused_with_429_and_503() {
    nothing_lost("it-429", Fault::Status(429, 40)).await;
    nothing_lost("it-503", Fault::Status(503, 40)).await;
    nothing_lost("it-401", Fault::Status(401, 40)).await;
}

#[tokio::test]
async fn single_items_refused_for_now() {
    let server = nothing_lost("it-items-429", Fault::Items(429, 50)).await;
    assert_eq!(server.store.conflicts(), 0, "only the refused items were sent again");
}

#[tokio::test]
async fn single_items_refused_for_good_become_dead_letters() {
    let (server, books, letters) = through("it-items-400", Fault::Items(400, 50)).await;
    assert!(server.store.refused() > 0);
    assert_eq!(letters.len() as u64, server.store.refused());
    assert_eq!(server.store.len() as u64 + server.store.refused(), COUNT);
    assert_eq!(books.dead_lettered, server.store.refused());
    assert_eq!(letters[0].reason, "400 document_parsing_exception: as told");
}

#[tokio::test]
async fn connections_closed_before_and_after_the_work() {
    nothing_lost("it-close-before", Fault::CloseBefore(30)).await;
    let server = nothing_lost("it-close-after", Fault::CloseAfter(30)).await;
    assert!(server.store.conflicts() > 0, "what was stored without an answer came again, under its id");
}

#[tokio::test]
async fn requests_that_hang_and_a_slow_back_end() {
    nothing_lost("it-hang", Fault::Hang(10)).await;
    nothing_lost("it-slow", Fault::Slow(30)).await;
}

#[tokio::test]
async fn answers_that_lie_are_not_believed() {
    nothing_lost("it-lie-half", Fault::Lie(Lie::HalfTheItems, 30)).await;
    nothing_lost("it-lie-nonsense", Fault::Lie(Lie::Nonsense, 30)).await;
    nothing_lost("it-lie-endless", Fault::Lie(Lie::Endless, 10)).await;
}

#[tokio::test]
async fn a_back_end_that_is_down_at_the_start_and_again_in_the_middle() {
    let mut server = Server::start(Bulk::default()).await;
    server.down().await;
    let lane = Lane::start("it-outage", Elasticsearch::new(&to(vec![server.url()])).unwrap());
    lane.put_logs(0, 2000);
    let deadline = Instant::now() + Duration::from_secs(20);
    while lane.pump.status().reachable != Some(false) {
        assert!(Instant::now() < deadline, "the outage is never noticed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(lane.pump.status().last_error.unwrap().starts_with("connect: "));
    server.up().await;
    lane.drained().await;
    server.down().await;
    lane.put_logs(2000, 4000);
    server.up().await;
    lane.put_logs(4000, COUNT);
    lane.finish().await;
    assert_eq!(server.store.tally(COUNT), Tally { lost: 0, doubled: 0 });
}

#[tokio::test]
async fn a_node_that_is_down_is_passed_over() {
    let (mut dead, alive) = (Server::start(Bulk::default()).await, Server::start(Bulk::default()).await);
    dead.down().await;
    let exporter = Elasticsearch::new(&to(vec![dead.url(), alive.url()])).unwrap();
    let lane = Lane::start("it-failover", exporter);
    lane.put_logs(0, COUNT);
    let (books, _) = lane.finish().await;
    assert_eq!(books.exported, COUNT);
    assert_eq!(alive.store.tally(COUNT), Tally { lost: 0, doubled: 0 });
}

#[tokio::test]
async fn a_body_that_is_too_large_is_split() {
    let server = Server::start(Bulk { max_body: Some(4000), ..Bulk::default() }).await;
    let lane = Lane::start("it-413", Elasticsearch::new(&to(vec![server.url()])).unwrap());
    lane.put_logs(0, 1000);
    lane.finish().await;
    assert_eq!(server.store.tally(1000), Tally { lost: 0, doubled: 0 });
}

#[tokio::test]
async fn compressed_bodies_arrive() {
    let server = Server::start(Bulk::default()).await;
    let settings = elasticsearch::Settings { gzip: true, ..to(vec![server.url()]) };
    let lane = Lane::start("it-gzip", Elasticsearch::new(&settings).unwrap());
    lane.put_logs(0, COUNT);
    lane.finish().await;
    assert_eq!(server.store.tally(COUNT), Tally { lost: 0, doubled: 0 });
}

#[tokio::test]
async fn a_replayed_dead_letter_arrives_once_its_reason_is_gone() {
    let server = Server::start(Bulk::default()).await;
    *server.store.refuses.lock() = Some(|n| n == 7);
    let lane = Lane::start("it-replay", Elasticsearch::new(&to(vec![server.url()])).unwrap());
    lane.put_logs(0, 10);
    lane.drained().await;
    assert_eq!(lane.letters.list().unwrap().len(), 1);
    assert_eq!(server.store.tally(10), Tally { lost: 1, doubled: 0 });
    *server.store.refuses.lock() = None;
    let all = dead_letters::Choice::default();
    assert_eq!(lane.letters.request_replay(&all).unwrap(), 1);
    assert_eq!(lane.letters.replay_into(std::slice::from_ref(&lane.queue)).await.unwrap(), 1);
    let (books, letters) = lane.finish().await;
    assert_eq!((books.dead_lettered, books.replayed, letters.len()), (1, 1, 0));
    assert_eq!(server.store.tally(10), Tally { lost: 0, doubled: 0 });
}

#[tokio::test]
async fn spans_reach_zipkin_and_one_that_it_cannot_read_costs_no_other() {
    let server = Server::start(Spans { poison: Some("poison"), ..Spans::default() }).await;
    let settings = zipkin::Settings { urls: vec![server.url()], ..zipkin::Settings::default() };
    let lane = Lane::start("it-zipkin", Zipkin::new(&settings).unwrap());
    let name = |n| if n == 1234 || n == 2222 { "poison" } else { "get" };
    let spans: Vec<Vec<u8>> = (0..3000).map(|n| span(n, name(n))).collect();
    lane.put(&spans);
    let (books, letters) = lane.finish().await;
    assert_eq!((server.store.len(), server.store.doubled(), books.exported), (2998, 0, 2998));
    let mut refused: Vec<Vec<u8>> = letters.into_iter().map(|letter| letter.payload).collect();
    refused.sort();
    assert_eq!(refused, [span(1234, "poison"), span(2222, "poison")]);
    assert_eq!(server.store.violations(), [""; 0]);
}

#[tokio::test]
async fn spans_wait_while_zipkin_refuses() {
    let server = Server::start(Spans::default()).await;
    server.misbehave(Fault::Status(503, 50));
    let settings = zipkin::Settings { urls: vec![server.url()], gzip: true, ..zipkin::Settings::default() };
    let lane = Lane::start("it-zipkin-503", Zipkin::new(&settings).unwrap());
    let spans: Vec<Vec<u8>> = (0..3000).map(|n| span(n, "get")).collect();
    lane.put(&spans);
    lane.finish().await;
    assert_eq!((server.store.len(), server.store.doubled()), (3000, 0));
    assert!(server.requests() > 0);
}
