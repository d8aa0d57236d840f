//! Arithmetic and comparison between scalars and vectors, with the matching of vectors' series.
use super::{Evaluator, exec};
use crate::store::metrics::labels::{Labels, NAME};
use crate::store::promql::ast::{BinOp, Binary, Cardinality, Expr, Matching};
use crate::store::promql::error::Error;
use crate::store::promql::trim::Keep;
use crate::store::promql::value::{Grid, Sample, Series, Value};
use std::collections::HashMap;

impl Evaluator<'_> {
    pub(super) fn binary(&mut self, expr: &Expr, b: &Binary, grid: Grid) -> Result<Value, Error> {
        let lhs = self.expr(&b.lhs, grid)?;
        let rhs = self.expr(&b.rhs, grid)?;
        match (lhs, rhs) {
            (Value::Scalar(l), Value::Scalar(r)) => {
                Ok(Value::Scalar(l.into_iter().zip(r).map(|(l, r)| scalars(b.op, l, r)).collect()))
            }
            (Value::Vector(v), Value::Scalar(s)) => {
                self.with_scalar(expr, b, v, &s, false).map(Value::Vector)
            }
            (Value::Scalar(s), Value::Vector(v)) => self.with_scalar(expr, b, v, &s, true).map(Value::Vector),
            (Value::Vector(l), Value::Vector(r)) if b.op.is_set() => {
                self.set(b, l, r, grid).map(Value::Vector)
            }
            (Value::Vector(l), Value::Vector(r)) => self.vectors(expr, b, l, r, grid).map(Value::Vector),
            _ => exec("binary expression must contain only scalar and instant vector types"),
        }
    }

    fn with_scalar(
        &mut self,
        expr: &Expr,
        b: &Binary,
        mut series: Vec<Series>,
        scalar: &[f64],
        swapped: bool,
    ) -> Result<Vec<Series>, Error> {
        let drops = drops_name(b.op) || b.return_bool;
        for s in &mut series {
            for (v, scalar) in s.values.iter_mut().zip(scalar) {
                let own = std::mem::take(v);
                if own.is_absent() {
                    continue;
                }
                let scalar = Sample::Float(*scalar);
                let result = if swapped {
                    self.combine(expr, b.op, &scalar, &own)
                } else {
                    self.combine(expr, b.op, &own, &scalar)
                };
                *v = match result {
                    Outcome::Value(v) => v,
                    Outcome::Kept(keep) if b.return_bool => Sample::Float(f64::from(u8::from(keep))),
                    Outcome::Kept(true) => own,
                    Outcome::Kept(false) | Outcome::Nothing => Sample::Absent,
                };
            }
            if drops {
                self.lose_name(s);
            }
        }
        if drops { self.merged(series) } else { Ok(series) }
    }

    fn vectors(
        &mut self,
        expr: &Expr,
        b: &Binary,
        lhs: Vec<Series>,
        rhs: Vec<Series>,
        grid: Grid,
    ) -> Result<Vec<Series>, Error> {
        let m = &b.matching;
        let swap = m.cardinality == Cardinality::OneToMany;
        let (many, one) = if swap { (rhs, lhs) } else { (lhs, rhs) };
        let (fill_many, fill_one) =
            if swap { (m.fill_right, m.fill_left) } else { (m.fill_left, m.fill_right) };
        let mut signatures = Signatures::default();
        let many_ids: Vec<usize> = many.iter().map(|s| signatures.id(&s.labels, m)).collect();
        let one_ids: Vec<usize> = one.iter().map(|s| signatures.id(&s.labels, m)).collect();
        let mut join =
            Join { out: Vec::new(), index: HashMap::new(), pairs: HashMap::new(), steps: grid.len() };
        let mut one_at = vec![usize::MAX; signatures.count()];
        let mut matched = vec![0usize; signatures.count()];
        // Which step last wrote a result: a second write in one step is an ambiguous match.
        let mut written: Vec<usize> = Vec::new();
        for i in 0..grid.len() {
            if i % 64 == 0 {
                self.touch(many.len().min(1 << 20))?;
            }
            one_at.fill(usize::MAX);
            matched.fill(0);
            for (j, id) in one_ids.iter().enumerate() {
                if one[j].values[i].is_absent() {
                    continue;
                }
                if one_at[*id] != usize::MAX {
                    return exec(duplicate(&one[j].labels, &one[one_at[*id]].labels, m, swap));
                }
                one_at[*id] = j;
            }
            for (k, id) in many_ids.iter().enumerate() {
                let own = &many[k].values[i];
                if own.is_absent() {
                    continue;
                }
                let partner = one_at[*id];
                if partner == usize::MAX && fill_one.is_none() {
                    continue;
                }
                if m.cardinality == Cardinality::OneToOne {
                    if matched[*id] > 0 {
                        return exec(
                            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                        );
                    }
                    matched[*id] += 1;
                }
                matched[*id] = matched[*id].max(1);
                let filled = fill_one.map(Sample::Float).unwrap_or_default();
                let other = if partner == usize::MAX { &filled } else { &one[partner].values[i] };
                let (l, r) = if swap { (other, own) } else { (own, other) };
                let Some(value) = self.outcome(expr, b, l, r) else { continue };
                let partner_labels = one.get(partner).map(|s| &s.labels);
                let at = join.slot(k, partner, || self.result_labels(b, &many[k].labels, partner_labels));
                let drop_name = many[k].drop_name || one.get(partner).is_some_and(|s| s.drop_name);
                join.put(at, i, value, &mut written, drop_name || drops_name(b.op) || b.return_bool)?;
            }
            if let Some(fill) = fill_many {
                for (id, j) in one_at.iter().copied().enumerate().filter(|(_, j)| *j != usize::MAX) {
                    if matched[id] > 0 {
                        continue;
                    }
                    let own = Sample::Float(fill);
                    let other = &one[j].values[i];
                    let (l, r) = if swap { (other, &own) } else { (&own, other) };
                    let Some(value) = self.outcome(expr, b, l, r) else { continue };
                    let at = join.slot(usize::MAX, j, || {
                        let base = match_labels(&one[j].labels, m);
                        self.result_labels(b, &base, Some(&one[j].labels))
                    });
                    join.put(
                        at,
                        i,
                        value,
                        &mut written,
                        one[j].drop_name || drops_name(b.op) || b.return_bool,
                    )?;
                }
            }
        }
        let delayed = self.options.delayed_name_removal;
        let mut out = join.out;
        if !delayed {
            out.iter_mut().for_each(|s| s.drop_name = false);
        }
        out.retain(|s| s.values.iter().any(|v| !v.is_absent()));
        Ok(out)
    }

    fn outcome(&mut self, expr: &Expr, b: &Binary, l: &Sample, r: &Sample) -> Option<Sample> {
        match self.combine(expr, b.op, l, r) {
            Outcome::Value(v) => Some(v),
            Outcome::Kept(keep) if b.return_bool => Some(Sample::Float(f64::from(u8::from(keep)))),
            // A comparison gives the value of its left side.
            Outcome::Kept(true) => Some(l.clone()),
            Outcome::Kept(false) | Outcome::Nothing => None,
        }
    }

    fn result_labels(&self, b: &Binary, many: &Labels, one: Option<&Labels>) -> Labels {
        let m = &b.matching;
        let drops = (drops_name(b.op) || b.return_bool) && !self.options.delayed_name_removal;
        let mut labels = if drops { self.nameless(many) } else { many.clone() };
        if m.cardinality == Cardinality::OneToOne {
            labels = if m.on {
                labels.filter(|n| m.labels.iter().any(|l| l == n))
            } else {
                labels.filter(|n| !m.labels.iter().any(|l| l == n))
            };
        }
        for label in &m.include {
            labels = labels.with(label, one.and_then(|o| o.get(label)).unwrap_or(""));
        }
        labels
    }

    /// One operation on two values.
    pub(super) fn combine(&mut self, at: &Expr, op: BinOp, l: &Sample, r: &Sample) -> Outcome {
        match (l, r) {
            (Sample::Float(l), Sample::Float(r)) if op.compares() => Outcome::Kept(compares(op, *l, *r)),
            (Sample::Float(_), Sample::Float(_)) if op.trims() => self.incompatible(at, op, "float", "float"),
            (Sample::Float(l), Sample::Float(r)) => Outcome::Value(Sample::Float(arithmetic(op, *l, *r))),
            (Sample::Float(f), Sample::Histogram(h)) => match op {
                BinOp::Mul => Outcome::Value(Sample::histogram(h.scaled(*f))),
                _ => self.incompatible(at, op, "float", "histogram"),
            },
            (Sample::Histogram(h), Sample::Float(f)) => match op {
                BinOp::Mul => Outcome::Value(Sample::histogram(h.scaled(*f))),
                BinOp::Div => Outcome::Value(Sample::histogram(h.divided(*f))),
                BinOp::TrimAbove => Outcome::Value(Sample::histogram(h.trimmed(Keep::Below, *f))),
                BinOp::TrimBelow => Outcome::Value(Sample::histogram(h.trimmed(Keep::Above, *f))),
                _ => self.incompatible(at, op, "histogram", "float"),
            },
            (Sample::Histogram(l), Sample::Histogram(r)) => {
                let (result, what) = match op {
                    BinOp::Add => (l.add(r), "addition"),
                    BinOp::Sub => (l.sub(r), "subtraction"),
                    BinOp::Eq => return Outcome::Kept(l.equals(r)),
                    BinOp::Ne => return Outcome::Kept(!l.equals(r)),
                    _ => return self.incompatible(at, op, "histogram", "histogram"),
                };
                match result {
                    Ok((h, merged)) => {
                        if merged.hints_collided {
                            self.warn(at, format!("conflicting counter resets during histogram {what}"));
                        }
                        if merged.bounds_reconciled {
                            self.info(at, format!("mismatched custom buckets were reconciled during {what}"));
                        }
                        Outcome::Value(Sample::histogram(h))
                    }
                    Err(_) => {
                        self.warn(
                            at,
                            format!(
                                "incompatible bucket layout encountered for binary operator {}",
                                op.text()
                            ),
                        );
                        Outcome::Nothing
                    }
                }
            }
            _ => Outcome::Nothing,
        }
    }

    fn incompatible(&mut self, at: &Expr, op: BinOp, l: &str, r: &str) -> Outcome {
        let op = op.text();
        self.info(
            at,
            format!("incompatible sample types encountered for binary operator {op:?}: {l} {op} {r}"),
        );
        Outcome::Nothing
    }
}

pub(super) enum Outcome {
    Value(Sample),
    /// A comparison: whether it holds.
    Kept(bool),
    Nothing,
}

/// Groups of labels by which series find each other, numbered.
#[derive(Default)]
pub(super) struct Signatures {
    ids: HashMap<Labels, usize>,
}

impl Signatures {
    pub(super) fn id(&mut self, labels: &Labels, m: &Matching) -> usize {
        let next = self.ids.len();
        *self.ids.entry(match_labels(labels, m)).or_insert(next)
    }

    pub(super) fn count(&self) -> usize {
        self.ids.len()
    }
}

pub(super) fn match_labels(labels: &Labels, m: &Matching) -> Labels {
    let listed = |n: &str| m.labels.iter().any(|l| l == n);
    if m.on { labels.filter(listed) } else { labels.filter(|n| n != NAME && !listed(n)) }
}

/// Results by labels; a pair of inputs always lands in the same place.
struct Join {
    out: Vec<Series>,
    index: HashMap<Labels, usize>,
    pairs: HashMap<(usize, usize), usize>,
    steps: usize,
}

impl Join {
    fn slot(&mut self, many: usize, one: usize, labels: impl FnOnce() -> Labels) -> usize {
        if let Some(at) = self.pairs.get(&(many, one)) {
            return *at;
        }
        let labels = labels();
        let (out, steps) = (&mut self.out, self.steps);
        let at = *self.index.entry(labels.clone()).or_insert_with(|| {
            out.push(Series { labels, drop_name: false, values: vec![Sample::Absent; steps] });
            out.len() - 1
        });
        self.pairs.insert((many, one), at);
        at
    }

    fn put(
        &mut self,
        at: usize,
        step: usize,
        value: Sample,
        written: &mut Vec<usize>,
        drop_name: bool,
    ) -> Result<(), Error> {
        written.resize(self.out.len(), usize::MAX);
        if written[at] == step {
            return exec("multiple matches for labels: grouping labels must ensure unique matches");
        }
        written[at] = step;
        self.out[at].values[step] = value;
        self.out[at].drop_name |= drop_name;
        Ok(())
    }
}

fn duplicate(a: &Labels, b: &Labels, m: &Matching, swapped: bool) -> String {
    let side = if swapped { "left" } else { "right" };
    format!(
        "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
        match_labels(a, m),
        a,
        b
    )
}

/// The result of arithmetic is no longer the metric that its name says.
pub(super) fn drops_name(op: BinOp) -> bool {
    !op.compares() && !op.is_set() && !op.trims()
}

fn scalars(op: BinOp, l: f64, r: f64) -> f64 {
    if op.compares() { f64::from(u8::from(compares(op, l, r))) } else { arithmetic(op, l, r) }
}

fn arithmetic(op: BinOp, l: f64, r: f64) -> f64 {
    match op {
        BinOp::Add => l + r,
        BinOp::Sub => l - r,
        BinOp::Mul => l * r,
        BinOp::Div => l / r,
        BinOp::Mod => l % r,
        BinOp::Pow => l.powf(r),
        BinOp::Atan2 => l.atan2(r),
        _ => f64::NAN,
    }
}

fn compares(op: BinOp, l: f64, r: f64) -> bool {
    match op {
        BinOp::Eq => l == r,
        BinOp::Ne => l != r,
        BinOp::Gt => l > r,
        BinOp::Lt => l < r,
        BinOp::Ge => l >= r,
        _ => l <= r,
    }
}
