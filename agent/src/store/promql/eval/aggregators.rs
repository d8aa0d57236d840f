//! Reduces the values of one group at one step to one. Pure.
use crate::store::promql::ast::AggOp;
use crate::store::promql::histogram::{Hint, Histogram};
use crate::store::promql::math::{Mean, Sum, quantile, variance};
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

fn average(floats: &[f64]) -> f64 {
    let mut sum = Sum::default();
    for (i, v) in floats.iter().enumerate() {
        let before = sum;
        sum.add(*v);
        if sum.overflowed() {
            let mut mean = Mean::start(before, i);
            floats[i..].iter().for_each(|v| mean.add(*v));
            return mean.value();
        }
    }
    sum.divided(floats.len() as f64)
}

fn total(list: &[&Arc<Histogram>], average: bool) -> Reduced {
    let mut out = Reduced::default();
    let mut sum = list[0].as_ref().clone();
    let has = |hint| list.iter().any(|h| h.hint == hint);
    out.hints_collided = has(Hint::Reset) && has(Hint::NotReset);
    for h in &list[1..] {
        match sum.add(h) {
            Ok((next, merged)) => {
                sum = next;
                out.bounds_reconciled |= merged.bounds_reconciled;
            }
            Err(_) => {
                out.incompatible = true;
                return out;
            }
        }
    }
    out.value = Sample::histogram(if average { sum.divided(list.len() as f64) } else { sum });
    out
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
