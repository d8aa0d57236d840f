//! The pump with an exporter that does as it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Pump, Settings};
use crate::export::dead_letters::{self, DeadLetters};
use crate::export::{Entry, Exporter, Verdict};
use crate::ledger;
use crate::queue::{self, Queue};
use crate::units::{Bytes, Span};

/// Decides by a function of the record's number and how often it was tried before.
struct Told {
    decide: fn(u64, u32) -> Verdict,
    seen: Arc<Mutex<BTreeMap<u64, u32>>>,
    stored: Arc<Mutex<Vec<u64>>>,
}

impl Exporter for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    async fn export(&self, batch: &[Entry]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for entry in batch {
            let number = std::str::from_utf8(&entry.payload).unwrap().parse().unwrap();
            let mut seen = self.seen.lock();
            let tries = seen.entry(number).or_default();
            let verdict = (self.decide)(number, *tries);
            *tries += 1;
            if verdict == Verdict::Done {
                self.stored.lock().push(number);
            }
            verdicts.push(verdict);
        }
        verdicts
    }
}

/// The same, one record after the other, and none behind one that has to wait.
struct InOrder(Told);

impl Exporter for InOrder {
    const IN_ORDER: bool = true;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    async fn export(&self, batch: &[Entry]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for entry in batch {
            verdicts.extend(self.0.export(std::slice::from_ref(entry)).await);
            if let Some(Verdict::Retry { .. }) = verdicts.last() {
                verdicts.resize(batch.len(), retry("503"));
                break;
            }
        }
        verdicts
    }
}

struct Outcome {
    stored: Vec<u64>,
    /// As they came to be stored.
    order: Vec<u64>,
    tries: BTreeMap<u64, u32>,
    letters: Vec<u64>,
    books: ledger::Balance,
    status: super::Status,
}

fn settings() -> Settings {
    Settings {
        max_records: 100,
        linger: Span(Duration::ZERO),
        backoff: Span(Duration::from_millis(1)),
        max_backoff: Span(Duration::from_millis(5)),
        ..Settings::default()
    }
}

fn retry(reason: &str) -> Verdict {
    Verdict::Retry { after: None, reason: reason.to_owned() }
}

/// Pumps records 0..`count` until all are dealt with.
async fn pump(
    lane: &'static str,
    count: u64,
    settings: &Settings,
    decide: fn(u64, u32) -> Verdict,
) -> Outcome {
    pump_into(lane, count, settings, decide, |told| told).await
}

async fn pump_into<E: Exporter>(
    lane: &'static str,
    count: u64,
    settings: &Settings,
    decide: fn(u64, u32) -> Verdict,
    exporter: fn(Told) -> E,
) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let queue_settings = queue::Settings { min_free: Bytes(0), ..queue::Settings::default() };
    let queue = Queue::open(dir.path(), lane, &queue_settings).unwrap();
    let letters =
        Arc::new(DeadLetters::open(&dir.path().join("dlq"), &dead_letters::Settings::default()).unwrap());
    let (seen, stored) = (Arc::new(Mutex::default()), Arc::new(Mutex::default()));
    let told = Told { decide, seen: Arc::clone(&seen), stored: Arc::clone(&stored) };
    let pump = Pump::start(queue.clone(), exporter(told), letters.clone(), settings);
    for from in (0..count).step_by(250) {
        let texts: Vec<String> = (from..count.min(from + 250)).map(|n| n.to_string()).collect();
        ledger::lane(lane).received(texts.len() as u64);
        queue.append(&texts).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while queue.depth().records > 0 {
        assert!(Instant::now() < deadline, "not drained: {:?}, {:?}", queue.depth(), pump.status());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let status = pump.status();
    pump.stop(Instant::now() + Duration::from_secs(5)).await;
    queue.close(Instant::now() + Duration::from_secs(5));
    let letters = letters
        .list()
        .unwrap()
        .iter()
        .map(|l| std::str::from_utf8(&l.payload).unwrap().parse().unwrap())
        .collect();
    let order = stored.lock().clone();
    let mut stored = order.clone();
    stored.sort_unstable();
    let tries = seen.lock().clone();
    Outcome { stored, order, tries, letters, books: ledger::lane(lane).balance(), status }
}

#[tokio::test]
async fn delivers_everything_once_when_nothing_fails() {
    let outcome = pump("pump-plain", 5000, &settings(), |_, _| Verdict::Done).await;
    assert_eq!(outcome.stored, (0..5000).collect::<Vec<_>>());
    assert_eq!((outcome.books.exported, outcome.books.difference()), (5000, 0));
    assert_eq!(outcome.status.reachable, Some(true));
}

#[tokio::test]
async fn only_what_failed_is_tried_again_and_refusals_become_dead_letters() {
    let outcome = pump("pump-mixed", 2000, &settings(), |number, tries| match number % 10 {
        0 if tries < 2 => retry("429"),
        1 => Verdict::Reject { reason: "400 mapper_parsing_exception".into() },
        _ => Verdict::Done,
    })
    .await;
    let of = |rest: u64| (0..2000).filter(move |n| n % 10 == rest);
    assert_eq!(outcome.letters, of(1).collect::<Vec<_>>());
    assert_eq!(outcome.stored, (0..2000).filter(|n| n % 10 != 1).collect::<Vec<_>>());
    assert!(of(0).all(|n| outcome.tries[&n] == 3));
    assert!((2..10).all(|rest| of(rest).all(|n| outcome.tries[&n] == 1)));
    let books = outcome.books;
    assert_eq!((books.exported, books.dead_lettered, books.queued, books.difference()), (1800, 200, 0, 0));
}

#[tokio::test]
async fn a_back_end_that_was_down_gets_everything_when_it_is_back() {
    let outcome = pump("pump-down", 3000, &settings(), |number, tries| match number {
        0..100 if tries < 6 => retry("connect"),
        _ => Verdict::Done,
    })
    .await;
    assert_eq!(outcome.stored, (0..3000).collect::<Vec<_>>());
    assert_eq!(outcome.status.last_error.as_deref(), Some("connect"));
}

#[tokio::test]
async fn one_record_that_is_refused_for_long_does_not_hold_up_the_others() {
    static OTHERS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    use std::sync::atomic::Ordering::Relaxed;
    // Record 7 is taken only when all the others have been.
    let outcome = pump("pump-stuck", 4000, &settings(), |number, _| {
        if number == 7 && OTHERS.load(Relaxed) < 3999 {
            return retry("429");
        }
        OTHERS.fetch_add(1, Relaxed);
        Verdict::Done
    })
    .await;
    assert_eq!(outcome.stored.len(), 4000);
    assert!(outcome.tries[&7] > 1);
}

#[tokio::test]
async fn an_exporter_that_panics_or_says_too_little_loses_nothing() {
    struct Careless(Told, std::sync::atomic::AtomicU32);
    impl Exporter for Careless {
        fn name(&self) -> &'static str {
            "careless"
        }
        async fn export(&self, batch: &[Entry]) -> Vec<Verdict> {
            let call = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            match call {
                0 | 3 => panic!("as the test wants it"),
                1 => self.0.export(&batch[..batch.len() / 2]).await,
                _ => self.0.export(batch).await,
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let queue_settings = queue::Settings { min_free: Bytes(0), ..queue::Settings::default() };
    let queue = Queue::open(dir.path(), "pump-careless", &queue_settings).unwrap();
    let letters =
        Arc::new(DeadLetters::open(&dir.path().join("dlq"), &dead_letters::Settings::default()).unwrap());
    let stored = Arc::new(Mutex::default());
    let told = Told { decide: |_, _| Verdict::Done, seen: Arc::default(), stored: Arc::clone(&stored) };
    let texts: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    queue.append(&texts).unwrap();
    let pump = Pump::start(queue.clone(), Careless(told, 0.into()), letters, &settings());
    let deadline = Instant::now() + Duration::from_secs(30);
    while queue.depth().records > 0 {
        assert!(Instant::now() < deadline, "not drained: {:?}, {:?}", queue.depth(), pump.status());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stored.lock().sort_unstable();
    assert_eq!(*stored.lock(), (0..1000).collect::<Vec<u64>>());
    pump.stop(Instant::now() + Duration::from_secs(5)).await;
    queue.close(Instant::now() + Duration::from_secs(5));
}

#[tokio::test]
async fn what_cannot_be_delivered_before_the_deadline_stays_in_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let queue_settings = queue::Settings { min_free: Bytes(0), ..queue::Settings::default() };
    let queue = Queue::open(dir.path(), "pump-deadline", &queue_settings).unwrap();
    let letters =
        Arc::new(DeadLetters::open(&dir.path().join("dlq"), &dead_letters::Settings::default()).unwrap());
    let told = Told { decide: |_, _| retry("connect"), seen: Arc::default(), stored: Arc::default() };
    let ticket = queue.append(&["1", "2"]).unwrap();
    queue.durable(ticket).await.unwrap();
    let pump = Pump::start(queue.clone(), told, letters, &settings());
    pump.stop(Instant::now() + Duration::from_millis(50)).await;
    queue.close(Instant::now() + Duration::from_secs(5));
    drop(queue);
    let queue = Queue::open(dir.path(), "pump-deadline", &queue_settings).unwrap();
    assert_eq!(queue.depth().records, 2);
    queue.close(Instant::now() + Duration::from_secs(5));
}

#[tokio::test]
async fn nothing_overtakes_where_the_order_counts() {
    let decide = |number, tries| if number % 70 == 7 && tries < 3 { retry("503") } else { Verdict::Done };
    let outcome = pump_into("pump-order", 1000, &settings(), decide, InOrder).await;
    assert_eq!(outcome.order, (0..1000).collect::<Vec<_>>());
    // An exporter that does not ask for it goes on with what does not wait.
    let outcome = pump("pump-no-order", 1000, &settings(), decide).await;
    assert_eq!(outcome.stored, (0..1000).collect::<Vec<_>>());
    assert!(!outcome.order.is_sorted(), "the order says nothing if it holds anyhow");
}
