//! Packing, thinning and merging of native histograms.
use super::*;
use crate::store::promql::histogram::{CUSTOM, Hint};
use crate::store::promql::{is_stale, stale};
use proptest::prelude::*;

fn counter(buckets: &[(i32, f64)], sum: f64) -> Histogram {
    let count = buckets.iter().map(|b| b.1).sum();
    Histogram {
        schema: 3,
        zero_threshold: 2.938_735_877_055_719e-39,
        count,
        sum,
        positive: buckets.to_vec(),
        ..Histogram::default()
    }
}

fn packed(list: &[(i64, Histogram)]) -> Vec<Packed> {
    let mut lane = Lane::default();
    list.iter().for_each(|(time, h)| _ = lane.push(*time, h));
    lane.packed(i64::MIN, i64::MAX)
}

fn points(chunks: &[Packed]) -> Vec<(i64, Histogram)> {
    let mut out = Vec::new();
    read(&to_bytes(chunks), i64::MIN, i64::MAX, &mut out).unwrap();
    out.into_iter().map(|(time, h)| (time, (*h).clone())).collect()
}

fn histograms() -> impl Strategy<Value = Histogram> {
    let buckets = || prop::collection::btree_map(-500i32..500, 1u32..100_000, 0..30);
    let hints = prop_oneof![Just(Hint::Unknown), Just(Hint::Reset), Just(Hint::NotReset), Just(Hint::Gauge),];
    (
        buckets(),
        buckets(),
        -4i32..9,
        any::<f64>(),
        0u32..50,
        prop_oneof![Just(1.0), Just(0.37)],
        hints,
        any::<bool>(),
    )
        .prop_map(|(positive, negative, schema, sum, zero, factor, hint, custom)| {
            let list = |m: std::collections::BTreeMap<i32, u32>| -> Vec<(i32, f64)> {
                m.into_iter().map(|(i, n)| (i, f64::from(n) * factor)).collect()
            };
            let mut h = Histogram { schema, hint, sum, positive: list(positive), ..Histogram::default() };
            if custom {
                h.schema = CUSTOM;
                h.positive.retain(|b| (0..20).contains(&b.0));
                h.custom = (0..20).map(f64::from).collect();
            } else {
                h.negative = list(negative);
                h.zero_count = f64::from(zero) * factor;
                h.zero_threshold = if zero > 25 { 1e-9 } else { 2.938_735_877_055_719e-39 };
            }
            let all = h.positive.iter().chain(&h.negative).map(|b| b.1).sum::<f64>() + h.zero_count;
            // What was observed but is no number is in no bucket.
            h.count = if sum.is_nan() { all + 3.0 } else { all };
            h
        })
}

proptest! {
    #[test]
    fn gives_back_what_it_took(list in prop::collection::vec((1i64..100_000, histograms()), 1..40)) {
        let mut time = 0;
        let list: Vec<(i64, Histogram)> = list.into_iter().map(|(step, h)| { time += step; (time, h) }).collect();
        let got = points(&packed(&list));
        prop_assert_eq!(got.len(), list.len());
        for (i, ((at, got), (time, wanted))) in got.iter().zip(&list).enumerate() {
            prop_assert_eq!(at, time);
            prop_assert!(got.equals(wanted), "{:?} {:?}", got, wanted);
            prop_assert_eq!(got.sum.to_bits(), wanted.sum.to_bits());
            prop_assert_eq!(got.hint == Hint::Gauge, wanted.hint == Hint::Gauge);
            // Whether a counter began anew is answered as it was before.
            if i > 0 && got.hint != Hint::Gauge {
                prop_assert_eq!(got.resets_after(&list[i - 1].1), wanted.resets_after(&list[i - 1].1));
            }
        }
    }

    #[test]
    fn damaged_bytes_stop_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, i64::MIN, i64::MAX, &mut Vec::new());
        let _ = read_one(&bytes, 0);
    }
}

#[test]
fn a_quiet_histogram_takes_a_few_bytes_a_sample() {
    let buckets: Vec<(i32, f64)> = (0..30).map(|i| (i, 5.0)).collect();
    let list: Vec<_> = (0..120).map(|i| (i * 10_000, counter(&buckets, 3.5))).collect();
    let bytes = to_bytes(&packed(&list)).len();
    assert!(bytes < 120 * 5 + 100, "{bytes} bytes");
}

#[test]
fn old_counters_keep_the_last_of_five_minutes_and_their_resets() {
    let mut list = Vec::new();
    for i in 0..90i64 {
        // Anew at the fortieth sample, above what it had been in no bucket but the second.
        let n = if i < 40 { i } else { (i - 40) * 3 } as f64;
        list.push((i * 10_000, counter(&[(1, 1.0 + n), (4, 2.0 * n)], n)));
    }
    let list: Vec<(i64, Histogram)> = list;
    let all: Vec<Point> = points(&packed(&list)).into_iter().map(|(t, h)| (t, Arc::new(h))).collect();
    let kept = points(&thinned(&all));
    assert_eq!(kept.iter().map(|p| p.0 / 10_000).collect::<Vec<_>>(), [29, 39, 59, 89]);
    let resets: Vec<bool> = kept.windows(2).map(|p| p[1].1.resets_after(&p[0].1)).collect();
    assert_eq!(resets, [false, true, false]);
    assert!(kept[3].1.equals(&list[89].1));
}

#[test]
fn numbers_and_histograms_of_one_series_come_by_time() {
    let h = Arc::new(counter(&[(1, 1.0)], 1.0));
    let mut samples = Samples::default();
    for (time, v) in [(10, 1.0), (30, stale())] {
        samples.push(time, Sample::Float(v));
    }
    merge(vec![(5, h.clone()), (20, h.clone()), (40, h.clone())], &mut samples);
    assert_eq!(samples.times, [5, 10, 20, 30, 40]);
    let kinds: Vec<bool> = (0..5).map(|i| matches!(samples.get(i), Sample::Histogram(_))).collect();
    assert_eq!(kinds, [true, false, true, false, true]);
    assert!(is_stale(samples.floats[3]) && !is_stale(samples.floats[2]));
}
