//! The store over real folders, with a clock that the tests turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::logs::envelope::Envelope;
use crate::store::query::{Operator, parse};
use crate::units::{Bytes as Size, Span};

pub(super) const NOON: i64 = 1_763_985_600_000; // 2025-11-24T12:00:00Z
pub(super) const DAY: i64 = 86_400_000;

pub(crate) fn log(seq: u64, document: &serde_json::Value) -> Entry {
    let (id, text) = (format!("id-{seq}"), document.to_string());
    let mut payload = Vec::new();
    Envelope { stream: "logs-kittenserver.app-prod", id: &id, document: text.as_bytes() }
        .encode(&mut payload);
    Entry { seq, payload: Bytes::from(payload) }
}

pub(super) fn at(ms: i64) -> String {
    let t = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap();
    t.format(&time::format_description::well_known::Rfc3339).unwrap()
}

pub(super) fn settings() -> Settings {
    Settings { min_free: Size(0), ..Settings::default() }
}

pub(super) struct Store {
    pub(super) events: Arc<Events>,
    pub(super) now: Arc<AtomicI64>,
}

pub(super) fn open(dir: &Path, settings: &Settings) -> Store {
    let now = Arc::new(AtomicI64::new(NOON));
    let clock = Arc::clone(&now);
    Store {
        events: Events::open_at(dir, settings, Arc::new(move || clock.load(Ordering::Relaxed))).unwrap(),
        now,
    }
}

impl Store {
    pub(super) fn logs(&self) -> &Lane {
        &self.events.logs
    }

    pub(super) fn ids(&self, query: &str) -> Vec<String> {
        let node = parse(query, Operator::Or).unwrap();
        let selection = self.logs().select(&node, None, None).unwrap();
        let count = self.logs().count(&selection).value;
        let search =
            Search { selection, limit: 100, offset: 0, sort: Sort::Time { descending: true }, after: None };
        let hits = self.logs().search(&search).value;
        assert_eq!(count as usize, hits.len(), "count and search differ for {query}");
        hits.into_iter().map(|hit| hit.id.trim_start_matches("id-").to_owned()).collect()
    }
}

pub(super) fn sample() -> Vec<Entry> {
    [
        json!({"@timestamp": at(NOON - 3000), "message": "Connection refused by db-1", "log": {"level": "error"},
               "service.name": "kittenserver", "handler": "list", "status": 500, "method": "GET", "request_id": "r-1",
               "event": {"duration": 1_500_000}, "url": {"path": "/api/kittens"}}),
        json!({"@timestamp": at(NOON - 2000), "message": "request {\"Method\":\"POST\",\"Path\":\"/x\"}", "log.level": "info",
               "service": {"name": "kittenserver"}, "handler": "show", "status": 200, "method": "POST",
               "labels": {"note": "two words", "ratio": 0.5, "flag": true}, "url.path": "/api/v1"}),
        json!({"@timestamp": at(NOON - 1000), "message": "all is well", "level": "WARN", "log.level": "warn",
               "status": "404", "trace": {"id": "0af7651916cd43dd8448eb211c80319c"}, "tags": ["a", "b"]}),
    ]
    .iter()
    .enumerate()
    .map(|(n, document)| log(n as u64 + 1, document))
    .collect()
}

#[test]
fn finds_by_words_fields_ranges_wildcards_and_expressions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &settings());
    assert_eq!(store.logs().append(&sample()), vec![Verdict::Done; 3]);
    for (query, expected) in [
        ("*", "3 2 1"),
        ("connection", "1"),
        ("CONNECTION Refused", "1"),
        ("\"connection refused\"", "1"),
        ("\"refused connection\"", ""),
        ("\"connection by\"~1", "1"),
        ("message:well", "3"),
        ("status:200 AND method:POST", "2"),
        ("status:404", "3"),
        ("status:[400 TO 599]", "3 1"),
        ("status:>=500", "1"),
        ("status:>499.5", "1"),
        ("status:{200 TO 500}", "3"),
        ("level:error", "1"),
        ("level:ERROR OR level:WARN", "3 1"),
        ("level:WARN", "3"),
        ("log.level:(info OR error)", "2 1"),
        ("service:kittenserver -handler:list", "2"),
        ("NOT service.name:kittenserver", "3"),
        ("trace.id:*", "3"),
        ("_exists_:labels.note", "2"),
        ("labels:*", "2"),
        ("handler:l?st", "1"),
        ("handler:*s*", "2 1"),
        ("url.path:\\/api\\/*", "2 1"),
        ("url.path:/api/v1", "2"),
        ("url.path:/\\/api\\/v[0-9]/", "2"),
        ("message:/.*\"Method\":\"POST\".*/", "2"),
        ("message:/.*method.*/", ""),
        ("message:/(?i).*REFUSED.*/", "1"),
        ("status:200 AND message:/.*\"Method\":\"POST\".*/", "2"),
        ("refus*", "1"),
        ("db-*", "1"),
        ("words", "2"),
        ("labels.note:\"two words\"", "2"),
        ("labels.ratio:<1", "2"),
        ("labels.flag:true", "2"),
        ("tags:b", "3"),
        ("event.duration:[1000000 TO *]", "1"),
        ("0af7651916cd43dd8448eb211c80319c", "3"),
        ("r-1", "1"),
        ("500", "1"),
        ("_id:id-2", "2"),
        ("_index:logs-kitten*", "3 2 1"),
        ("@timestamp:>=now-2s", "3 2"),
        ("@timestamp:[2025-11-24 TO 2025-11-24]", "3 2 1"),
        ("@timestamp:2025-11-23", ""),
        ("nowhere:x", ""),
    ] {
        assert_eq!(store.ids(query).join(" "), expected, "{query}");
    }
}

#[test]
fn a_record_that_comes_again_after_a_crash_is_not_doubled() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path(), &settings());
        store.logs().append(&sample());
        assert_eq!(store.logs().append(&sample()[1..]), vec![Verdict::Done; 2]);
        assert_eq!(store.ids("*").len(), 3);
    }
    let store = open(dir.path(), &settings());
    let mut again = sample();
    again.push(log(4, &json!({"@timestamp": at(NOON), "message": "new"})));
    assert_eq!(store.logs().append(&again), vec![Verdict::Done; 4]);
    assert_eq!(store.ids("*"), ["4", "3", "2", "1"]);
    // A queue that was deleted begins at 1 again: its records are new, whatever their numbers say.
    let mut fresh = log(1, &json!({"@timestamp": at(NOON), "message": "of a new queue"}));
    let mut payload = Vec::new();
    Envelope { stream: "logs-a.app-prod", id: "other", document: br#"{"message":"of a new queue"}"# }
        .encode(&mut payload);
    fresh.payload = Bytes::from(payload);
    store.logs().append(&[fresh]);
    assert_eq!(store.ids("\"new queue\""), ["other"]);
}

#[test]
fn batches_that_overtook_each_other_are_not_doubled_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path(), &settings());
        store.logs().append(&sample()[1..]);
        store.logs().append(&sample()[..1]);
    }
    let store = open(dir.path(), &settings());
    assert_eq!(store.logs().append(&sample()), vec![Verdict::Done; 3]);
    assert_eq!(store.ids("*").len(), 3);
}

#[test]
fn what_is_no_record_is_rejected_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &settings());
    let mut batch = sample();
    batch.insert(1, Entry { seq: 9, payload: Bytes::from_static(b"\xff") });
    let verdicts = store.logs().append(&batch);
    assert!(matches!(verdicts[1], Verdict::Reject { .. }));
    assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Done).count(), 3);
    assert_eq!(store.ids("*").len(), 3);
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &Settings { part_size: Size(1), ..settings() });
    // Several parts, equal times: only the order of arrival tells the records apart.
    for start in (1..=40_u64).step_by(10) {
        let batch: Vec<Entry> = (start..start + 10)
            .map(|n| log(n, &json!({"@timestamp": at(NOON + (n as i64 / 4)), "message": "same"})))
            .collect();
        store.logs().append(&batch);
    }
    assert_eq!(store.logs().stats().len(), 4);
    for descending in [true, false] {
        let (mut seen, mut after) = (Vec::new(), None);
        for _ in 0..20 {
            let selection = store.logs().select(&parse("same", Operator::Or).unwrap(), None, None).unwrap();
            let search = Search { selection, limit: 7, offset: 0, sort: Sort::Time { descending }, after };
            let hits = store.logs().search(&search).value;
            let Some(last) = hits.last() else { break };
            after = Some((last.at_ms, Some(last.order)));
            seen.extend(hits.iter().map(|hit| hit.id.clone()));
        }
        let mut expected: Vec<String> = (1..=40).map(|n| format!("id-{n}")).collect();
        if descending {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

#[test]
fn an_expression_over_text_finds_the_newest_first_as_any_query_does() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &settings());
    // Two hours, so that the look back from the newest takes several steps; every seventh fits.
    let batch: Vec<Entry> = (0..720_i64)
        .map(|n| {
            let what = if n % 7 == 0 { "needle" } else { "straw" };
            log(
                n as u64 + 1,
                &json!({"@timestamp": at(NOON + n * 10_000), "message": format!("a {what} here")}),
            )
        })
        .collect();
    store.logs().append(&batch);
    for descending in [true, false] {
        for limit in [1, 5, 60, 1000] {
            let find = |text: &str| {
                let selection = store.logs().select(&parse(text, Operator::Or).unwrap(), None, None).unwrap();
                let search =
                    Search { selection, limit, offset: 0, sort: Sort::Time { descending }, after: None };
                store.logs().search(&search).value.into_iter().map(|hit| hit.id).collect::<Vec<_>>()
            };
            assert_eq!(find("message:/.*nee.le.*/"), find("needle"), "{limit} {descending}");
        }
    }
}

#[test]
fn whole_days_expire_by_age_and_parts_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.logs.age = Span::secs(3 * 86_400);
    let store = open(dir.path(), &settings);
    for day in 0..6_i64 {
        store.now.store(NOON + day * DAY, Ordering::Relaxed);
        store.logs().append(&[log(day as u64 + 1, &json!({"message": "daily"}))]);
    }
    let dropped = store.logs().expire();
    assert_eq!((dropped.parts, dropped.records), (2, 2), "noon of day 5 minus 3 days keeps day 2 whole");
    assert_eq!(store.ids("daily"), ["6", "5", "4", "3"]);
    assert_eq!(store.logs().drop_before(NOON + 4 * DAY).parts, 2);
    assert_eq!(store.ids("daily"), ["6", "5"]);
    drop(store);
    settings.logs.size = Size(1);
    let store = open(dir.path(), &settings);
    store.now.store(NOON + 5 * DAY, Ordering::Relaxed);
    store.logs().expire();
    assert_eq!(store.ids("daily"), ["6"], "the part being written stays");
}

#[test]
fn the_defaults_keep_logs_for_30_days_and_spans_for_7() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &settings());
    for day in 0..40_i64 {
        store.now.store(NOON + day * DAY, Ordering::Relaxed);
        store.logs().append(&[log(day as u64 + 1, &json!({"message": "daily"}))]);
        let span =
            json!({"traceId": "0af7651916cd43dd8448eb211c80319c", "id": format!("{day:016x}"), "name": "x"});
        store.events.spans.append(&[Entry { seq: day as u64 + 1, payload: Bytes::from(span.to_string()) }]);
        store.logs().expire();
        store.events.spans.expire();
        // A day goes when all of it is too old, so that the oldest of it never is less than asked for.
        assert_eq!(store.logs().totals().0, (day as u64 + 1).min(31), "day {day}");
        assert_eq!(store.events.spans.totals().0, (day as u64 + 1).min(8), "day {day}");
    }
}

#[test]
fn everything_may_expire_and_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &settings());
    store.logs().append(&sample());
    store.now.fetch_add(100 * DAY, Ordering::Relaxed);
    assert_eq!(store.logs().expire().records, 3);
    assert!(store.ids("*").is_empty());
    store.logs().append(&[log(4, &json!({"message": "later"}))]);
    assert_eq!(store.ids("later"), ["4"]);
}

#[test]
fn too_little_disk_refuses_and_takes_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &Settings { min_free: Size(u64::MAX), ..settings() });
    assert!(matches!(&store.logs().append(&sample())[0], Verdict::Retry { reason, .. } if reason == "disk"));
    let store = open(dir.path(), &settings());
    assert_eq!(store.logs().append(&sample())[0], Verdict::Done);
}

#[test]
fn a_flood_of_field_names_stays_searchable_by_word() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &Settings { max_fields: 20, ..settings() });
    let batch: Vec<Entry> =
        (1..=100).map(|n| log(n, &json!({"message": "m", format!("key{n}"): format!("value{n}")}))).collect();
    store.logs().append(&batch);
    assert_eq!(store.ids("value99"), ["99"]);
    assert!(store.ids("key99:value99").is_empty());
    assert_eq!(store.ids("key1:value1"), ["1"]);
}

#[tokio::test]
async fn the_exporter_answers_done_after_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &settings());
    let exporter = LogExporter(Arc::clone(&store.events));
    let all = sample();
    let (a, b) = tokio::join!(exporter.export(&all[..1]), exporter.export(&all[1..]));
    assert_eq!((a, b), (vec![Verdict::Done; 1], vec![Verdict::Done; 2]));
    assert_eq!(store.ids("*").len(), 3);
}

#[test]
fn strange_records_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), &settings());
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    let batch = [
        log(1, &json!({"@timestamp": "9999-12-31T23:59:59Z", "message": "far future"})),
        log(2, &json!({"@timestamp": "not a time", "message": null, "x": {"": 1}})),
        log(3, &json!({"message": {"nested": "object"}, "big": u64::MAX, "neg": -1.5e300})),
        log(4, &serde_json::from_str(&deep).unwrap()),
        log(5, &json!({"message": "x".repeat(300_000), "\u{0}\u{1}": "\u{0}"})),
        log(6, &json!({})),
    ];
    assert_eq!(store.logs().append(&batch), vec![Verdict::Done; 6]);
    assert_eq!(store.ids("*").len(), 6);
    assert_eq!(store.ids("future"), ["1"]);
    assert_eq!(store.ids("big:18446744073709551615"), ["3"]);
    assert_eq!(store.ids("message.nested:object"), ["3"]);
}
