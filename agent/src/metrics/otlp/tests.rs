//! Requests in, samples out.

use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exponential_histogram_data_point::Buckets,
    number_data_point::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;
use crate::metrics::{naming::Rules, settings::Settings};

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn request(name: &str, unit: &str, data: Data) -> ExportMetricsServiceRequest {
    let metric =
        Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() };
    let attributes =
        vec![attribute("service.name", "kit"), attribute("host.name", "a.b"), attribute("x", "y")];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

fn point(value: f64) -> NumberDataPoint {
    let attributes = vec![attribute("le", "1"), attribute("a.b", "c")];
    NumberDataPoint { value: Some(Value::AsDouble(value)), attributes, ..NumberDataPoint::default() }
}

fn sum(value: f64, temporality: i32) -> Data {
    Data::Sum(Sum {
        data_points: vec![point(value)],
        aggregation_temporality: temporality,
        is_monotonic: true,
    })
}

fn registry() -> Registry {
    Registry::new(&Settings::default(), Rules::default(), &[])
}

fn shown(registry: &Registry) -> Vec<String> {
    let mut out = Vec::new();
    registry.samples(1, &mut |name, labels, value| {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        out.push(format!("{name}{{{}}} {value}", labels.join(",")));
    });
    out
}

#[test]
fn deltas_add_up_and_cumulative_values_replace() {
    let r = registry();
    for _ in 0..2 {
        ingest(&r, request("req.count", "By", sum(3.0, 1)), 1);
        ingest(&r, request("cpu.time", "s", sum(3.0, 2)), 1);
        ingest(&r, request("temp", "", Data::Gauge(Gauge { data_points: vec![point(4.0)] })), 1);
    }
    let labels = "{a_b=c,exported_le=1,host=a_b,service=kit}";
    assert_eq!(
        shown(&r),
        [
            format!("cpu_time_seconds_total{labels} 3"),
            format!("req_count_bytes_total{labels} 6"),
            format!("temp{labels} 4")
        ]
    );
}

#[test]
fn histograms_of_both_kinds_merge() {
    let r = registry();
    let explicit = HistogramDataPoint {
        count: 3,
        sum: Some(4.0),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![1.0],
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        count: 6,
        sum: Some(9.0),
        scale: 10,
        zero_count: 1,
        positive: Some(Buckets { offset: -1, bucket_counts: vec![2, 3] }),
        ..ExponentialHistogramDataPoint::default()
    };
    for _ in 0..2 {
        let data = Histogram { data_points: vec![explicit.clone()], aggregation_temporality: 1 };
        assert_eq!(ingest(&r, request("h", "", Data::Histogram(data)), 1).accepted, 1);
        let data =
            ExponentialHistogram { data_points: vec![exponential.clone()], aggregation_temporality: 1 };
        assert_eq!(ingest(&r, request("e", "", Data::ExponentialHistogram(data)), 1).accepted, 1);
    }
    let shown = shown(&r);
    assert!(shown.contains(&"h_bucket{host=a_b,le=1,service=kit} 2".to_owned()), "{shown:?}");
    assert!(shown.contains(&"h_count{host=a_b,service=kit} 6".to_owned()), "{shown:?}");
    assert!(shown.contains(&"e_count{host=a_b,service=kit} 12".to_owned()), "{shown:?}");
    let mut native = Vec::new();
    for family in r.all_families() {
        for series in family.series.lock().iter() {
            if let crate::metrics::registry::series::Value::Histogram(h) = &series.0.value
                && let Some(n) = h.lock().native()
            {
                native = n.positive.iter().collect();
                assert_eq!((n.positive.schema, n.zero), (8, 2.0));
            }
        }
    }
    // Scale 10 is two halvings finer than schema 8: buckets -1 and 0 end at 1 and just above it.
    assert_eq!(native, [(0, 4.0), (1, 6.0)]);
}

#[test]
fn a_bad_point_says_why_and_costs_only_itself() {
    let r = registry();
    let data = Data::Gauge(Gauge { data_points: vec![point(f64::NAN), point(1.0)] });
    let outcome = ingest(&r, request("g", "", data), 1);
    assert_eq!((outcome.accepted, outcome.rejected), (1, 1));
    assert!(outcome.message.contains("not finite"), "{}", outcome.message);
    assert_eq!(ingest(&r, request("c", "", sum(1.0, 0)), 1).rejected, 1);
    assert_eq!(ingest(&r, request("g", "", sum(1.0, 1)), 1).accepted, 1, "g_total is another metric");
    let outcome = ingest(&r, request("g_total", "", Data::Gauge(Gauge { data_points: vec![point(1.0)] })), 1);
    assert!(outcome.message.contains("type_conflict"), "{}", outcome.message);
    let totals = r.tally.totals();
    assert_eq!(totals.received, totals.applied + totals.lost.iter().sum::<u64>());
}
