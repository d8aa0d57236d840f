//! Answers of queries as JSON, written by hand: a dashboard's panels are mostly numbers.
use std::fmt::Write;

use crate::store::metrics::labels::Labels;
use crate::store::promql::histogram::Histogram;
use crate::store::promql::{Answer, Sample, format};

/// `{"resultType":…,"result":…}`, at most `limit` series; and whether there were more.
pub(super) fn data(answer: &Answer, limit: usize) -> (String, bool) {
    let mut out = String::new();
    let mut truncated = false;
    match answer {
        Answer::Scalar { time, value } => {
            out.push_str("{\"resultType\":\"scalar\",\"result\":");
            point(&mut out, *time, &format::json(*value));
        }
        Answer::Str { time, value } => {
            out.push_str("{\"resultType\":\"string\",\"result\":[");
            timestamp(&mut out, *time);
            out.push(',');
            string(&mut out, value);
            out.push(']');
        }
        Answer::Vector { time, series } => {
            out.push_str("{\"resultType\":\"vector\",\"result\":[");
            truncated = series.len() > limit;
            for (i, (labels, sample)) in series.iter().take(limit).enumerate() {
                comma(&mut out, i);
                metric(&mut out, labels);
                match sample {
                    Sample::Histogram(h) => {
                        out.push_str(",\"histogram\":");
                        histogram(&mut out, *time, h);
                    }
                    sample => {
                        out.push_str(",\"value\":");
                        point(&mut out, *time, &format::json(sample.float().unwrap_or(f64::NAN)));
                    }
                }
                out.push('}');
            }
            out.push(']');
        }
        Answer::Matrix(rows) => {
            out.push_str("{\"resultType\":\"matrix\",\"result\":[");
            truncated = rows.len() > limit;
            for (i, (labels, points)) in rows.iter().take(limit).enumerate() {
                comma(&mut out, i);
                metric(&mut out, labels);
                row(&mut out, points);
                out.push('}');
            }
            out.push(']');
        }
    }
    out.push('}');
    (out, truncated)
}

fn row(out: &mut String, points: &[(i64, Sample)]) {
    let floats = points.iter().filter_map(|(t, v)| Some((*t, v.float()?)));
    for (i, (time, value)) in floats.enumerate() {
        out.push_str(if i == 0 { ",\"values\":[" } else { "," });
        point(out, time, &format::json(value));
    }
    if points.iter().any(|(_, v)| v.float().is_some()) {
        out.push(']');
    }
    let histograms = points.iter().filter_map(|(t, v)| match v {
        Sample::Histogram(h) => Some((*t, h)),
        _ => None,
    });
    let mut any = false;
    for (time, h) in histograms {
        out.push_str(if any { "," } else { ",\"histograms\":[" });
        histogram(out, time, h);
        any = true;
    }
    if any {
        out.push(']');
    }
}

fn comma(out: &mut String, i: usize) {
    if i > 0 {
        out.push(',');
    }
}

/// Opens the object of one series; the caller closes it.
fn metric(out: &mut String, labels: &Labels) {
    out.push_str("{\"metric\":");
    object(out, labels);
}

pub(super) fn object(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (n, v)) in labels.iter().enumerate() {
        comma(out, i);
        string(out, n);
        out.push(':');
        string(out, v);
    }
    out.push('}');
}

pub(super) fn string(out: &mut String, text: &str) {
    // A string always has a JSON form.
    out.push_str(&serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into()));
}

/// Seconds; milliseconds only where there are any.
pub(super) fn timestamp(out: &mut String, time: i64) {
    let (sign, ms) = if time < 0 { ("-", time.unsigned_abs()) } else { ("", time as u64) };
    // Writing to a string cannot fail.
    let _ = match ms % 1000 {
        0 => write!(out, "{sign}{}", ms / 1000),
        fraction => write!(out, "{sign}{}.{fraction:03}", ms / 1000),
    };
}

fn point(out: &mut String, time: i64, value: &str) {
    out.push('[');
    timestamp(out, time);
    let _ = write!(out, ",\"{value}\"]");
}

fn histogram(out: &mut String, time: i64, h: &Histogram) {
    out.push('[');
    timestamp(out, time);
    let _ = write!(out, ",{{\"count\":\"{}\",\"sum\":\"{}\"", format::json(h.count), format::json(h.sum));
    let mut any = false;
    for b in h.buckets().iter().filter(|b| b.count != 0.0) {
        out.push_str(if any { "," } else { ",\"buckets\":[" });
        any = true;
        let rule = match (b.lower_in, b.upper_in) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        let [lower, upper, count] = [b.lower, b.upper, b.count].map(format::json);
        let _ = write!(out, "[{rule},\"{lower}\",\"{upper}\",\"{count}\"]");
    }
    if any {
        out.push(']');
    }
    out.push_str("}]");
}
