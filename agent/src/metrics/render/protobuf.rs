//! Prometheus' protobuf exposition: length-delimited `io.prometheus.client.MetricFamily` messages, with native
//! histograms. A large metric comes as several messages of the same name, so that none has to be held whole.

use std::sync::Arc;

use prost::Message;

use crate::metrics::histogram::{Histogram, ZERO_THRESHOLD};
use crate::metrics::naming::Observer;
use crate::metrics::registry::family::{Family, Shape};
use crate::metrics::registry::series::{Series, Value, read_labels, unescape};
use crate::metrics::sparse::Sparse;

pub(super) mod proto {
    //! The part of `io.prometheus.client` that is written here; the numbers are the protocol's.

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct MetricFamily {
        #[prost(string, optional, tag = "1")]
        pub(crate) name: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub(crate) help: Option<String>,
        #[prost(enumeration = "Kind", optional, tag = "3")]
        pub(crate) kind: Option<i32>,
        #[prost(message, repeated, tag = "4")]
        pub(crate) metric: Vec<Metric>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
    #[repr(i32)]
    pub(crate) enum Kind {
        Counter = 0,
        Gauge = 1,
        Summary = 2,
        Untyped = 3,
        Histogram = 4,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub(crate) label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        pub(crate) gauge: Option<Number>,
        #[prost(message, optional, tag = "3")]
        pub(crate) counter: Option<Counter>,
        #[prost(message, optional, tag = "4")]
        pub(crate) summary: Option<Summary>,
        #[prost(message, optional, tag = "5")]
        pub(crate) untyped: Option<Number>,
        #[prost(message, optional, tag = "7")]
        pub(crate) histogram: Option<Histogram>,
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(crate) struct LabelPair {
        #[prost(string, optional, tag = "1")]
        pub(crate) name: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub(crate) value: Option<String>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(crate) struct Number {
        #[prost(double, optional, tag = "1")]
        pub(crate) value: Option<f64>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(crate) struct Counter {
        #[prost(double, optional, tag = "1")]
        pub(crate) value: Option<f64>,
        #[prost(message, optional, tag = "3")]
        pub(crate) created: Option<Timestamp>,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(crate) struct Timestamp {
        #[prost(int64, tag = "1")]
        pub(crate) seconds: i64,
        #[prost(int32, tag = "2")]
        pub(crate) nanos: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Summary {
        #[prost(uint64, optional, tag = "1")]
        pub(crate) count: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub(crate) sum: Option<f64>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) quantile: Vec<Quantile>,
        #[prost(message, optional, tag = "4")]
        pub(crate) created: Option<Timestamp>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(crate) struct Quantile {
        #[prost(double, optional, tag = "1")]
        pub(crate) quantile: Option<f64>,
        #[prost(double, optional, tag = "2")]
        pub(crate) value: Option<f64>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Histogram {
        #[prost(uint64, optional, tag = "1")]
        pub(crate) count: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub(crate) sum: Option<f64>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) bucket: Vec<Bucket>,
        #[prost(sint32, optional, tag = "5")]
        pub(crate) schema: Option<i32>,
        #[prost(double, optional, tag = "6")]
        pub(crate) zero_threshold: Option<f64>,
        #[prost(uint64, optional, tag = "7")]
        pub(crate) zero_count: Option<u64>,
        #[prost(message, repeated, tag = "9")]
        pub(crate) negative_span: Vec<Span>,
        #[prost(sint64, repeated, tag = "10")]
        pub(crate) negative_delta: Vec<i64>,
        #[prost(message, repeated, tag = "12")]
        pub(crate) positive_span: Vec<Span>,
        #[prost(sint64, repeated, tag = "13")]
        pub(crate) positive_delta: Vec<i64>,
        #[prost(message, optional, tag = "15")]
        pub(crate) created: Option<Timestamp>,
        #[prost(message, repeated, tag = "16")]
        pub(crate) exemplars: Vec<Exemplar>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Bucket {
        #[prost(uint64, optional, tag = "1")]
        pub(crate) cumulative_count: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub(crate) upper_bound: Option<f64>,
        #[prost(message, optional, tag = "3")]
        pub(crate) exemplar: Option<Exemplar>,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(crate) struct Span {
        #[prost(sint32, optional, tag = "1")]
        pub(crate) offset: Option<i32>,
        #[prost(uint32, optional, tag = "2")]
        pub(crate) length: Option<u32>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(crate) label: Vec<LabelPair>,
        #[prost(double, optional, tag = "2")]
        pub(crate) value: Option<f64>,
        #[prost(message, optional, tag = "3")]
        pub(crate) timestamp: Option<Timestamp>,
    }
}

use proto::{Bucket, Exemplar, Kind, LabelPair, Metric, MetricFamily, Number, Quantile, Span, Timestamp};

/// Appends series of one family as one message; nothing if there are none.
pub(super) fn family(
    out: &mut Vec<u8>,
    family: &Family,
    series: &[Arc<Series>],
    now: u64,
    scratch: &mut Vec<(f64, f64)>,
) {
    if series.is_empty() {
        return;
    }
    let kind = match &family.shape {
        Shape::Counter => Kind::Counter,
        Shape::Gauge | Shape::Set => Kind::Gauge,
        Shape::Observer(Observer::Summary(_)) => Kind::Summary,
        Shape::Observer(Observer::Histogram(_)) => Kind::Histogram,
    };
    write(
        out,
        &MetricFamily {
            name: Some(family.name.to_string()),
            help: Some(family.help.as_deref().unwrap_or("From StatsD.").to_owned()),
            kind: Some(kind.into()),
            metric: series.iter().map(|series| metric(series, now, scratch)).collect(),
        },
    );
}

/// Appends one message with its length before it.
pub(super) fn write(out: &mut Vec<u8>, family: &MetricFamily) {
    // Only a buffer that cannot grow makes this fail.
    let _ = family.encode_length_delimited(out);
}

fn metric(series: &Series, now: u64, scratch: &mut Vec<(f64, f64)>) -> Metric {
    let mut metric = Metric {
        label: read_labels(&series.labels).map(|(k, v)| label(k, &unescape(v))).collect(),
        ..Metric::default()
    };
    let created = Some(Timestamp { seconds: i64::from(series.created), nanos: 0 });
    match &series.value {
        Value::Counter(number) => {
            metric.counter = Some(proto::Counter { value: Some(number.get()), created })
        }
        Value::Gauge(number) => metric.gauge = Some(Number { value: Some(number.get()) }),
        Value::Set(set) => metric.gauge = Some(Number { value: Some(set.lock().size(now)) }),
        Value::Summary(summary) => {
            let mut summary = summary.lock();
            let mut quantile = Vec::new();
            summary.quantiles(now, scratch, |q, value| {
                quantile.push(Quantile { quantile: Some(q), value: Some(value) });
            });
            let (count, sum) = (Some(summary.count() as u64), Some(summary.sum()));
            metric.summary = Some(proto::Summary { count, sum, quantile, created });
        }
        Value::Histogram(histogram) => {
            let histogram = histogram.lock().clone();
            metric.histogram = Some(proto::Histogram { created, ..self::histogram(&histogram) });
        }
    }
    metric
}

fn label(name: &str, value: &str) -> LabelPair {
    LabelPair { name: Some(name.to_owned()), value: Some(value.to_owned()) }
}

fn histogram(histogram: &Histogram) -> proto::Histogram {
    let exemplar = |at: usize| {
        let exemplar = histogram.exemplars().get(at)?.as_ref()?;
        Some(Exemplar {
            label: vec![label("trace_id", exemplar.trace_id())],
            value: Some(exemplar.value),
            timestamp: Some(Timestamp {
                seconds: exemplar.at_ms.div_euclid(1000),
                nanos: exemplar.at_ms.rem_euclid(1000) as i32 * 1_000_000,
            }),
        })
    };
    let bounds = histogram.bounds().iter().copied().chain([f64::INFINITY]);
    let bucket = bounds.zip(histogram.cumulative()).enumerate().map(|(at, (bound, total))| Bucket {
        cumulative_count: Some(total as u64),
        upper_bound: Some(bound),
        exemplar: exemplar(at),
    });
    let mut out = proto::Histogram {
        count: Some(histogram.count() as u64),
        sum: Some(histogram.sum()),
        bucket: bucket.collect(),
        ..proto::Histogram::default()
    };
    let Some(native) = histogram.native() else { return out };
    // Prometheus refuses a native histogram whose buckets do not add up to its count, so the count follows them.
    let (negative_span, negative_delta, negative) = spans(&native.negative);
    let (positive_span, positive_delta, positive) = spans(&native.positive);
    let zero = native.zero.round() as u64;
    out.count = Some(zero + negative + positive);
    if let Some(last) = out.bucket.last_mut() {
        last.cumulative_count = out.count;
    }
    out.schema = Some(i32::from(native.positive.schema));
    out.zero_threshold = Some(ZERO_THRESHOLD);
    out.zero_count = Some(zero);
    out.exemplars = (0..histogram.classic().len()).filter_map(exemplar).collect();
    if positive_span.is_empty() && negative_span.is_empty() {
        // An empty span says that this is a native histogram although it is empty.
        out.positive_span = vec![Span { offset: Some(0), length: Some(0) }];
        return out;
    }
    proto::Histogram { negative_span, negative_delta, positive_span, positive_delta, ..out }
}

/// Runs of buckets without gaps, the differences between neighbouring buckets, and the sum of all.
fn spans(sparse: &Sparse) -> (Vec<Span>, Vec<i64>, u64) {
    let (mut spans, mut deltas, mut total) = (Vec::<Span>::new(), Vec::new(), 0);
    let (mut next, mut previous) = (0, 0);
    let (mut weight, mut shown) = (0.0, 0u64);
    for (at, (key, more)) in sparse.iter().enumerate() {
        // Rounded along the sum, so that fractions neither vanish nor pile up.
        weight += more;
        let up_to = f64::round(weight) as u64;
        let count = (up_to - shown) as i64;
        shown = up_to;
        match spans.last_mut() {
            Some(span) if at > 0 && key == next => span.length = span.length.map(|length| length + 1),
            _ => spans.push(Span { offset: Some(key - next), length: Some(1) }),
        }
        deltas.push(count - previous);
        previous = count;
        next = key + 1;
        total = shown;
    }
    (spans, deltas, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::render::{Format, Renderer, own, tests::registry};

    fn read(mut bytes: &[u8]) -> Vec<MetricFamily> {
        let mut out = Vec::new();
        while !bytes.is_empty() {
            out.push(MetricFamily::decode_length_delimited(&mut bytes).unwrap());
        }
        out
    }

    #[test]
    fn every_type_reads_back() {
        let registry =
            registry("c:3|c|#a:x\"y\ng:1.5|g\ns:a|s\nt:1:3|ms\ndev.h.k.http.x.timing:250:750:0|ms\n");
        registry.exemplar(&crate::hooks::Exemplar {
            environment: "dev",
            host: "h",
            service: "k",
            group: "http",
            segment: "x",
            trace_id: &"ab".repeat(16),
            seconds: 0.25,
            at_ms: 1500,
        });
        let mut bytes = Vec::new();
        let mut renderer = Renderer::new(registry, Format::Protobuf, 1);
        while renderer.next_piece(&mut bytes) {}
        bytes.extend(own::convert("# TYPE o_total counter\no_total{x=\"1\"} 7\n", Format::Protobuf));
        let families = read(&bytes);
        let one = |name: &str| families.iter().find(|f| f.name() == name).unwrap().metric[0].clone();
        assert_eq!(one("c").counter.unwrap().value(), 3.0);
        assert_eq!(one("c").label[0].value(), "x\"y");
        assert_eq!(one("c").counter.unwrap().created.unwrap().seconds, 1);
        assert_eq!((one("g").gauge.unwrap().value(), one("s").gauge.unwrap().value()), (1.5, 1.0));
        let summary = one("t").summary.unwrap();
        assert_eq!((summary.count(), summary.quantile[0].value()), (2, 0.001));
        assert_eq!(one("o_total").counter.unwrap().value(), 7.0);

        let h = one("instrument_timing_seconds").histogram.unwrap();
        assert_eq!((h.count(), h.sum(), h.schema(), h.zero_count()), (3, 1.0, 3, 1));
        assert_eq!(h.positive_span.iter().map(|s| s.length()).sum::<u32>(), 2);
        let bucket = h.bucket.iter().find(|b| b.upper_bound() == 0.25).unwrap();
        assert_eq!(bucket.cumulative_count(), 2);
        let exemplar = bucket.exemplar.clone().unwrap();
        assert_eq!((exemplar.label[0].value(), exemplar.value()), ("ab".repeat(16).as_str(), 0.25));
        assert_eq!(exemplar.timestamp.unwrap().nanos, 500_000_000);
        assert_eq!(h.exemplars.len(), 1);
    }

    #[test]
    fn spans_skip_gaps_and_deltas_run_on() {
        let mut sparse = Sparse::new(0);
        for (key, weight) in [(-2, 1.0), (-1, 3.0), (2, 0.4), (3, 0.4)] {
            sparse.add_to(key, weight);
        }
        let (spans, deltas, total) = spans(&sparse);
        let spans: Vec<_> = spans.iter().map(|s| (s.offset.unwrap(), s.length.unwrap())).collect();
        assert_eq!(spans, [(-2, 2), (2, 2)]);
        assert_eq!(deltas, [1, 2, -3, 1]);
        assert_eq!(total, 5);
    }
}
