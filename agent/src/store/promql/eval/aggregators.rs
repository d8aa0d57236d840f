//! Reduces the values of one group at one step to one. Pure.
use crate::store::promql::ast::AggOp;
use crate::store::promql::histogram::Histogram;
use crate::store::promql::histogram_total;
use crate::store::promql::math::{Sum, average, quantile, variance};
use crate::store::promql::value::Sample;
use std::cmp::Ordering;
use std::sync::Arc;

/// The value, and what has to be remarked on.
#[derive(Default)]
pub(super) struct Reduced {
    pub(super) value: Sample,
    pub(super) mixed: bool,
    pub(super) ignored_histograms: bool,
    pub(super) incompatible: bool,
    pub(super) hints_collided: bool,
    pub(super) bounds_reconciled: bool,
}

impl Reduced {
    fn float(v: f64) -> Self {
        Reduced { value: Sample::Float(v), ..Reduced::default() }
    }
}

pub(super) fn reduce(op: AggOp, floats: &mut [f64], histograms: &[&Arc<Histogram>], param: f64) -> Reduced {
    match op {
        AggOp::Count => return Reduced::float((floats.len() + histograms.len()) as f64),
        AggOp::Group => return Reduced::float(1.0),
        AggOp::Sum | AggOp::Avg if !histograms.is_empty() => {
            if floats.is_empty() {
                return total(histograms, op == AggOp::Avg);
            }
            return Reduced { mixed: true, ..Reduced::default() };
        }
        _ => {}
    }
    let ignored_histograms = !histograms.is_empty();
    if floats.is_empty() {
        return Reduced { ignored_histograms, ..Reduced::default() };
    }
    let value = match op {
        AggOp::Sum => {
            let mut sum = Sum::default();
            floats.iter().for_each(|v| sum.add(*v));
            sum.value()
        }
        AggOp::Avg => average(floats),
        AggOp::Min => floats.iter().copied().fold(f64::NAN, |a, b| if b < a || a.is_nan() { b } else { a }),
        AggOp::Max => floats.iter().copied().fold(f64::NAN, |a, b| if b > a || a.is_nan() { b } else { a }),
        AggOp::Stddev => variance(floats.iter().copied()).sqrt(),
        AggOp::Stdvar => variance(floats.iter().copied()),
        _ => quantile(param, floats),
    };
    Reduced { ignored_histograms, ..Reduced::float(value) }
}

fn total(list: &[&Arc<Histogram>], average: bool) -> Reduced {
    match histogram_total::total(list, average) {
        Ok((h, merged)) => Reduced {
            value: Sample::histogram(h),
            hints_collided: merged.hints_collided,
            bounds_reconciled: merged.bounds_reconciled,
            ..Reduced::default()
        },
        Err(_) => Reduced { incompatible: true, ..Reduced::default() },
    }
}

/// The order in which `topk` (or `bottomk`) takes values; NaN comes last.
pub(super) fn rank(a: f64, b: f64, top: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => {
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if top { order.reverse() } else { order }
        }
    }
}
