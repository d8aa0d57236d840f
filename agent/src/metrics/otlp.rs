//! OTLP metrics into the registry: the same series, budget and exposition as everything else.
//!
//! Names follow Prometheus' rules for OTLP (unit and `_total` are appended); of the resource, service, environment,
//! host and instance become labels. Delta points add up, cumulative points replace.

mod points;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use sightline_instrument::wire::{self, label};

use super::naming::escape;
use super::registry::Registry;
use super::tally::{Batch, Lost};
use crate::hooks::OtlpMetricsOutcome;

/// Takes one request, at a time in seconds since the epoch. A bad point costs only itself.
pub fn ingest(registry: &Registry, request: ExportMetricsServiceRequest, now: u64) -> OtlpMetricsOutcome {
    let mut into = Into { registry, now, batch: Batch::default(), outcome: OtlpMetricsOutcome::default() };
    for resource in &request.resource_metrics {
        let attributes = resource.resource.as_ref().map_or(&[][..], |r| &r.attributes);
        let base = resource_labels(attributes);
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            into.metric(metric, &base);
        }
    }
    registry.tally.flush(&mut into.batch);
    into.outcome
}

/// Where points go, and what became of them.
struct Into<'r> {
    registry: &'r Registry,
    now: u64,
    batch: Batch,
    outcome: OtlpMetricsOutcome,
}

/// Why a point was not taken.
enum Refused {
    /// It is malformed, for this reason.
    Malformed(&'static str),
    /// It is fine, but there is no place for it.
    Lost(Lost),
}

impl Into<'_> {
    fn metric(&mut self, metric: &Metric, base: &[(String, String)]) {
        let mut name = full_name(metric);
        self.registry.keep_clear(&mut name, true, &mut self.batch);
        let mut target = points::Target { into: self, metric, name, base };
        match &metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.iter().for_each(|p| target.gauge(p)),
            Some(Data::Sum(sum)) => sum.data_points.iter().for_each(|p| target.sum(p, sum)),
            Some(Data::Histogram(histogram)) => {
                histogram
                    .data_points
                    .iter()
                    .for_each(|p| target.histogram(p, histogram.aggregation_temporality));
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                let temporality = histogram.aggregation_temporality;
                histogram.data_points.iter().for_each(|p| target.exponential(p, temporality));
            }
            Some(Data::Summary(summary)) => summary.data_points.iter().for_each(|p| target.summary(p)),
            None => {}
        }
    }

    /// Counts one point.
    fn count(&mut self, name: &str, result: Result<(), Refused>) {
        match result {
            Ok(()) => {
                self.batch.received += 1;
                self.batch.applied += 1;
                self.outcome.accepted += 1;
                return;
            }
            Err(Refused::Malformed(why)) => {
                self.batch.refuse(super::line::Refusal::MalformedValue);
                self.outcome.message = format!("{name}: {why}");
            }
            Err(Refused::Lost(reason)) => {
                self.batch.received += 1;
                self.batch.lose(reason, 1);
                self.outcome.message = format!("{name}: {}", reason.label());
            }
        }
        self.outcome.rejected += 1;
    }
}

fn resource_labels(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let known = |key: &str| {
        Some(match key {
            "service.name" => label::SERVICE,
            "deployment.environment" | "deployment.environment.name" => label::ENVIRONMENT,
            "host.name" => label::HOST,
            // Without it the cumulative values of two instances would replace each other.
            "service.instance.id" => "service_instance_id",
            _ => return None,
        })
    };
    let label = |attribute: &KeyValue| {
        let key = known(&attribute.key)?;
        let value = text(attribute.value.as_ref()?)?;
        Some((key.to_owned(), if key == label::HOST { wire::part(&value) } else { value }))
    };
    attributes.iter().filter_map(label).collect()
}

/// The labels of a point: those of its resource, over them its own attributes, by ascending key.
fn labels(base: &[(String, String)], attributes: &[KeyValue]) -> Vec<(String, String)> {
    let own = attributes.iter().filter_map(|a| Some((escape(&a.key), text(a.value.as_ref()?)?)));
    let mut labels: Vec<(String, String)> =
        base.iter().cloned().chain(own).filter(|(k, _)| !k.is_empty()).collect();
    labels.reverse();
    labels.sort_by(|a, b| a.0.cmp(&b.0));
    labels.dedup_by(|later, first| later.0 == first.0);
    labels
}

fn text(value: &AnyValue) -> Option<String> {
    Some(match value.value.as_ref()? {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::BoolValue(yes) => yes.to_string(),
        any_value::Value::IntValue(number) => number.to_string(),
        any_value::Value::DoubleValue(number) => number.to_string(),
        // Lists and maps make no label that anybody could match.
        _ => return None,
    })
}

/// The name with its unit, and with `_total` if it only grows.
fn full_name(metric: &Metric) -> String {
    let mut name = escape(&metric.name);
    let unit = match metric.unit.as_str() {
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "%" => "percent",
        "Cel" => "celsius",
        _ => "",
    };
    if !unit.is_empty() && !name.ends_with(unit) {
        name = format!("{name}_{unit}");
    }
    if matches!(&metric.data, Some(Data::Sum(sum)) if sum.is_monotonic) && !name.ends_with("_total") {
        name.push_str("_total");
    }
    name
}

#[cfg(test)]
mod tests;
