//! Whether an answer is what a test expects.
use super::script::{Eval, Expect, Text};
use sightline_agent::store::metrics::labels::Labels;
use sightline_agent::store::promql::histogram::{Hint, Histogram};
use sightline_agent::store::promql::{Annotations, Answer, Error, Sample};

/// Nothing if the answer fits, else what is wrong with it.
pub(crate) fn check(eval: &Eval, result: &Result<(Answer, Annotations), Error>) -> Result<(), String> {
    let expect = &eval.expect;
    let (answer, notes) = match (result, &expect.fail) {
        (Err(error), Some(text)) => {
            let message = error.to_string();
            let message = message.split_once("parse error: ").map_or(message.as_str(), |(_, m)| m);
            return if text.fits(message) {
                Ok(())
            } else {
                Err(format!("fails with another message: {message}"))
            };
        }
        (Err(error), None) => return Err(format!("fails: {error}")),
        (Ok(_), Some(_)) => return Err("does not fail".into()),
        (Ok(ok), None) => ok,
    };
    note("warning", &expect.warn, expect.no_warn, &notes.warnings)?;
    note("info", &expect.info, expect.no_info, &notes.infos)?;
    match answer {
        Answer::Str { value, .. } => {
            same(expect.string.as_deref() == Some(value), || format!("gives the string {value:?}"))
        }
        Answer::Scalar { value, .. } => {
            same(expect.scalar.is_some_and(|v| close(v, *value)), || format!("gives the scalar {value}"))
        }
        Answer::Vector { series, .. } => vector(expect, series),
        Answer::Matrix(rows) => matrix(eval, rows),
    }
}

fn note(what: &str, wanted: &Option<Text>, none: bool, given: &[String]) -> Result<(), String> {
    if none && !given.is_empty() {
        return Err(format!("gives a {what}: {}", given[0]));
    }
    match wanted {
        Some(text) if !given.iter().any(|g| text.fits(g)) => {
            Err(format!("gives no such {what}, but {given:?}"))
        }
        _ => Ok(()),
    }
}

fn vector(expect: &Expect, series: &[(Labels, Sample)]) -> Result<(), String> {
    if let Some(v) = expect.scalar {
        return Err(format!("gives a vector, not the scalar {v}"));
    }
    same(series.len() == expect.series.len(), || format!("gives {} series: {series:?}", series.len()))?;
    for (i, (labels, values)) in expect.series.iter().enumerate() {
        let place = series.iter().position(|(l, _)| l == labels);
        let Some(place) = place else { return Err(format!("lacks {labels}; gives {series:?}")) };
        if expect.ordered && place != i {
            return Err(format!("{labels} stands at {place}, not {i}"));
        }
        let got = &series[place].1;
        same(close_samples(&values[0], got), || format!("{labels}: {got:?} instead of {:?}", values[0]))?;
    }
    Ok(())
}

fn matrix(eval: &Eval, rows: &[(Labels, Vec<(i64, Sample)>)]) -> Result<(), String> {
    let (start, _, step) = eval.expect.range_vector.unwrap_or(eval.times);
    let wanted: Vec<_> = eval
        .expect
        .series
        .iter()
        .map(|(labels, values)| {
            let points = values.iter().enumerate().filter(|(_, v)| !v.is_absent());
            (labels, points.map(|(i, v)| (start + step * i as i64, v)).collect::<Vec<_>>())
        })
        .filter(|(_, points)| !points.is_empty())
        .collect();
    same(rows.len() == wanted.len(), || format!("gives {} series: {rows:?}", rows.len()))?;
    for (labels, points) in wanted {
        let Some((_, got)) = rows.iter().find(|(l, _)| l == labels) else {
            return Err(format!("lacks {labels}; gives {rows:?}"));
        };
        let fits = got.len() == points.len()
            && got
                .iter()
                .zip(&points)
                .all(|((t, v), (want_t, want_v))| t == want_t && close_samples(want_v, v));
        same(fits, || format!("{labels}: {got:?} instead of {points:?}"))?;
    }
    Ok(())
}

fn same(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

pub(crate) fn close_samples(want: &Sample, got: &Sample) -> bool {
    match (want, got) {
        (Sample::Float(a), Sample::Float(b)) => close(*a, *b),
        (Sample::Histogram(a), Sample::Histogram(b)) => close_histograms(a, b),
        (Sample::Absent, Sample::Absent) => true,
        _ => false,
    }
}

fn close_histograms(want: &Histogram, got: &Histogram) -> bool {
    let buckets = |a: &[(i32, f64)], b: &[(i32, f64)]| {
        let filled = |l: &[(i32, f64)]| l.iter().copied().filter(|x| x.1 != 0.0).collect::<Vec<_>>();
        let (a, b) = (filled(a), filled(b));
        a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| x.0 == y.0 && close(x.1, y.1))
    };
    want.schema == got.schema
        && (want.hint == Hint::Unknown || want.hint == got.hint)
        && close(want.count, got.count)
        && close(want.sum, got.sum)
        && close(want.zero_threshold, got.zero_threshold)
        && close(want.zero_count, got.zero_count)
        && want.custom.len() == got.custom.len()
        && want.custom.iter().zip(got.custom.iter()).all(|(a, b)| close(*a, *b))
        && buckets(&want.positive, &got.positive)
        && buckets(&want.negative, &got.negative)
}

/// Equal to a millionth, as Prometheus asks.
fn close(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let difference = (a - b).abs();
    let size = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || size < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < 1e-6
}
