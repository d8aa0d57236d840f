//! Records that come again under an id that the store has: a sender that missed the answer, not the queue.

use bytes::Bytes;

use super::*;
use crate::units::Bytes as Size;

const DAY_MS: i64 = 86_400_000;

/// A log record whose id the sender chose.
fn named(seq: u64, id: &str) -> Entry {
    let mut payload = b"\x0flogs-a.app-prod\0".to_vec();
    payload.push(id.len() as u8);
    payload.extend_from_slice(id.as_bytes());
    payload.extend_from_slice(br#"{"message":"x"}"#);
    Entry { seq, payload: Bytes::from(payload) }
}

fn span(seq: u64, id: u64) -> Entry {
    let text = format!("{{\"traceId\":\"{id:032x}\",\"id\":\"{id:016x}\",\"timestamp\":1700000000000000}}");
    Entry { seq, payload: Bytes::from(text) }
}

fn open(dir: &Path, part_size: u64, now: i64) -> Arc<Events> {
    let settings = Settings { min_free: Size(0), part_size: Size(part_size), ..Settings::default() };
    Events::open_at(dir, &settings, Arc::new(move || now)).unwrap()
}

fn records(lane: &Lane) -> u64 {
    lane.totals().0
}

#[test]
fn within_a_batch_across_batches_and_across_a_start() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path(), 1 << 30, 1_700_000_000_000);
        let done = store.logs.append(&[named(1, "a"), named(2, "a"), named(3, "b")]);
        assert_eq!(done, [Verdict::Done, Verdict::Done, Verdict::Done]);
        assert_eq!(store.spans.append(&[span(1, 1), span(2, 2), span(3, 1)]), vec![Verdict::Done; 3]);
        assert_eq!((records(&store.logs), records(&store.spans)), (2, 2));
        store.logs.append(&[named(4, "b"), named(5, "c")]);
        store.spans.append(&[span(4, 2), span(5, 3)]);
        assert_eq!((records(&store.logs), records(&store.spans)), (3, 3));
    }
    // Past midnight, too, when a new part has begun.
    let store = open(dir.path(), 1 << 30, 1_700_000_000_000 + DAY_MS);
    store.logs.append(&[named(6, "a"), named(7, "d")]);
    store.spans.append(&[span(6, 3), span(7, 4)]);
    assert_eq!((records(&store.logs), records(&store.spans)), (4, 4));
    store.logs.append(&[named(8, "c")]);
    assert_eq!(records(&store.logs), 4);
}

#[test]
fn only_the_newest_parts_are_asked() {
    let dir = tempfile::tempdir().unwrap();
    // A part for each batch.
    let store = open(dir.path(), 1, 1_700_000_000_000);
    for (n, id) in ["a", "b", "c"].iter().enumerate() {
        store.logs.append(&[named(n as u64 + 1, id)]);
    }
    store.logs.append(&[named(4, "c")]);
    assert_eq!(records(&store.logs), 3);
    store.logs.append(&[named(5, "a")]);
    assert_eq!(records(&store.logs), 4, "as in Elasticsearch, an index that was left behind is not asked");
}
