//! Five minutes of a series as one row: what is left of samples when they are old.
use super::block::Column;
use crate::store::promql::{Samples, is_stale};

/// Milliseconds of one row.
pub(crate) const ROW: i64 = 300_000;

/// Which columns hold real numbers: time of the last sample, last, min, max, sum, count.
pub(crate) const REALS: [bool; 6] = [false, true, true, true, true, false];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    pub(crate) time: i64,
    pub(crate) last: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) sum: f64,
    pub(crate) count: i64,
}

/// The rows of samples in time order; marks of staleness are no samples.
pub(crate) fn rows(samples: &Samples) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::new();
    for (time, v) in samples.times.iter().zip(&samples.floats).filter(|(_, v)| !is_stale(**v)) {
        match out.last_mut().filter(|r| r.time.div_euclid(ROW) == time.div_euclid(ROW)) {
            Some(row) => {
                row.time = *time;
                row.last = *v;
                // NaN gives way to any number.
                row.min = row.min.min(*v);
                row.max = row.max.max(*v);
                row.sum += v;
                row.count += 1;
            }
            None => out.push(Row { time: *time, last: *v, min: *v, max: *v, sum: *v, count: 1 }),
        }
    }
    out
}

pub(crate) fn columns(rows: &[Row]) -> Vec<Column> {
    vec![
        Column::Whole(rows.iter().map(|r| r.time).collect()),
        Column::Real(rows.iter().map(|r| r.last).collect()),
        Column::Real(rows.iter().map(|r| r.min).collect()),
        Column::Real(rows.iter().map(|r| r.max).collect()),
        Column::Real(rows.iter().map(|r| r.sum).collect()),
        Column::Whole(rows.iter().map(|r| r.count).collect()),
    ]
}

pub(crate) fn from_columns(columns: &[Column]) -> Option<Vec<Row>> {
    let [
        Column::Whole(times),
        Column::Real(last),
        Column::Real(min),
        Column::Real(max),
        Column::Real(sum),
        Column::Whole(count),
    ] = columns
    else {
        return None;
    };
    let n = times.len();
    if [last.len(), min.len(), max.len(), sum.len(), count.len()].iter().any(|l| *l != n) {
        return None;
    }
    let row = |i: usize| Row {
        time: times[i],
        last: last[i],
        min: min[i],
        max: max[i],
        sum: sum[i],
        count: count[i],
    };
    Some((0..n).map(row).collect())
}

/// Gives rows as samples of the value that a function wants.
pub(crate) fn push(rows: &[Row], function: &str, (from, to): (i64, i64), into: &mut Samples) {
    let counter = matches!(function, "rate" | "increase" | "irate" | "resets");
    let mut before: Option<f64> = None;
    for row in rows {
        if row.time >= from && row.time <= to {
            // A counter that fell within the row: its lowest or highest point shows the reset.
            if counter && before.is_some_and(|b| row.min < b && row.max == row.last && row.last >= b) {
                point(into, row.time - 2, row.min);
            }
            if counter && row.max > row.last {
                point(into, row.time - 1, row.max);
            }
            let value = match function {
                "min_over_time" => row.min,
                "max_over_time" => row.max,
                "sum_over_time" => row.sum,
                "avg_over_time" => row.sum / row.count.max(1) as f64,
                _ => row.last,
            };
            point(into, row.time, value);
        }
        before = Some(row.last);
    }
    if !rows.is_empty() {
        into.spacing = ROW;
    }
}

fn point(into: &mut Samples, time: i64, value: f64) {
    into.times.push(time);
    into.floats.push(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::promql::{Sample, stale};

    fn samples(list: &[(i64, f64)]) -> Samples {
        let mut s = Samples::default();
        list.iter().for_each(|(t, v)| s.push(*t, Sample::Float(*v)));
        s
    }

    #[test]
    fn a_row_holds_what_five_minutes_held() {
        let rows = rows(&samples(&[(0, 2.0), (10, 1.0), (20, stale()), (299_999, 3.0), (300_000, 9.0)]));
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0], Row { time: 299_999, last: 3.0, min: 1.0, max: 3.0, sum: 6.0, count: 3 });
        assert_eq!(from_columns(&columns(&rows)).unwrap(), rows);
    }

    #[test]
    fn a_reset_within_a_row_is_still_seen() {
        let rows = rows(&samples(&[(0, 5.0), (300_000, 8.0), (300_010, 1.0), (300_020, 2.0)]));
        let mut out = Samples::default();
        push(&rows, "rate", (0, i64::MAX), &mut out);
        assert_eq!(out.floats, [5.0, 8.0, 2.0]);
    }
}
