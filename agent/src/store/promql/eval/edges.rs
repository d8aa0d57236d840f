//! Ranges whose borders carry (anchored) or interpolate (smoothed) the value there, instead of extrapolating.
use crate::store::promql::ast::Edge;
use crate::store::promql::value::Samples;

/// The function's value in the window after `start` up to `end`; floats only.
pub(super) fn edged(
    name: &str,
    samples: &Samples,
    edge: Edge,
    (start, end): (i64, i64),
    lookback: i64,
) -> Option<f64> {
    let reach = if edge == Edge::Smoothed { end + lookback } else { end };
    let from = samples.times.partition_point(|t| *t <= start - lookback);
    let to = samples.times.partition_point(|t| *t <= reach);
    let points: Vec<(i64, f64)> = (from..to)
        .filter(|i| samples.histograms.get(*i).is_none_or(Option::is_none))
        .map(|i| (samples.times[i], samples.floats[i]))
        .collect();
    let smoothed = edge == Edge::Smoothed;
    let mut last = points.len().checked_sub(1)?;
    let first = points[..last].partition_point(|p| p.0 <= start).saturating_sub(1);
    if smoothed {
        last = points[..last].partition_point(|p| p.0 < end);
    }
    if points[last].0 <= start {
        return None;
    }
    let counted = &points[first..=last];
    match name {
        "changes" => {
            return Some(
                counted
                    .windows(2)
                    .filter(|p| p[0].1 != p[1].1 && !(p[0].1.is_nan() && p[1].1.is_nan()))
                    .count() as f64,
            );
        }
        "resets" => return Some(counted.windows(2).filter(|p| p[1].1 < p[0].1).count() as f64),
        _ => {}
    }
    let counter = name != "delta";
    let left = match points.get(first + 1) {
        Some(next) if smoothed && points[first].0 < start => {
            let from = if counter && next.1 < points[first].1 { 0.0 } else { points[first].1 };
            between((points[first].0, from), *next, start)
        }
        _ => points[first].1,
    };
    let right = if smoothed && last > 0 && points[last].0 > end {
        let (a, mut b) = (points[last - 1], points[last]);
        if counter && b.1 < a.1 {
            b.1 += a.1;
        }
        between(a, b, end)
    } else {
        points[last].1
    };
    let mut rise = right - left;
    if counter {
        let mut before = left;
        for p in points.get(first + 1..last).unwrap_or(&[]) {
            if p.1 < before {
                rise += before;
            }
            before = p.1;
        }
        if right < before {
            rise += before;
        }
    }
    Some(if name == "rate" { rise / ((end - start) as f64 / 1000.0) } else { rise })
}

pub(super) fn between(a: (i64, f64), b: (i64, f64), at: i64) -> f64 {
    a.1 + (b.1 - a.1) * (at - a.0) as f64 / (b.0 - a.0) as f64
}
