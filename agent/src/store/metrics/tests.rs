//! The store over time, with a clock of its own: sampling, sealing, crashes, retention, limits.
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

/// A store that took so many rounds, and the file of its head's log.
fn log_of(rounds: i64) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path());
        for i in 0..rounds {
            round(&store, T0 + i * 10_000, &[i as f64, 1.0]);
        }
    }
    let log = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.file_name().unwrap().to_string_lossy().starts_with("head-"))
        .unwrap();
    (dir, log)
}

#[test]
fn a_kill_at_any_byte_loses_at_most_the_last_round() {
    let (dir, log) = log_of(5);
    let whole = std::fs::read(&log).unwrap();
    let mut kept = Vec::new();
    for cut in (0..=whole.len()).rev() {
        std::fs::write(&log, &whole[..cut]).unwrap();
        let found = read(&open(dir.path()), 0, T0, T0 + HOUR).floats;
        let wanted: Vec<f64> = (0..found.len()).map(|i| i as f64).collect();
        assert_eq!(found, wanted, "cut at {cut}");
        kept.push(found.len());
    }
    assert_eq!((kept[0], kept[1], kept[whole.len()]), (5, 4, 0));
}

#[test]
fn a_flipped_bit_in_the_log_costs_five_minutes_at_most() {
    let (dir, log) = log_of(200);
    let whole = std::fs::read(&log).unwrap();
    for at in (0..whole.len() * 3 / 4).step_by(37) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&log, &bytes).unwrap();
        let found = read(&open(dir.path()), 0, T0, T0 + HOUR);
        assert!(found.times.len() >= 170, "byte {at}: {} of 200 rounds", found.times.len());
        for (time, value) in found.times.iter().zip(&found.floats) {
            assert_eq!((time - T0) / 10_000, *value as i64, "byte {at}: a wrong value");
        }
    }
}

#[test]
fn flipped_bits_never_keep_it_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path());
        fill(&store, T0, T0 + 5 * HOUR, 60_000);
    }
    let mut files = Vec::new();
    for folder in [dir.path().to_owned(), dir.path().join("raw"), dir.path().join("rollup")] {
        files.extend(std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()));
    }
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let whole = std::fs::read(&file).unwrap();
        for at in [0, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            let copy = tempfile::tempdir().unwrap();
            copy_all(dir.path(), copy.path());
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let path = copy.path().join(file.strip_prefix(dir.path()).unwrap());
            std::fs::write(path, bytes).unwrap();
            let store = open(copy.path());
            read(&store, 0, T0, T0 + 6 * HOUR);
            round(&store, T0 + 6 * HOUR, &[1.0, 2.0]);
            assert_eq!(read(&store, 0, T0 + 6 * HOUR, T0 + 6 * HOUR).floats, [1.0]);
        }
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_all(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
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

/// `h{i="0"}` as a counter of `n` observations.
fn native(n: f64) -> crate::store::promql::histogram::Histogram {
    crate::store::promql::histogram::Histogram {
        schema: 3,
        count: n * 3.0,
        sum: n,
        positive: vec![(-4, n), (2, n * 2.0)],
        ..Default::default()
    }
}

/// A round of a number and a histogram.
fn mixed_round(store: &Store, now: i64, n: f64) {
    store
        .round(now, &mut |each| each("m", &[("i", "0")], n), &mut |each| each("h", &[("i", "0")], native(n)));
}

fn counts(store: &Store, from: i64, to: i64) -> Vec<(i64, f64)> {
    let found = store.find(&[Matcher::equal("__name__", "h")], from, to).unwrap();
    let Some(found) = found.first() else { return Vec::new() };
    let mut out = Samples::default();
    store.read(found.id, from, to, Hints::default(), &mut out).unwrap();
    let of = |i: usize| match out.get(i) {
        Sample::Histogram(h) => h.count,
        Sample::Float(v) if is_stale(v) => -1.0,
        other => panic!("{other:?}"),
    };
    (0..out.times.len()).map(|i| (out.times[i], of(i))).collect()
}

#[test]
fn histograms_are_the_same_in_the_head_after_a_kill_and_in_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let wanted: Vec<(i64, f64)> = (0..900).map(|i| (T0 + i * 10_000, (i % 500 + 1) as f64 * 3.0)).collect();
    {
        let store = open(dir.path());
        for i in 0..900 {
            mixed_round(&store, T0 + i * 10_000, (i % 500 + 1) as f64);
        }
        assert_eq!(counts(&store, T0, T0 + 3 * HOUR), wanted);
    }
    // The head is read back from its logs.
    let store = open(dir.path());
    assert_eq!(counts(&store, T0, T0 + 3 * HOUR), wanted);
    // Half of it is sealed, the rest not; then all is, and joined by day.
    store.maintain(T0 + 2 * HOUR + 120_000).unwrap();
    assert!(store.stats().head_samples < 1800 && store.stats().blocks == 2);
    assert_eq!(counts(&store, T0, T0 + 3 * HOUR), wanted);
    drop(store);
    let store = open(dir.path());
    assert_eq!(counts(&store, T0, T0 + 3 * HOUR), wanted);
    store.maintain(T0 + 2 * DAY).unwrap();
    assert_eq!((store.stats().head_samples, store.stats().blocks), (0, 2));
    assert_eq!(counts(&store, T0, T0 + 3 * HOUR), wanted);
    assert_eq!(read(&store, 0, T0, T0 + 3 * HOUR).times.len(), 900);
    let names: Vec<String> = store.series(&[], T0, T0 + HOUR).iter().map(|s| s.1.to_string()).collect();
    assert_eq!(names, ["h{i=\"0\"}", "m{i=\"0\"}"]);
    assert_eq!(
        std::fs::read_dir(dir.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "log"))
            .count(),
        1,
        "only the list of series is left"
    );
}

#[test]
fn a_histogram_that_vanishes_ends_and_old_ones_answer_from_roll_ups() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { raw_age: Span::secs(3600), ..Settings::default() };
    let store = Store::open(dir.path(), &settings).unwrap();
    // Anew in the middle of a row: what was counted before is not forgotten.
    let value = |i: i64| if i < 315 { i + 1 } else { i - 314 };
    for i in 0..720 {
        mixed_round(&store, T0 + i * 10_000, value(i) as f64);
    }
    round(&store, T0 + 2 * HOUR, &[1.0]);
    assert_eq!(counts(&store, T0 + 2 * HOUR, T0 + 3 * HOUR), [(T0 + 2 * HOUR, -1.0)]);
    let ask = |at: i64| {
        let query = "histogram_count(increase(h[1h]))";
        let (answer, _) = instant(&*store, query, at, &Options::default()).unwrap();
        let Answer::Vector { series, .. } = answer else { panic!() };
        series.first().and_then(|s| s.1.float()).unwrap()
    };
    let at = T0 + 105 * 60_000;
    let before = ask(at);
    store.maintain(T0 + 4 * HOUR).unwrap();
    assert_eq!(store.stats().blocks, 1, "samples are gone, roll-ups are left");
    let after = ask(at);
    assert!((before - 1080.0).abs() < 10.0 && (after - before).abs() < before * 0.1, "{before} {after}");
}

#[test]
fn a_damaged_list_of_series_is_given_back_by_its_copy() {
    for (damaged, at) in [("series.log", 12), ("series.copy", 12), ("series.log", 60)] {
        let (dir, _) = log_of(3);
        let path = dir.path().join(damaged);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at % 40] ^= 0x20;
        std::fs::write(&path, &bytes).unwrap();
        for _ in 0..2 {
            let store = open(dir.path());
            for i in 0..2 {
                assert_eq!(read(&store, i, T0, T0 + HOUR).times.len(), 3, "{damaged}");
            }
        }
        // A store that an earlier build wrote has no copy yet, and gets one.
        std::fs::remove_file(dir.path().join("series.copy")).unwrap();
        assert_eq!(read(&open(dir.path()), 1, T0, T0 + HOUR).times.len(), 3);
        std::fs::remove_file(&path).ok();
        assert_eq!(read(&open(dir.path()), 1, T0, T0 + HOUR).times.len(), 3);
    }
}

#[test]
fn where_others_write_a_window_stays_open_for_half_an_hour() {
    const MINUTE: i64 = 60_000;
    let dir = tempfile::tempdir().unwrap();
    let write = |store: &Store, now: i64, time: i64| {
        let series = WrittenSeries { name: "w", floats: vec![(time, 1.0)], ..WrittenSeries::default() };
        store.write(now, &[series]).unwrap().refused.first().map(|r| r.reason)
    };
    let store = open(dir.path());
    assert_eq!(write(&store, T0 + 110 * MINUTE, T0 + 110 * MINUTE), None);
    round(&store, T0 + 110 * MINUTE, &[1.0]);
    // Started anew behind the end of the window: the sender still catches up.
    drop(store);
    let store = open(dir.path());
    let late = T0 + 140 * MINUTE;
    store.maintain(late).unwrap();
    assert_eq!(write(&store, late, T0 + 115 * MINUTE), None);
    let end = T0 + 151 * MINUTE;
    store.maintain(end).unwrap();
    assert_eq!(write(&store, end, T0 + 118 * MINUTE), Some(Refusal::Old));
    assert_eq!(write(&store, end, end), None);
    // A series of others goes on although no round of ours knows it; one of ours ends.
    round(&store, end + 10_000, &[]);
    let (answer, _) = instant(&*store, "w", end + 20_000, &Options::default()).unwrap();
    assert!(matches!(answer, Answer::Vector { series, .. } if series.len() == 1));
}
