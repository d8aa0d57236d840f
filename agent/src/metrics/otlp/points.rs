//! One data point of each type into its series.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, Sum,
    SummaryDataPoint, exponential_histogram_data_point::Buckets, number_data_point,
};

use super::{Into, Refused, labels};
use crate::metrics::histogram::Native;
use crate::metrics::naming::{HistogramOptions, Observer};
use crate::metrics::registry::Wanted;
use crate::metrics::registry::family::Shape;
use crate::metrics::registry::series::{Series, Value};
use crate::metrics::sparse::{MAX_SCHEMA, MIN_SCHEMA, Sparse};

/// The flag of a point that only says that there is nothing to say.
const NO_VALUE: u32 = 1;
/// As many buckets as our own native histograms have.
const BUCKETS: usize = 160;

/// The metric whose points are taken.
pub(super) struct Target<'t, 'r> {
    pub(super) into: &'t mut Into<'r>,
    pub(super) metric: &'t Metric,
    pub(super) name: String,
    pub(super) base: &'t [(String, String)],
}

impl Target<'_, '_> {
    pub(super) fn gauge(&mut self, point: &NumberDataPoint) {
        let result = number(point).and_then(|value| match value {
            Some(value) => self.number(&point.attributes, Shape::Gauge, value, false),
            None => Ok(()),
        });
        self.into.count(&self.name, result);
    }

    pub(super) fn sum(&mut self, point: &NumberDataPoint, sum: &Sum) {
        let result = number(point).and_then(|value| {
            let adds = is_delta(sum.aggregation_temporality)?;
            let Some(value) = value else { return Ok(()) };
            if sum.is_monotonic && value < 0.0 {
                return Err(Refused::Malformed("a monotonic sum went down"));
            }
            let shape = if sum.is_monotonic { Shape::Counter } else { Shape::Gauge };
            self.number(&point.attributes, shape, value, adds)
        });
        self.into.count(&self.name, result);
    }

    pub(super) fn histogram(&mut self, point: &HistogramDataPoint, temporality: i32) {
        let result = self.take_histogram(point, temporality);
        self.into.count(&self.name, result);
    }

    fn take_histogram(&mut self, point: &HistogramDataPoint, temporality: i32) -> Result<(), Refused> {
        let adds = is_delta(temporality)?;
        if point.flags & NO_VALUE != 0 {
            return Ok(());
        }
        let bounds = &point.explicit_bounds;
        if !bounds.is_sorted_by(|a, b| a < b) || bounds.iter().any(|b| !b.is_finite()) {
            return Err(Refused::Malformed("the bounds do not ascend"));
        }
        let counts: Vec<f64> = match point.bucket_counts.len() {
            0 if bounds.is_empty() => vec![point.count as f64],
            len if len == bounds.len() + 1 => point.bucket_counts.iter().map(|&c| c as f64).collect(),
            _ => return Err(Refused::Malformed("bounds and counts do not fit each other")),
        };
        let sum = finite(point.sum.unwrap_or(0.0))?;
        let options = HistogramOptions { buckets: bounds.clone(), native_factor: 1.0, native_max_buckets: 0 };
        let series =
            self.series(&point.attributes, Shape::Observer(Observer::Histogram(Arc::new(options))))?;
        let Value::Histogram(histogram) = &series.value else { return Ok(()) };
        let mut histogram = histogram.lock();
        let fits = histogram.bounds() == bounds.as_slice()
            && if adds { histogram.merge(&counts, sum, None) } else { histogram.replace(&counts, sum, None) };
        fits.then_some(()).ok_or(Refused::Malformed("its bounds differ from those it began with"))
    }

    pub(super) fn exponential(&mut self, point: &ExponentialHistogramDataPoint, temporality: i32) {
        let result = self.take_exponential(point, temporality);
        self.into.count(&self.name, result);
    }

    fn take_exponential(
        &mut self,
        point: &ExponentialHistogramDataPoint,
        temporality: i32,
    ) -> Result<(), Refused> {
        let adds = is_delta(temporality)?;
        if point.flags & NO_VALUE != 0 {
            return Ok(());
        }
        if point.scale < i32::from(MIN_SCHEMA) {
            return Err(Refused::Malformed("its scale is below -4"));
        }
        let mut native = Native {
            positive: sparse(point.scale, point.positive.as_ref())?,
            negative: sparse(point.scale, point.negative.as_ref())?,
            zero: point.zero_count as f64,
        };
        while native.positive.len() + native.negative.len() > BUCKETS && native.coarsen() {}
        let sum = finite(point.sum.unwrap_or(0.0))?;
        let options = HistogramOptions { buckets: Vec::new(), ..HistogramOptions::default() };
        let series =
            self.series(&point.attributes, Shape::Observer(Observer::Histogram(Arc::new(options))))?;
        let Value::Histogram(histogram) = &series.value else { return Ok(()) };
        let mut histogram = histogram.lock();
        let counts = [point.count as f64];
        let fits = if adds {
            histogram.merge(&counts, sum, Some(&native))
        } else {
            histogram.replace(&counts, sum, Some(native))
        };
        fits.then_some(()).ok_or(Refused::Malformed("it began as a histogram with explicit bounds"))
    }

    /// A sender's summary cannot be merged or aged: it shows as it came, as two counters and a gauge for each quantile.
    pub(super) fn summary(&mut self, point: &SummaryDataPoint) {
        let result = self.take_summary(point);
        self.into.count(&self.name, result);
    }

    fn take_summary(&mut self, point: &SummaryDataPoint) -> Result<(), Refused> {
        if point.flags & NO_VALUE != 0 {
            return Ok(());
        }
        let sum = finite(point.sum)?;
        for (suffix, value) in [("_sum", sum), ("_count", point.count as f64)] {
            let wanted = self.wanted(&point.attributes, Shape::Counter);
            let family = format!("{}{suffix}", wanted.family);
            put(&*self.find(Wanted { family, ..wanted })?, value, false);
        }
        for quantile in point.quantile_values.iter().filter(|q| q.value.is_finite()) {
            let mut wanted = self.wanted(&point.attributes, Shape::Gauge);
            wanted.labels.push(("quantile".to_owned(), quantile.quantile.to_string()));
            wanted.labels.sort();
            put(&*self.find(wanted)?, quantile.value, false);
        }
        Ok(())
    }

    fn number(
        &mut self,
        attributes: &[KeyValue],
        shape: Shape,
        value: f64,
        adds: bool,
    ) -> Result<(), Refused> {
        let series = self.series(attributes, shape)?;
        put(&series, value, adds);
        Ok(())
    }

    fn series(&mut self, attributes: &[KeyValue], shape: Shape) -> Result<Arc<Series>, Refused> {
        let wanted = self.wanted(attributes, shape);
        self.find(wanted)
    }

    fn wanted(&mut self, attributes: &[KeyValue], shape: Shape) -> Wanted {
        let mut labels = labels(self.base, attributes);
        self.into.registry.rename_reserved_labels(&mut labels, &mut self.into.batch);
        Wanted {
            family: self.name.clone(),
            shape,
            labels,
            help: Some(self.metric.description.clone()).filter(|help| !help.is_empty()),
            ttl: 0,
            source: 0,
        }
    }

    fn find(&mut self, wanted: Wanted) -> Result<Arc<Series>, Refused> {
        if wanted.family.is_empty() {
            return Err(Refused::Malformed("the metric has no name"));
        }
        let found = self.into.registry.series(wanted, self.into.now, &mut self.into.batch);
        let (series, folded) = found.map_err(Refused::Lost)?;
        self.into.batch.folded += u64::from(folded);
        series.touch(self.into.now);
        Ok(series)
    }
}

fn put(series: &Series, value: f64, adds: bool) {
    if let Value::Counter(number) | Value::Gauge(number) = &series.value {
        if adds { number.add(value) } else { number.set(value) }
    }
}

/// None for a point without a value.
fn number(point: &NumberDataPoint) -> Result<Option<f64>, Refused> {
    if point.flags & NO_VALUE != 0 {
        return Ok(None);
    }
    match point.value {
        Some(number_data_point::Value::AsDouble(value)) => finite(value).map(Some),
        Some(number_data_point::Value::AsInt(value)) => Ok(Some(value as f64)),
        None => Err(Refused::Malformed("it has no value")),
    }
}

fn finite(value: f64) -> Result<f64, Refused> {
    if value.is_finite() { Ok(value) } else { Err(Refused::Malformed("a value is not finite")) }
}

fn is_delta(temporality: i32) -> Result<bool, Refused> {
    match AggregationTemporality::try_from(temporality) {
        Ok(AggregationTemporality::Delta) => Ok(true),
        Ok(AggregationTemporality::Cumulative) => Ok(false),
        _ => Err(Refused::Malformed("its temporality is neither delta nor cumulative")),
    }
}

/// OTLP's bucket `i` covers (base^i, base^(i+1)]; ours is named by its upper end.
fn sparse(scale: i32, buckets: Option<&Buckets>) -> Result<Sparse, Refused> {
    let finer = (scale - i32::from(MAX_SCHEMA)).clamp(0, 31);
    let mut sparse = Sparse::new((scale - finer).clamp(i32::from(MIN_SCHEMA), i32::from(MAX_SCHEMA)) as i8);
    let Some(buckets) = buckets else { return Ok(sparse) };
    for (at, &count) in buckets.bucket_counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let number = i32::try_from(i64::from(buckets.offset) + at as i64);
        // Beyond this no double has a bucket, and our arithmetic none either.
        let number = number.ok().filter(|n| n.abs() < 1 << 29);
        let Some(number) = number else { return Err(Refused::Malformed("a bucket lies beyond all numbers")) };
        sparse.add_to((number >> finer) + 1, count as f64);
    }
    Ok(sparse)
}
