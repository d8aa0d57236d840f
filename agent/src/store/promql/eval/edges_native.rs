//! Ranges of native histograms whose borders carry or interpolate the value there, and single values between two samples.
use crate::store::promql::ast::Edge;
use crate::store::promql::histogram::{Hint, Histogram, Incompatible};
use crate::store::promql::value::{Sample, Samples};
use std::borrow::Cow;
use std::sync::Arc;

/// The rise of a histogram over a window.
#[derive(Debug)]
pub(super) enum Edged {
    /// Nothing in the window.
    Nothing,
    /// Only numbers: another function's.
    Numbers,
    /// Numbers and histograms.
    Mixed,
    /// Exponential and custom buckets.
    Schemas,
    Rise {
        rise: Histogram,
        /// How many of the samples say that they are gauges, and how many there are.
        gauges: usize,
        samples: usize,
    },
    /// `changes` and `resets`, which count steps of any kind.
    Count(f64),
}

/// The function's value in the window after `start` up to `end`.
pub(super) fn edged(
    name: &str,
    samples: &Samples,
    edge: Edge,
    (start, end): (i64, i64),
    lookback: i64,
) -> Edged {
    let smoothed = edge == Edge::Smoothed;
    let reach = if smoothed { end + lookback } else { end };
    let from = samples.times.partition_point(|t| *t <= start - lookback);
    let to = samples.times.partition_point(|t| *t <= reach);
    let times = &samples.times[from..to];
    let Some(mut last) = times.len().checked_sub(1) else { return Edged::Nothing };
    let first = times[..last].partition_point(|t| *t <= start).saturating_sub(1);
    if smoothed {
        last = times[..last].partition_point(|t| *t < end);
    }
    if times[last] <= start {
        return Edged::Nothing;
    }
    let counted = || (first..=last).map(|i| samples.get(from + i));
    let natives: Vec<Arc<Histogram>> = counted()
        .filter_map(|s| match s {
            Sample::Histogram(h) => Some(h),
            _ => None,
        })
        .collect();
    if natives.is_empty() {
        return Edged::Numbers;
    }
    if matches!(name, "changes" | "resets") {
        let all: Vec<Sample> = counted().collect();
        return Edged::Count(all.windows(2).filter(|p| steps(name, &p[0], &p[1])).count() as f64);
    }
    if natives.len() <= last - first {
        return Edged::Mixed;
    }
    let counter = name != "delta";
    let gauges = natives.iter().filter(|h| h.hint == Hint::Gauge).count();
    match rise(&natives, &times[first..=last], smoothed, counter, (start, end)) {
        Ok(rise) => Edged::Rise { rise, gauges, samples: natives.len() },
        Err(Incompatible) => Edged::Schemas,
    }
}

fn steps(name: &str, before: &Sample, now: &Sample) -> bool {
    match (before, now) {
        (Sample::Float(a), Sample::Float(b)) if name == "changes" => a != b && !(a.is_nan() && b.is_nan()),
        (Sample::Float(a), Sample::Float(b)) => b < a,
        (Sample::Histogram(a), Sample::Histogram(b)) if name == "changes" => !a.equals(b),
        (Sample::Histogram(a), Sample::Histogram(b)) => b.resets_after(a),
        _ => true,
    }
}

fn rise(
    list: &[Arc<Histogram>],
    times: &[i64],
    smoothed: bool,
    counter: bool,
    (start, end): (i64, i64),
) -> Result<Histogram, Incompatible> {
    let last = list.len() - 1;
    let inside = smoothed && last > 0 && times[0] < start;
    let left = if inside {
        Cow::Owned(between(&list[0], &list[1], part(times[0], times[1], start), counter)?)
    } else {
        Cow::Borrowed(&*list[0])
    };
    let right = if smoothed && last > 0 && times[last] > end {
        let at = part(times[last - 1], times[last], end);
        Cow::Owned(between(&list[last - 1], &list[last], at, counter)?)
    } else {
        Cow::Borrowed(&*list[last])
    };
    let (mut rise, _) = right.sub(&left)?;
    if !counter || last == 0 {
        return Ok(rise);
    }
    // A reset between the first two is part of what was interpolated on the left.
    let begin = usize::from(inside);
    for i in begin + 1..=last {
        let now = if i == last { &right } else { &Cow::Borrowed(&*list[i]) };
        if now.resets_after(&list[i - 1]) {
            rise = rise.add(&list[i - 1])?.0;
        }
    }
    Ok(rise)
}

fn part(from: i64, to: i64, at: i64) -> f64 {
    (at - from) as f64 / (to - from) as f64
}

/// The histogram a part of the way from one to the next; a counter that begins anew begins at nothing.
pub(super) fn between(
    a: &Histogram,
    b: &Histogram,
    part: f64,
    counter: bool,
) -> Result<Histogram, Incompatible> {
    if a.is_custom() != b.is_custom() {
        return Err(Incompatible);
    }
    if counter && b.resets_after(a) {
        return Ok(Histogram { hint: Hint::Reset, ..b.scaled(part) });
    }
    let (way, _) = b.sub(a)?;
    let (h, _) = a.add(&way.scaled(part))?;
    let hint = if a.hint == Hint::Gauge || b.hint == Hint::Gauge { Hint::Gauge } else { Hint::NotReset };
    Ok(Histogram { hint, ..h })
}
