//! Native histograms beside numbers, and what others write.
use super::*;

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
