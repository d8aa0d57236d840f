//! Expressions over running text find what reading every record finds, whichever way they are answered.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::tests::{Store, log, open, settings};
use super::*;
use crate::store::query::Node;

/// Records whose words differ in case, length, script, and in what stands between them.
fn messages() -> Vec<String> {
    let mut all: Vec<String> = [
        "timeout",
        "Timeout",
        "TIMEOUT of db",
        "timeout and Timeout",
        "Timeouts",
        "time out",
        "time-out",
        "a timeout_b",
        "request {\"Method\":\"POST\",\"Path\":\"/x\"}",
        "request {\"Method\":\"GET\",\"Path\":\"/timeout\"}",
        "GET /a",
        "get /a",
        "connection refused by db-1",
        "Connection reset",
        "connection\ntimeout",
        "tIMEOUT timeoutTimeout",
        "",
        "İstanbul",
        "istanbul",
        "straße",
        "STRASSE",
        "ΟΔΟΣ",
        "οδος",
        "οδοσ",
        "Kelvin \u{212a}",
        "kelvin k",
        "ſet set",
        "404",
        "a1b2",
        "x404y",
        "--",
        "日本語 timeout",
        "POST",
        "abc def",
        "abc-def",
        "abc--def",
        "\u{1}timeout",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push(format!("{}timeout", "x".repeat(300)));
    all.push(format!("ok {} POST", "y".repeat(250)));
    all.push("word ".repeat(60_000) + "timeout");
    all
}

fn stored(dir: &Path, messages: &[String]) -> Store {
    let store = open(dir, &settings());
    let mut records = messages.iter().enumerate().map(|(n, text)| {
        // Some spell the name flat, some have an object in its place, some a second text elsewhere.
        let document = match n % 3 {
            0 => json!({"message": text, "error": {"message": "timeout"}}),
            _ => json!({"message": text, "note": "timeout POST"}),
        };
        log(n as u64 + 1, &document)
    });
    loop {
        let batch: Vec<Entry> = records.by_ref().take(7).collect();
        if batch.is_empty() {
            return store;
        }
        assert!(store.events.logs.append(&batch).iter().all(|verdict| *verdict == Verdict::Done));
    }
}

fn found(store: &Store, pattern: &str) -> Option<Vec<usize>> {
    let node = Node::Regex { field: Some("message".to_owned()), pattern: pattern.to_owned() };
    let lane = &store.events.logs;
    let selection = lane.select(&node, None, None).ok()?;
    let count = lane.count(&selection).value;
    let sort = Sort::Time { descending: true };
    let hits = lane.search(&Search { selection, limit: 1000, offset: 0, sort, after: None });
    assert_eq!((hits.value.len() as u64, hits.failed), (count, 0), "count and search differ for {pattern}");
    let id = |hit: &Hit| hit.id.trim_start_matches("id-").parse::<usize>().unwrap() - 1;
    let mut found: Vec<usize> = hits.value.iter().map(id).collect();
    found.sort_unstable();
    Some(found)
}

fn read(messages: &[String], pattern: &str) -> Option<Vec<usize>> {
    let whole =
        regex::RegexBuilder::new(&format!("^(?:{pattern})$")).dot_matches_new_line(true).build().ok()?;
    Some(messages.iter().enumerate().filter(|(_, text)| whole.is_match(text)).map(|(n, _)| n).collect())
}

#[test]
fn an_expression_finds_what_reading_every_record_finds() {
    let dir = tempfile::tempdir().unwrap();
    let messages = messages();
    let store = stored(dir.path(), &messages);
    for pattern in [
        ".*timeout.*",
        ".*Timeout.*",
        "(?i).*timeout.*",
        ".*TIMEOUT.*",
        ".*imeou.*",
        ".*t[iI]meout.*",
        "timeout",
        "Timeout.*",
        ".*out",
        ".*POST.*",
        ".*post.*",
        r#".*"Method":"POST".*"#,
        r#".*"Method":"(POST|GET)".*"#,
        "GET /.*",
        ".*/timeout.*",
        ".*[0-9]{3}.*",
        ".*[0-9]+",
        ".*istanbul.*",
        ".*İ.*",
        "(?i).*strasse.*",
        "(?i).*kelvin k.*",
        "(?i).*οδος.*",
        ".*ΟΔΟΣ.*",
        "(?i).*set set.*",
        ".*x{300}.*",
        ".*y POST",
        ".*(word )+timeout",
        ".*time.?out.*",
        r".*\btime\b.*",
        ".*abc-*def.*",
        ".*(abc|timeout) .*",
        "",
        ".*",
        ".+",
        "(a|b|.*POST.*)",
        r".*\x01timeout.*",
        ".*日本語.*",
        ".*\u{212a}.*",
        ".*k.*",
    ] {
        assert_eq!(found(&store, pattern), read(&messages, pattern), "{pattern}");
    }
}

#[test]
fn any_expression_finds_what_reading_every_record_finds() {
    let dir = tempfile::tempdir().unwrap();
    let messages = messages();
    let store = stored(dir.path(), &messages);
    let piece = prop_oneof![
        Just(".*".to_owned()),
        Just("timeout".to_owned()),
        Just("Time".to_owned()),
        Just("out".to_owned()),
        Just("POST".to_owned()),
        Just("[a-z]".to_owned()),
        Just("[^a]".to_owned()),
        Just("(?i:get)".to_owned()),
        Just(r"\W".to_owned()),
        Just(r"\w+".to_owned()),
        Just("(o|t)*".to_owned()),
        Just("(abc|db)".to_owned()),
        Just("\"".to_owned()),
        Just(" ".to_owned()),
        Just("-?".to_owned()),
        Just("\\d{1,3}".to_owned()),
        Just("k|".to_owned()),
        "[a-zA-Zéß]{1,3}",
    ];
    let patterns = proptest::collection::vec(piece, 0..6);
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    runner
        .run(&(patterns, any::<bool>()), |(pieces, around)| {
            let mut pattern = pieces.concat();
            if around {
                pattern = format!(".*{pattern}.*");
            }
            prop_assert_eq!(found(&store, &pattern), read(&messages, &pattern), "{}", pattern);
            Ok(())
        })
        .unwrap();
}
