//! The store under `kill -9`: what it acknowledged is there once, whenever the process died.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::tests::log;
use super::*;
use crate::store::query::Node;
use crate::units::Bytes;

const DIR: &str = "SIGHTLINE_TEST_STORE_DIR";
const FIRST: &str = "SIGHTLINE_TEST_STORE_FIRST";
const ROUNDS: usize = 10;
const BATCH: u64 = 200;

fn settings() -> Settings {
    // Small parts, so that the kill also hits the change from one part to the next.
    Settings { min_free: Bytes(0), part_size: Bytes(400_000), ..Settings::default() }
}

fn batch(first: u64) -> Vec<Entry> {
    (first..first + BATCH)
        .map(|n| log(n, &json!({ "message": format!("record number {n}"), "n": n, "status": 200 + n % 7 })))
        .collect()
}

/// The other side: run as a process of its own, it writes until it is killed and says what was acknowledged.
#[test]
fn writes_until_it_is_killed() {
    let (Ok(dir), Ok(first)) = (std::env::var(DIR), std::env::var(FIRST)) else { return };
    let events = Events::open(Path::new(&dir), &settings()).unwrap();
    let mut next: u64 = first.parse().unwrap();
    for _ in 0..500 {
        let verdicts = events.logs.append(&batch(next));
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Done));
        next += BATCH;
        println!("acked {next}");
    }
}

#[test]
fn nothing_acknowledged_is_missing_or_doubled_after_ten_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = 1;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::events::crash::writes_until_it_is_killed", "--exact", "--nocapture"])
            .env(DIR, dir.path())
            .env(FIRST, acked.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            // The harness writes on the same line.
            if let Some(at) = line.find("acked ") {
                acked = line[at + 6..].trim().parse().unwrap();
                seen += 1;
            }
            // A different number of commits in each round, and then in the middle of the next one.
            if seen > round % 4 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen > 0, "the writer got nowhere in round {round}");

        let events = Events::open(dir.path(), &settings()).unwrap();
        let mut times: HashMap<u64, u32> = HashMap::new();
        let selection = events.logs.select(&Node::All, None, None).unwrap();
        let search = Search {
            selection,
            limit: 1_000_000,
            offset: 0,
            sort: Sort::Time { descending: true },
            after: None,
        };
        let found = events.logs.search(&search);
        assert_eq!(found.failed, 0);
        for hit in found.value {
            *times.entry(hit.id.trim_start_matches("id-").parse().unwrap()).or_default() += 1;
        }
        for seq in 1..acked {
            assert_eq!(times.get(&seq), Some(&1), "record {seq} of {acked} acknowledged, round {round}");
        }
        assert!(times.values().all(|count| *count == 1));
        assert_eq!(events.logs.damaged_parts(), 0);
        // The next round hands out again what was not acknowledged, although some of it may be committed.
    }
}
