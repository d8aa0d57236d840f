//! The queue as its users see it, on real folders.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Full, OpenError, Queue, Settings};
use crate::ledger;
use crate::units::{Bytes, Span};

mod model;

fn settings() -> Settings {
    Settings {
        max_bytes: Bytes(1 << 20),
        min_free: Bytes(0),
        segment_bytes: Bytes(2048),
        commit_interval: Span(Duration::from_millis(1)),
        ..Settings::default()
    }
}

fn open(dir: &Path, lane: &'static str) -> Arc<Queue> {
    Queue::open(dir, lane, &settings()).unwrap()
}

fn close(queue: &Queue) {
    queue.close(Instant::now() + Duration::from_secs(10));
}

fn texts(from: u64, to: u64) -> Vec<String> {
    (from..to).map(|n| format!("record number {n:06}")).collect()
}

async fn put(queue: &Queue, from: u64, to: u64) {
    let ticket = queue.append(&texts(from, to)).unwrap();
    queue.durable(ticket).await.unwrap();
}

fn drain(queue: &Arc<Queue>) -> Vec<String> {
    let mut reader = queue.reader();
    let mut seen = Vec::new();
    loop {
        let batch = reader.next_batch(7, 300).unwrap();
        if batch.entries.is_empty() && batch.lost.is_empty() {
            return seen;
        }
        seen.extend(batch.entries.iter().map(|e| String::from_utf8(e.payload.to_vec()).unwrap()));
    }
}

fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "segment"))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_is_durable_is_there_after_a_restart_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), "queue-restart");
    for n in 0..20 {
        put(&queue, n * 50, n * 50 + 50).await;
    }
    queue.acknowledge(300);
    close(&queue);
    drop(queue);

    let queue = open(dir.path(), "queue-restart");
    assert_eq!(queue.depth().records, 700);
    assert_eq!(drain(&queue), texts(300, 1000));
    put(&queue, 1000, 1001).await;
    let mut reader = queue.reader();
    assert_eq!(reader.next_batch(1, 1).unwrap().entries[0].seq, 300);
    queue.acknowledge(1001);
    close(&queue);
    drop((queue, reader));

    let queue = open(dir.path(), "queue-restart");
    assert_eq!(queue.depth().records, 0);
    put(&queue, 0, 1).await;
    assert_eq!(queue.reader().next_batch(1, 1).unwrap().entries[0].seq, 1001, "no number comes twice");
    close(&queue);
}

#[tokio::test]
async fn a_second_agent_is_told_that_the_folder_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), "queue-lock");
    let second = Queue::open(dir.path(), "queue-lock", &settings());
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    close(&queue);
}

#[tokio::test]
async fn at_the_bound_it_takes_nothing_and_says_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Queue::open(
        dir.path(),
        "queue-bound",
        &Settings { max_bytes: Bytes(16 << 10), segment_bytes: Bytes(1024), ..settings() },
    )
    .unwrap();
    let mut taken = 0;
    let full = loop {
        match queue.append(&[[b'x'; 100]]) {
            Ok(ticket) => queue.durable(ticket).await.unwrap(),
            Err(full) => break full,
        }
        taken += 1;
    };
    assert_eq!(full, Full::Bound);
    assert!((130..150).contains(&taken), "{taken}");
    assert_eq!(queue.depth().records, taken, "nothing is deleted to make room");
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.wait_room().await }
    });
    queue.acknowledge(taken / 2);
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    queue.append(&[[b'x'; 100]]).unwrap();
    assert_eq!(queue.append(&[vec![0; 17 << 20]]), Err(Full::TooLarge));
    close(&queue);
    assert_eq!(queue.append(&[b"late"]), Err(Full::Closed));
}

#[tokio::test]
async fn read_segments_go_away_and_unread_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), "queue-remove");
    for n in 0..10 {
        put(&queue, n * 100, n * 100 + 100).await;
    }
    let before = segments(&dir.path().join("queue-remove"));
    queue.acknowledge(550);
    close(&queue);
    let after = segments(&dir.path().join("queue-remove"));
    assert_eq!(before.len(), 10);
    assert_eq!(after, before[5..], "the segment that holds 550 and all after it");
}

#[tokio::test]
async fn damage_costs_the_hit_records_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), "queue-damage");
    for n in 0..5 {
        put(&queue, n * 100, n * 100 + 100).await;
    }
    close(&queue);
    drop(queue);
    let before = ledger::lane("queue-damage").balance();
    let files = segments(&dir.path().join("queue-damage"));
    // 16 bytes of header and 20 of text each: a bit of record 3, and records 110 to 114 overwritten.
    let mut bytes = fs::read(&files[0]).unwrap();
    bytes[3 * 36 + 20] ^= 1;
    fs::write(&files[0], bytes).unwrap();
    let mut bytes = fs::read(&files[1]).unwrap();
    bytes[10 * 36..15 * 36].fill(0);
    fs::write(&files[1], bytes).unwrap();
    // The third segment loses its second half, the fourth all of it, and the last its end.
    let bytes = fs::read(&files[2]).unwrap();
    fs::write(&files[2], &bytes[..50 * 36 + 7]).unwrap();
    fs::write(&files[3], []).unwrap();
    let bytes = fs::read(&files[4]).unwrap();
    fs::write(&files[4], &bytes[..99 * 36 + 35]).unwrap();

    let queue = open(dir.path(), "queue-damage");
    let mut want = texts(0, 500);
    want.remove(499);
    want.drain(250..400);
    want.drain(110..115);
    want.remove(3);
    assert_eq!(drain(&queue), want);
    let books = ledger::lane("queue-damage").balance();
    assert_eq!(books.recovered - before.recovered, 500);
    assert_eq!(books.dropped - before.dropped, 1 + 5 + 150 + 1);
    put(&queue, 0, 1).await;
    assert_eq!(drain(&queue).last().unwrap(), "record number 000000");
    close(&queue);
}

/// A queue whose last segment was cut or taken away had nothing behind the gap to count it by.
#[tokio::test]
async fn what_is_missing_at_the_very_end_is_counted_too() {
    for (name, keep) in [("queue-tail-cut", Some(40 * 36 + 9)), ("queue-tail-gone", None)] {
        let dir = tempfile::tempdir().unwrap();
        let queue = open(dir.path(), name);
        put(&queue, 0, 100).await;
        put(&queue, 100, 200).await;
        close(&queue);
        drop(queue);
        let before = ledger::lane(name).balance();
        let files = segments(&dir.path().join(name));
        match keep {
            Some(bytes) => fs::File::options().write(true).open(&files[1]).unwrap().set_len(bytes).unwrap(),
            None => fs::remove_file(&files[1]).unwrap(),
        }
        let queue = open(dir.path(), name);
        let left = if keep.is_some() { 140 } else { 100 };
        assert_eq!(drain(&queue), texts(0, left));
        let books = ledger::lane(name).balance();
        assert_eq!(books.recovered - before.recovered, 200);
        assert_eq!(books.dropped - before.dropped, 200 - left);
        put(&queue, 7, 8).await;
        assert_eq!(drain(&queue), [texts(0, left), texts(7, 8)].concat());
        close(&queue);
    }
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), "queue-all-gone");
    put(&queue, 0, 100).await;
    close(&queue);
    drop(queue);
    for file in segments(&dir.path().join("queue-all-gone")) {
        fs::remove_file(file).unwrap();
    }
    let queue = open(dir.path(), "queue-all-gone");
    assert_eq!((queue.depth().records, drain(&queue).len()), (0, 0));
    put(&queue, 7, 8).await;
    assert_eq!(drain(&queue), texts(7, 8));
    close(&queue);
}

#[tokio::test]
async fn without_a_readable_cursor_everything_that_is_left_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), "queue-cursor");
    for n in 0..4 {
        put(&queue, n * 100, n * 100 + 100).await;
    }
    queue.acknowledge(150);
    close(&queue);
    drop(queue);
    fs::write(dir.path().join("queue-cursor/cursor"), [7; 8192]).unwrap();
    let queue = open(dir.path(), "queue-cursor");
    assert_eq!(drain(&queue), texts(100, 400));
    close(&queue);
}

#[tokio::test]
async fn foreign_files_in_the_folder_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue-foreign");
    fs::create_dir_all(path.join("00000000000000000009.segment")).unwrap();
    fs::write(path.join("x.segment"), "x").unwrap();
    fs::write(path.join("00000000000000000005.segment"), vec![0xAA; 100]).unwrap();
    let queue = open(dir.path(), "queue-foreign");
    put(&queue, 0, 3).await;
    assert_eq!(drain(&queue), texts(0, 3));
    close(&queue);
}

/// What a queue says of itself in the log while it is opened.
fn said_at_the_start(dir: &Path, lane: &'static str) -> String {
    #[derive(Clone, Default)]
    struct Said(Arc<parking_lot::Mutex<Vec<u8>>>);
    impl std::io::Write for Said {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let said = Said::default();
    let writer = said.clone();
    let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    // With one subscriber known, a line that another test's thread reaches first is taken to interest nobody, for all
    // threads; with a second one each subscriber is asked.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::subscriber::with_default(log, || close(&open(dir, lane)));
    let text = said.0.lock().clone();
    String::from_utf8(text).unwrap()
}

/// The files of the queue `lane` as a kill leaves them, as those of a queue `image`.
fn killed(dir: &Path, lane: &str, image: &str) {
    fs::create_dir(dir.join(image)).unwrap();
    let files = fs::read_dir(dir.join(lane)).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|path| path.is_file()) {
        fs::copy(&file, dir.join(image).join(file.file_name().unwrap())).unwrap();
    }
}

/// After a kill before the first delivery the log said that the cursor cannot be read.
#[tokio::test]
async fn only_a_cursor_that_was_written_can_be_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), "queue-young");
    put(&queue, 0, 30).await;
    killed(dir.path(), "queue-young", "queue-young-again");
    let said = said_at_the_start(dir.path(), "queue-young-again");
    assert!(said.contains("wait from before") && said.contains("records=30"), "{said}");
    assert!(!said.contains("cursor"), "{said}");

    drain(&queue);
    queue.acknowledge(30);
    close(&queue);
    killed(dir.path(), "queue-young", "queue-old");
    fs::write(dir.path().join("queue-old/cursor"), [7; 5000]).unwrap();
    let said = said_at_the_start(dir.path(), "queue-old");
    assert!(said.contains("cursor cannot be read"), "{said}");
}
