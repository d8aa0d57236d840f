//! Files of the store with a bit turned, cut, or gone.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::tests::{DAY, log, open, sample, settings};
use super::*;
use crate::store::query::{Operator, parse};

#[test]
fn a_part_that_cannot_be_read_is_set_aside_and_the_others_answer() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path(), &settings());
        store.logs().append(&sample());
        store.now.fetch_add(DAY, Ordering::Relaxed);
        store.logs().append(&[log(4, &json!({"message": "second day"}))]);
    }
    let meta = dir.path().join("logs/2025-11-24.000/meta.json");
    std::fs::write(&meta, b"{\"segments\":").unwrap();
    let store = open(dir.path(), &settings());
    assert_eq!(store.ids("*"), ["4"]);
    assert!(dir.path().join("logs/damaged-2025-11-24.000-0").is_dir());
}

#[test]
fn a_flipped_bit_costs_its_segment_and_the_rest_of_the_part_answers() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path(), &settings());
        // Each commit is a segment; so few are not merged.
        for n in 1..=4 {
            store.logs().append(&[log(n, &json!({"message": format!("numbered {n}"), "n": n}))]);
        }
    }
    let part = dir.path().join("logs/2025-11-24.000");
    let files = || std::fs::read_dir(&part).unwrap().flatten().map(|entry| entry.path());
    for kind in ["store", "fast", "idx", "term", "pos"] {
        let copy = tempfile::tempdir().unwrap();
        let target = copy.path().join("logs/2025-11-24.000");
        std::fs::create_dir_all(&target).unwrap();
        for file in files() {
            std::fs::copy(&file, target.join(file.file_name().unwrap())).unwrap();
        }
        let hit = files().find(|f| f.extension().is_some_and(|e| e == kind)).unwrap();
        let hit = target.join(hit.file_name().unwrap());
        let mut bytes = std::fs::read(&hit).unwrap();
        bytes[0] ^= 0x10;
        std::fs::write(&hit, bytes).unwrap();

        let store = open(copy.path(), &settings());
        // Nobody has to run into it: each part is read against its checksums once a day.
        store.logs().examine_next();
        assert_eq!(store.ids("numbered").len(), 3, "{kind}: one record is lost, three are there");
        assert_eq!(store.logs().damaged_parts(), 1, "{kind}");
        store.logs().append(&[log(5, &json!({"message": "numbered 5"}))]);
        store.logs().examine_next();
        assert_eq!(store.ids("numbered").len(), 4, "{kind}");
        assert_eq!(store.logs().damaged_parts(), 1, "{kind}: nothing more is found");
        drop(store);
        let store = open(copy.path(), &settings());
        assert_eq!(store.ids("numbered").len(), 4, "{kind}: after opening again");
    }
}

#[test]
fn a_missing_file_costs_its_segment_at_open() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path(), &settings());
        (1..=3).for_each(|n| drop(store.logs().append(&[log(n, &json!({"message": "here"}))])));
    }
    let part = dir.path().join("logs/2025-11-24.000");
    let mut gone = std::fs::read_dir(&part).unwrap().flatten().map(|e| e.path());
    let gone = gone.find(|f| f.extension().is_some_and(|e| e == "fast")).unwrap();
    std::fs::remove_file(gone).unwrap();
    std::fs::write(part.join(".managed.json"), b"{").unwrap();
    let store = open(dir.path(), &settings());
    assert_eq!(store.ids("here").len(), 2);
    assert_eq!(store.logs().append(&[log(4, &json!({"message": "here"}))]), [Verdict::Done]);
    assert_eq!(store.ids("here").len(), 3);
}

#[test]
fn flipped_bits_never_stop_a_search_for_good() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path(), &settings());
        store.logs().append(&sample());
    }
    let part = dir.path().join("logs/2025-11-24.000");
    let files: Vec<_> = std::fs::read_dir(&part).unwrap().flatten().map(|e| e.path()).collect();
    for (n, file) in files.iter().enumerate() {
        let copy = tempfile::tempdir().unwrap();
        let target = copy.path().join("logs/2025-11-24.000");
        std::fs::create_dir_all(&target).unwrap();
        for other in &files {
            std::fs::copy(other, target.join(other.file_name().unwrap())).unwrap();
        }
        let hit = target.join(file.file_name().unwrap());
        let mut bytes = std::fs::read(&hit).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let middle = (bytes.len() / 2 + n).min(bytes.len() - 1);
        bytes[middle] ^= 0x5a;
        std::fs::write(&hit, bytes).unwrap();
        let store = open(copy.path(), &settings());
        for query in ["*", "connection", "status:[0 TO 600]", "message:/.*well.*/"] {
            let selection = store.logs().select(&parse(query, Operator::Or).unwrap(), None, None).unwrap();
            store.logs().count(&selection);
            let search = Search {
                selection,
                limit: 10,
                offset: 0,
                sort: Sort::Time { descending: true },
                after: None,
            };
            store.logs().search(&search);
        }
        let verdicts = store.logs().append(&[log(7, &json!({"message": "after the damage"}))]);
        let verdicts = if verdicts == [Verdict::Done] {
            verdicts
        } else {
            // The damaged part may be found out by the commit; the queue's next try must then succeed.
            store.logs().append(&[log(7, &json!({"message": "after the damage"}))])
        };
        assert_eq!(verdicts, [Verdict::Done], "{}", file.display());
        assert_eq!(store.ids("damage"), ["7"], "{}", file.display());
    }
}
