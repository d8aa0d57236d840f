//! The two text formats. They differ in names of counters, in bounds, and in exemplars.

use std::sync::Arc;

use super::Format;
use super::number::{write_float, write_number};
use crate::metrics::histogram::Histogram;
use crate::metrics::registry::family::{Family, Shape};
use crate::metrics::registry::series::{Series, Value};

/// Appends series of one family; with its head if they are its first.
pub(super) fn family(
    out: &mut Vec<u8>,
    format: Format,
    family: &Family,
    series: &[Arc<Series>],
    first: bool,
    now: u64,
    scratch: &mut Vec<(f64, f64)>,
) {
    if first && !series.is_empty() {
        head(out, format, family);
    }
    let name = family.name.as_bytes();
    for series in series {
        let labels = series.labels.as_bytes();
        match &series.value {
            Value::Counter(number) | Value::Gauge(number) => sample(out, name, b"", labels, number.get()),
            Value::Set(set) => {
                let size = set.lock().size(now);
                sample(out, name, b"", labels, size);
            }
            Value::Summary(summary) => {
                let mut summary = summary.lock();
                summary.quantiles(now, scratch, |quantile, value| {
                    open(out, name, b"", labels);
                    bound(out, b"quantile", labels, format, quantile);
                    close(out, value);
                    out.push(b'\n');
                });
                sample(out, name, b"_sum", labels, summary.sum());
                sample(out, name, b"_count", labels, summary.count());
            }
            Value::Histogram(histogram) => {
                // Copied, so that an update waits for a copy and not for the rendering.
                let histogram = histogram.lock().clone();
                buckets(out, format, name, labels, &histogram);
            }
        }
    }
}

fn head(out: &mut Vec<u8>, format: Format, family: &Family) {
    let (name, kind) = match (format, &family.shape) {
        // A counter without `_total` is none in OpenMetrics. Renaming it would break what asks for it.
        (Format::OpenMetrics, Shape::Counter) => match family.name.strip_suffix("_total") {
            Some(base) if !base.is_empty() => (base, "counter"),
            _ => (&*family.name, "unknown"),
        },
        (_, shape) => (&*family.name, shape.type_word()),
    };
    for part in [b"# HELP " as &[u8], name.as_bytes(), b" "] {
        out.extend_from_slice(part);
    }
    match &family.help {
        Some(help) => escape_help(out, help, format == Format::OpenMetrics),
        None => out.extend_from_slice(b"From StatsD."),
    }
    for part in [b"\n# TYPE ", name.as_bytes(), b" ", kind.as_bytes(), b"\n"] {
        out.extend_from_slice(part);
    }
}

fn escape_help(out: &mut Vec<u8>, help: &str, quotes: bool) {
    for b in help.bytes() {
        match b {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            b => out.push(b),
        }
    }
}

fn sample(out: &mut Vec<u8>, name: &[u8], suffix: &[u8], labels: &[u8], value: f64) {
    out.extend_from_slice(name);
    out.extend_from_slice(suffix);
    if labels.is_empty() {
        out.push(b' ');
    } else {
        out.push(b'{');
        out.extend_from_slice(labels);
        out.extend_from_slice(b"} ");
    }
    write_number(out, value);
    out.push(b'\n');
}

fn buckets(out: &mut Vec<u8>, format: Format, name: &[u8], labels: &[u8], histogram: &Histogram) {
    let bounds = histogram.bounds().iter().copied().chain([f64::INFINITY]);
    for (at, (upper, total)) in bounds.zip(histogram.cumulative()).enumerate() {
        open(out, name, b"_bucket", labels);
        bound(out, b"le", labels, format, upper);
        close(out, total);
        if format == Format::OpenMetrics
            && let Some(Some(exemplar)) = histogram.exemplars().get(at)
        {
            out.extend_from_slice(b" # {trace_id=\"");
            out.extend_from_slice(&exemplar.trace_id);
            out.extend_from_slice(b"\"} ");
            write_number(out, exemplar.value);
            out.push(b' ');
            write_number(out, exemplar.at_ms as f64 / 1000.0);
        }
        out.push(b'\n');
    }
    sample(out, name, b"_sum", labels, histogram.sum());
    sample(out, name, b"_count", labels, histogram.count());
}

fn open(out: &mut Vec<u8>, name: &[u8], suffix: &[u8], labels: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(suffix);
    out.push(b'{');
    out.extend_from_slice(labels);
}

fn bound(out: &mut Vec<u8>, key: &[u8], labels: &[u8], format: Format, value: f64) {
    if !labels.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(key);
    out.extend_from_slice(b"=\"");
    if format == Format::OpenMetrics {
        write_float(out, value)
    } else {
        write_number(out, value)
    }
    out.push(b'"');
}

fn close(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(b"} ");
    write_number(out, value);
}
