//! Evaluates a syntax tree over a grid of times, one node at a time for all steps at once.
mod absent;
mod aggregate;
mod aggregators;
mod binary;
mod call;
mod edges;
mod edges_native;
mod elements;
mod histogram_functions;
mod info;
mod labels;
mod ranges;
mod ranges_native;
mod selector;
mod set;
mod slice;
mod subquery;
mod time_functions;
mod windows;

use super::ast::{At, Edge, Expr, Kind, Span, TimeShift, Type};
use super::error::{Annotations, Error, exec, line_column};
use super::parse::parse;
use super::value::{Answer, Grid, Sample, Samples, Series, Source, Value};
use crate::store::metrics::labels::{Labels, NAME};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How queries are evaluated and where they end.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// How far an instant selector looks back for a sample, milliseconds.
    pub lookback: i64,
    /// The step of a subquery that names none, milliseconds.
    pub subquery_step: i64,
    /// Samples that a query may touch and points that it may make.
    pub max_samples: usize,
    /// A query that is still running then ends with an error.
    pub deadline: Option<Instant>,
    /// Set to true by whoever no longer wants the answer.
    pub cancel: Option<&'a AtomicBool>,
    /// Keep metric names until the query ends, so that `label_replace` can still read them.
    pub delayed_name_removal: bool,
    /// `__type__` and `__unit__` go where the name goes.
    pub type_and_unit_labels: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            lookback: 300_000,
            subquery_step: 60_000,
            max_samples: 50_000_000,
            deadline: None,
            cancel: None,
            delayed_name_removal: false,
            type_and_unit_labels: false,
        }
    }
}

/// Evaluates a query at one time.
pub fn instant(
    source: &dyn Source,
    text: &str,
    time: i64,
    options: &Options<'_>,
) -> Result<(Answer, Annotations), Error> {
    let expr = parse(text)?;
    let grid = Grid { start: time, end: time, step: 1 };
    let mut eval = Evaluator::new(source, text, options, grid, true);
    let answer = if expr.value_type() == Type::Matrix {
        eval.matrix(&expr, grid)?
    } else {
        match eval.expr(&expr, grid)? {
            Value::Scalar(v) => Answer::Scalar { time, value: v[0] },
            Value::Str(value) => Answer::Str { time, value },
            Value::Vector(series) => {
                let series = eval.finish(series)?;
                let series = series
                    .into_iter()
                    .filter_map(|s| Some((s.labels, s.values.into_iter().next()?)))
                    .filter(|(_, v)| !v.is_absent())
                    .collect();
                Answer::Vector { time, series }
            }
        }
    };
    Ok((answer, eval.notes))
}

/// Evaluates a query at each step from `start` to `end`, both included; all milliseconds.
pub fn range(
    source: &dyn Source,
    text: &str,
    (start, end, step): (i64, i64, i64),
    options: &Options<'_>,
) -> Result<(Answer, Annotations), Error> {
    let expr = parse(text)?;
    let kind = expr.value_type();
    if !matches!(kind, Type::Scalar | Type::Vector) {
        return exec(format!(
            "invalid expression type {:?} for range query, must be Scalar or instant Vector",
            kind.to_string()
        ));
    }
    let grid = Grid { start, end, step: step.max(1) };
    let mut eval = Evaluator::new(source, text, options, grid, false);
    let series = match eval.expr(&expr, grid)? {
        Value::Vector(series) => eval.finish(series)?,
        Value::Scalar(v) => {
            let values = v.into_iter().map(Sample::Float).collect();
            vec![Series { labels: Labels::default(), drop_name: false, values }]
        }
        Value::Str(_) => Vec::new(),
    };
    let mut rows: Vec<_> = series
        .into_iter()
        .map(|s| {
            let points: Vec<_> = s
                .values
                .into_iter()
                .enumerate()
                .filter(|(_, v)| !v.is_absent())
                .map(|(i, v)| (grid.time(i), v))
                .collect();
            (s.labels, points)
        })
        .filter(|(_, points)| !points.is_empty())
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((Answer::Matrix(rows), eval.notes))
}

pub(crate) struct Evaluator<'a> {
    source: &'a dyn Source,
    text: &'a str,
    options: &'a Options<'a>,
    /// The outermost times, which `start()`, `end()`, `step()` and `range()` mean.
    query: Grid,
    instant: bool,
    touched: usize,
    notes: Annotations,
}

impl<'a> Evaluator<'a> {
    fn new(
        source: &'a dyn Source,
        text: &'a str,
        options: &'a Options<'a>,
        query: Grid,
        instant: bool,
    ) -> Self {
        Evaluator { source, text, options, query, instant, touched: 0, notes: Annotations::default() }
    }

    fn expr(&mut self, expr: &Expr, grid: Grid) -> Result<Value, Error> {
        self.alive()?;
        match &expr.kind {
            Kind::Number(n) => Ok(Value::Scalar(vec![*n; grid.len()])),
            Kind::Str(s) => Ok(Value::Str(s.clone())),
            Kind::Paren(inner) => self.expr(inner, grid),
            Kind::Selector(s) if s.edge == Edge::Smoothed => self.smoothed(expr, s, grid).map(Value::Vector),
            Kind::Selector(s) => self.selector(s, grid).map(Value::Vector),
            Kind::Subquery(_) => exec("a range vector needs a function around it"),
            Kind::Negate(inner) => self.negate(inner, grid),
            Kind::Aggregate(a) => self.aggregate(expr, a, grid).map(Value::Vector),
            Kind::Binary(b) => self.binary(expr, b, grid),
            Kind::Call { signature, args } => self.call(expr, signature.name, args, grid),
        }
    }

    fn negate(&mut self, inner: &Expr, grid: Grid) -> Result<Value, Error> {
        Ok(match self.expr(inner, grid)? {
            Value::Scalar(v) => Value::Scalar(v.into_iter().map(|v| -v).collect()),
            Value::Vector(series) => Value::Vector(self.map_series(series, |v| match v {
                Sample::Float(v) => Sample::Float(-v),
                Sample::Histogram(h) => Sample::histogram(h.scaled(-1.0).as_gauge()),
                Sample::Absent => Sample::Absent,
            })?),
            Value::Str(s) => Value::Str(s),
        })
    }

    fn vector(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<Series>, Error> {
        match self.expr(expr, grid)? {
            Value::Vector(v) => Ok(v),
            _ => exec("expected an instant vector"),
        }
    }

    fn scalar(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, Error> {
        match self.expr(expr, grid)? {
            Value::Scalar(v) => Ok(v),
            _ => exec("expected a scalar"),
        }
    }

    fn string(&mut self, expr: &Expr) -> Result<String, Error> {
        match &expr.bare().kind {
            Kind::Str(s) => Ok(s.clone()),
            _ => exec("expected a string"),
        }
    }

    /// Applies `f` to each present value; the result no longer is the metric, so the name goes.
    fn map_series(
        &mut self,
        mut series: Vec<Series>,
        f: impl Fn(Sample) -> Sample,
    ) -> Result<Vec<Series>, Error> {
        for s in &mut series {
            for v in &mut s.values {
                *v = f(std::mem::take(v));
            }
            self.lose_name(s);
        }
        self.merged(series)
    }

    fn lose_name(&self, series: &mut Series) {
        if self.options.delayed_name_removal {
            series.drop_name = true;
        } else {
            series.labels = self.nameless(&series.labels);
        }
    }

    fn nameless(&self, labels: &Labels) -> Labels {
        let all = self.options.type_and_unit_labels;
        labels.filter(|n| n != NAME && !(all && (n == "__type__" || n == "__unit__")))
    }

    /// Joins series whose labels have become the same; two values at one time are an error.
    fn merged(&self, series: Vec<Series>) -> Result<Vec<Series>, Error> {
        if series.len() < 2 {
            return Ok(series);
        }
        let mut index: HashMap<(Labels, bool), usize> = HashMap::with_capacity(series.len());
        let mut out: Vec<Series> = Vec::with_capacity(series.len());
        for s in series {
            match index.get(&(s.labels.clone(), s.drop_name)) {
                None => {
                    index.insert((s.labels.clone(), s.drop_name), out.len());
                    out.push(s);
                }
                Some(&at) => merge_into(&mut out[at], s)?,
            }
        }
        Ok(out)
    }

    /// The end of a query: names that no longer fit go, and series without a value.
    fn finish(&self, mut series: Vec<Series>) -> Result<Vec<Series>, Error> {
        for s in &mut series {
            if s.drop_name {
                s.labels = self.nameless(&s.labels);
                s.drop_name = false;
            }
        }
        let mut series = self.merged(series)?;
        series.retain(|s| s.values.iter().any(|v| !v.is_absent()));
        Ok(series)
    }

    /// The raw samples of a range at one time, as an instant query of a range vector gives them.
    fn matrix(&mut self, expr: &Expr, grid: Grid) -> Result<Answer, Error> {
        let (shape, series) = self.ranges(expr, grid, "")?;
        let end = shape.end(grid.start);
        let rows = series
            .into_iter()
            .map(|s| {
                let labels = if s.drop_name { self.nameless(&s.labels) } else { s.labels };
                (labels, window_points(&s.samples, end - shape.range, end))
            })
            .filter(|(_, points)| !points.is_empty());
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Answer::Matrix(rows))
    }

    fn span(&self, span: &Span, grid: Grid) -> Result<i64, Error> {
        span.millis(self.step_of(grid), self.query.end - self.query.start).map_err(Error::Execution)
    }

    fn positive_span(&self, span: &Span, grid: Grid) -> Result<i64, Error> {
        span.positive_millis(self.step_of(grid), self.query.end - self.query.start).map_err(Error::Execution)
    }

    /// An instant query has no step.
    fn step_of(&self, _grid: Grid) -> i64 {
        if self.instant { 0 } else { self.query.step }
    }

    fn shift(&self, time: &TimeShift, grid: Grid) -> Result<(i64, Option<i64>), Error> {
        let offset = time.offset.as_ref().map_or(Ok(0), |s| self.span(s, grid))?;
        let at = time.at.map(|at| match at {
            At::Start => self.query.start,
            At::End => self.query.end,
            At::Time(ms) => ms,
        });
        Ok((offset, at))
    }

    fn touch(&mut self, samples: usize) -> Result<(), Error> {
        self.touched = self.touched.saturating_add(samples);
        if self.touched > self.options.max_samples {
            return Err(Error::TooManySamples);
        }
        self.alive()
    }

    fn alive(&self) -> Result<(), Error> {
        if self.options.cancel.is_some_and(|c| c.load(Ordering::Relaxed)) {
            return Err(Error::Canceled);
        }
        match self.options.deadline {
            Some(deadline) if Instant::now() > deadline => Err(Error::Timeout),
            _ => Ok(()),
        }
    }

    fn place(&self, expr: &Expr) -> String {
        let (line, column) = line_column(self.text, expr.start);
        format!(" ({line}:{column})")
    }

    fn warn(&mut self, at: &Expr, message: impl std::fmt::Display) {
        let message = format!("{message}{}", self.place(at));
        self.notes.warn(message);
    }

    fn info(&mut self, at: &Expr, message: impl std::fmt::Display) {
        let message = format!("{message}{}", self.place(at));
        self.notes.info(message);
    }
}

fn merge_into(into: &mut Series, from: Series) -> Result<(), Error> {
    for (a, b) in into.values.iter_mut().zip(from.values) {
        match (a.is_absent(), b.is_absent()) {
            (_, true) => {}
            (true, false) => *a = b,
            (false, false) => return exec("vector cannot contain metrics with the same labelset"),
        }
    }
    Ok(())
}

fn window_points(samples: &Samples, after: i64, until: i64) -> Vec<(i64, Sample)> {
    let from = samples.times.partition_point(|t| *t <= after);
    let to = samples.times.partition_point(|t| *t <= until);
    (from..to).map(|i| (samples.times[i], samples.get(i))).collect()
}
