//! The store over time, with a clock of its own: sampling, sealing, crashes, retention, limits.
mod damage;
mod native;

use super::labels::Labels;
use super::matcher::Matcher;
use super::*;
use crate::store::promql::{Answer, Hints, Options, Sample, Samples, Source, instant, is_stale, range};
use crate::units::{Bytes, Span};
use std::path::Path;
use std::sync::Arc;

const T0: i64 = 1_700_006_400_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn open(dir: &Path) -> Arc<Store> {
    Store::open(dir, &Settings::default()).unwrap()
}

/// One round: `m{i="0"}` … with the given values.
fn round(store: &Store, now: i64, values: &[f64]) {
    store.sample(now, &mut |each| {
        for (i, v) in values.iter().enumerate() {
            each("m", &[("i", &i.to_string())], *v);
        }
    });
}

fn read(store: &Store, i: usize, from: i64, to: i64) -> Samples {
    let found =
        store.find(&[Matcher::equal("__name__", "m"), Matcher::equal("i", i.to_string())], from, to).unwrap();
    let mut out = Samples::default();
    if let Some(found) = found.first() {
        store.read(found.id, from, to, Hints::default(), &mut out).unwrap();
    }
    out
}

fn fill(store: &Store, from: i64, to: i64, every: i64) {
    let mut now = from;
    while now < to {
        round(store, now, &[(now / 1000) as f64, 7.5]);
        store.maintain(now).unwrap();
        now += every;
    }
}

#[test]
fn samples_are_found_by_labels_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    round(&store, T0, &[1.0, 2.0]);
    round(&store, T0 + 10_000, &[3.0, 4.0]);
    assert_eq!(read(&store, 0, T0, T0 + 10_000).floats, [1.0, 3.0]);
    assert_eq!(read(&store, 1, T0 + 1, T0 + 10_000).floats, [4.0]);
    assert_eq!(store.series(&[Matcher::equal("__name__", "other")], T0, T0 + 1), []);
    round(&store, T0 + 10_000, &[9.0]);
    assert_eq!(read(&store, 0, T0, T0 + HOUR).floats, [1.0, 3.0], "a round that is not later is not taken");
}

#[test]
fn a_series_that_vanishes_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    round(&store, T0, &[1.0, 2.0]);
    round(&store, T0 + 10_000, &[1.0]);
    round(&store, T0 + 20_000, &[1.0]);
    let ended = read(&store, 1, T0, T0 + HOUR);
    assert_eq!(ended.times, [T0, T0 + 10_000]);
    assert!(is_stale(ended.floats[1]));
    let (answer, _) = instant(&*store, "m", T0 + 15_000, &Options::default()).unwrap();
    let Answer::Vector { series, .. } = answer else { panic!() };
    assert_eq!(series.len(), 1);
}

#[test]
fn sealed_and_joined_blocks_hold_what_the_head_held() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, T0, T0 + 2 * DAY, 60_000);
    let all = read(&store, 0, T0, T0 + 2 * DAY);
    let wanted: Vec<f64> = (0..2 * 24 * 60).map(|i| (T0 / 1000 + i * 60) as f64).collect();
    assert_eq!(all.floats, wanted);
    assert!(store.stats().blocks < 40, "blocks are joined by day: {:?}", store.stats());
    assert!(store.stats().head_samples <= 2 * 2 * 121);
    assert_eq!(super::disk::logs(dir.path(), super::disk::HEAD).unwrap().len(), 1);
    drop(store);
    assert_eq!(read(&open(dir.path()), 0, T0, T0 + 2 * DAY).floats, wanted, "after opening again");
}

#[test]
fn old_samples_live_on_as_roll_ups() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { raw_age: Span::secs(86_400), interval: Span::secs(60), ..Settings::default() };
    let store = Store::open(dir.path(), &settings).unwrap();
    fill(&store, T0, T0 + 2 * DAY + 4 * HOUR, 60_000);
    let old = read(&store, 0, T0, T0 + DAY / 2);
    assert_eq!((old.spacing, old.floats.len()), (300_000, 12 * 12 + 1 - 1));
    let options = Options::default();
    for query in ["rate(m{i=\"0\"}[5m])", "increase(m{i=\"0\"}[5m]) / 300", "deriv(m{i=\"0\"}[10m])"] {
        let (answer, _) = range(&*store, query, (T0 + HOUR, T0 + 2 * HOUR, 60_000), &options).unwrap();
        let Answer::Matrix(rows) = answer else { panic!() };
        assert_eq!(rows[0].1.len(), 61, "{query}");
        for (_, v) in &rows[0].1 {
            let v = v.float().unwrap();
            assert!((v - 1.0).abs() < 0.02, "{query} gives {v}");
        }
    }
    let (answer, _) = range(&*store, "m{i=\"1\"}", (T0 + HOUR, T0 + 2 * HOUR, 15_000), &options).unwrap();
    let Answer::Matrix(rows) = answer else { panic!() };
    assert_eq!(rows[0].1.len(), 241, "the line has no gaps");
    assert!(rows[0].1.iter().all(|(_, v)| *v == Sample::Float(7.5)));
}

#[test]
fn retention_by_age_and_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        raw_age: Span::secs(86_400),
        rollup_age: Span::secs(3 * 86_400),
        interval: Span::secs(1800),
        ..Settings::default()
    };
    let store = Store::open(dir.path(), &settings).unwrap();
    fill(&store, T0, T0 + 40 * DAY, 1_800_000);
    let now = T0 + 40 * DAY;
    let oldest = store.stats().oldest.unwrap();
    assert!(oldest >= now - 21 * DAY, "whole blocks of up to 16 days: {oldest}");
    assert_eq!(read(&store, 0, T0, T0 + DAY).floats.len(), 0);

    let small = Settings { size: Bytes(5_000), interval: Span::secs(1800), ..Settings::default() };
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &small).unwrap();
    for day in 0..20 {
        fill(&store, T0 + day * DAY, T0 + (day + 1) * DAY, 1_800_000);
        assert!(store.stats().disk_bytes < 10_000, "{:?}", store.stats());
    }
}

#[test]
fn the_defaults_keep_samples_for_15_days_and_roll_ups_for_400() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { interval: Span::secs(2 * 86_400), ..Settings::default() };
    let store = Store::open(dir.path(), &settings).unwrap();
    let now = T0 + 430 * DAY;
    fill(&store, T0, now, 2 * DAY);
    let inner = store.inner.read();
    let (raw, rollups) = (inner.raw.first().unwrap().start, inner.rollups.first().unwrap().start);
    // Blocks go whole: of a day for samples, of up to 16 days for roll-ups.
    assert!((now - 18 * DAY..=now - 13 * DAY).contains(&raw), "{} days", (now - raw) / DAY);
    assert!((now - 418 * DAY..=now - 398 * DAY).contains(&rollups), "{} days", (now - rollups) / DAY);
}

#[test]
fn without_free_disk_old_samples_go_and_roll_ups_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, T0, T0 + 9 * HOUR, 300_000);
    let blocks = |store: &Store| (store.inner.read().raw.len(), store.inner.read().rollups.len());
    assert_eq!(blocks(&store), (4, 4));
    store.keep_free(u64::MAX);
    store.maintain(T0 + 9 * HOUR).unwrap();
    assert_eq!(blocks(&store), (1, 4));
    assert!(!read(&store, 0, T0, T0 + HOUR).floats.is_empty(), "the roll-ups answer");
    round(&store, T0 + 9 * HOUR, &[1.0]);
    assert_eq!(read(&store, 0, T0 + 9 * HOUR, T0 + 9 * HOUR).floats, [1.0], "and sampling goes on");
}

#[test]
fn new_series_past_the_cap_are_dropped_and_known_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &Settings { max_series: 2, ..Settings::default() }).unwrap();
    round(&store, T0, &[1.0, 2.0, 3.0]);
    round(&store, T0 + 10_000, &[1.0, 2.0, 3.0]);
    assert_eq!(store.stats().series, 2);
    assert_eq!(read(&store, 1, T0, T0 + HOUR).floats, [2.0, 2.0]);
    assert_eq!(read(&store, 2, T0, T0 + HOUR).floats, [0.0; 0]);
}

#[test]
fn labels_in_any_order_are_one_series() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.sample(T0, &mut |each| each("m", &[("b", "2"), ("a", "1")], 1.0));
    store.sample(T0 + 1, &mut |each| each("m", &[("a", "1"), ("b", "2"), ("c", "")], 2.0));
    let found = store.series(&[Matcher::equal("__name__", "m")], T0, T0 + 1);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, Labels::new([("__name__", "m"), ("a", "1"), ("b", "2")]));
}
