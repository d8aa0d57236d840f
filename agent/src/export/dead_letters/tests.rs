//! Dead letters on a real folder.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use clap::Parser;

use super::{Choice, DeadLetters, Refused, Settings, cli};
use crate::export::Entry;
use crate::ledger;
use crate::queue::{self, Queue};

fn refused(text: &str, reason: &str) -> Refused {
    Refused {
        entry: Entry { seq: 0, payload: Bytes::copy_from_slice(text.as_bytes()) },
        reason: reason.to_owned(),
    }
}

fn put(letters: &DeadLetters, lane: &str, texts: &[&str], reason: &str) {
    let refused: Vec<Refused> = texts.iter().map(|text| refused(text, reason)).collect();
    letters.put(lane, "test", &refused, SystemTime::UNIX_EPOCH).unwrap();
}

fn payloads(letters: &DeadLetters) -> Vec<String> {
    letters.list().unwrap().into_iter().map(|l| String::from_utf8(l.payload).unwrap()).collect()
}

#[test]
fn letters_survive_a_restart_and_numbers_are_never_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(dir.path(), &Settings::default()).unwrap();
    put(&letters, "logs", &["a", "b"], "mapper_parsing_exception");
    letters.drop_letters(&Choice { numbers: [2].into(), ..Choice::default() }).unwrap();
    drop(letters);
    let letters = DeadLetters::open(dir.path(), &Settings::default()).unwrap();
    put(&letters, "spans", &["c"], "400");
    let numbers: Vec<u64> = letters.list().unwrap().iter().map(|l| l.number).collect();
    assert_eq!((payloads(&letters), numbers), (vec!["a".to_owned(), "c".to_owned()], vec![1, 3]));
}

#[test]
fn a_damaged_line_costs_that_letter_only() {
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(dir.path(), &Settings::default()).unwrap();
    put(&letters, "logs", &["a", "b", "c"], "r");
    let file = dir.path().join("letters-0000000000000001.ndjson");
    let text = std::fs::read_to_string(&file).unwrap().replacen("\"number\":2", "\"num\0er\":2", 1);
    std::fs::write(&file, text).unwrap();
    assert_eq!(payloads(&letters), ["a", "c"]);
}

#[test]
fn the_oldest_go_when_the_bound_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { max_bytes: crate::units::Bytes(4096) };
    let letters = DeadLetters::open(dir.path(), &settings).unwrap();
    for n in 0..100 {
        put(&letters, "logs", &[&format!("letter {n}")], "r");
    }
    let left = payloads(&letters);
    assert_eq!(left.last().unwrap(), "letter 99");
    let on_disk: u64 = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(|meta| meta.is_file())
        .map(|meta| meta.len())
        .sum();
    assert!(left.len() > 10 && left.len() < 60, "{} letters", left.len());
    assert!(on_disk <= 4096 + 512, "{on_disk} bytes");
}

#[tokio::test]
async fn a_replay_enqueues_each_chosen_letter_once_and_the_books_balance() {
    let dir = tempfile::tempdir().unwrap();
    let letters = Arc::new(DeadLetters::open(&dir.path().join("dlq"), &Settings::default()).unwrap());
    let queue = Queue::open(dir.path(), "dlq-replay", &queue::Settings::default()).unwrap();
    put(&letters, "dlq-replay", &["a", "b", "c"], "strict_dynamic_mapping_exception");
    put(&letters, "other", &["x"], "strict_dynamic_mapping_exception");
    let chosen =
        Choice { numbers: [1, 3].into(), lane: Some("dlq-replay".into()), reason: Some("dynamic".into()) };
    assert_eq!(letters.request_replay(&chosen).unwrap(), 2);
    assert_eq!(letters.request_replay(&chosen).unwrap(), 0, "they are dead no longer");
    assert_eq!(letters.replay_into(std::slice::from_ref(&queue)).await.unwrap(), 2);
    assert_eq!(letters.replay_into(std::slice::from_ref(&queue)).await.unwrap(), 0);

    let batch = queue.reader().next_batch(10, 1 << 20).unwrap();
    let seen: Vec<&[u8]> = batch.entries.iter().map(|entry| &entry.payload[..]).collect();
    assert_eq!(seen, [b"a", b"c"]);
    assert_eq!(payloads(&letters), ["b", "x"]);
    let books = ledger::lane("dlq-replay").balance();
    assert_eq!((books.replayed, books.queued, books.difference()), (2, 2, 0));
    queue.close(Instant::now() + Duration::from_secs(5));
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: cli::Args,
}

fn run(dir: &std::path::Path, words: &[&str]) -> Result<String, String> {
    let line = Line::try_parse_from([&["dlq"], words].concat()).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    cli::main(&line.args, dir, &Settings::default(), &mut out).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn the_command_line_lists_shows_and_drops() {
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(dir.path(), &Settings::default()).unwrap();
    let mut payload = Vec::new();
    crate::logs::envelope::Envelope {
        stream: "logs-kitten.app-prod",
        id: "01",
        document: br#"{"status":"x"}"#,
    }
    .encode(&mut payload);
    put(&letters, "logs", &[std::str::from_utf8(&payload).unwrap()], "400 mapper_parsing_exception");
    expect_test::expect![[r#"
        1  1970-01-01T00:00:00Z  logs  test  logs-kitten.app-prod  400 mapper_parsing_exception
    "#]]
    .assert_eq(&run(dir.path(), &["list"]).unwrap());
    expect_test::expect![[r#"
        number:   1
        time:     1970-01-01T00:00:00Z
        lane:     logs
        exporter: test
        reason:   400 mapper_parsing_exception
        stream:   logs-kitten.app-prod
        id:       01
        record:
        {
          "status": "x"
        }
    "#]]
    .assert_eq(&run(dir.path(), &["show", "1"]).unwrap());
    assert!(run(dir.path(), &["show", "7"]).unwrap_err().contains("no dead letter 7"));
    assert!(run(dir.path(), &["drop"]).unwrap_err().contains("say which letters"));
    assert_eq!(run(dir.path(), &["drop", "--reason", "mapper"]).unwrap(), "1 dead letter removed\n");
    assert_eq!(run(dir.path(), &["list"]).unwrap(), "");
}
