//! Functions that rewrite labels or order series by them.
use super::{Evaluator, exec};
use crate::store::metrics::labels::NAME;
use crate::store::metrics::matcher::anchored;
use crate::store::promql::ast::Expr;
use crate::store::promql::error::Error;
use crate::store::promql::natural;
use crate::store::promql::value::{Grid, Sample, Series, Value};
use std::cmp::Ordering;

impl Evaluator<'_> {
    pub(super) fn label_replace(&mut self, args: &[Expr], grid: Grid) -> Result<Value, Error> {
        let [target, replacement, from, pattern] =
            [self.string(&args[1])?, self.string(&args[2])?, self.string(&args[3])?, self.string(&args[4])?];
        let Ok(regex) = anchored(&pattern) else {
            return exec(format!("invalid regular expression in label_replace(): {pattern}"));
        };
        check_label(&target, "label_replace")?;
        // Go reads `$1x` as the group named "1x", and so does this engine.
        let mut series = self.vector(&args[0], grid)?;
        for s in &mut series {
            let value = s.labels.get(&from).unwrap_or("").to_owned();
            if let Some(found) = regex.captures(&value) {
                let mut out = String::new();
                found.expand(&replacement, &mut out);
                self.set_label(s, &target, &out);
            }
        }
        self.merged(series).map(Value::Vector)
    }

    pub(super) fn label_join(&mut self, args: &[Expr], grid: Grid) -> Result<Value, Error> {
        let target = self.string(&args[1])?;
        let separator = self.string(&args[2])?;
        let mut sources = Vec::new();
        for arg in &args[3..] {
            let label = self.string(arg)?;
            check_source_label(&label)?;
            sources.push(label);
        }
        check_label(&target, "label_join")?;
        let mut series = self.vector(&args[0], grid)?;
        for s in &mut series {
            let parts: Vec<&str> = sources.iter().map(|l| s.labels.get(l).unwrap_or("")).collect();
            let joined = parts.join(&separator);
            self.set_label(s, &target, &joined);
        }
        self.merged(series).map(Value::Vector)
    }

    fn set_label(&self, s: &mut Series, target: &str, value: &str) {
        s.labels = s.labels.with(target, value);
        if target == NAME {
            // A name given on purpose stays.
            s.drop_name = false;
        }
    }

    pub(super) fn sort(
        &mut self,
        expr: &Expr,
        name: &str,
        args: &[Expr],
        grid: Grid,
    ) -> Result<Value, Error> {
        let mut labels = Vec::new();
        for arg in &args[1..] {
            labels.push(self.string(arg)?);
        }
        let mut series = self.vector(&args[0], grid)?;
        if !self.instant {
            self.warn(
                expr,
                "sort is ineffective for range queries since results are always ordered by labels",
            );
            return Ok(Value::Vector(series));
        }
        let down = name.ends_with("_desc");
        if name.starts_with("sort_by_label") {
            series.sort_by(|a, b| {
                let by = labels
                    .iter()
                    .map(|l| natural::compare(a.labels.get(l).unwrap_or(""), b.labels.get(l).unwrap_or("")));
                let order = by.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
                if down { order.reverse() } else { order }
            });
            return Ok(Value::Vector(series));
        }
        // Histograms have no order.
        series.retain(|s| s.values.first().is_some_and(|v| v.float().is_some()));
        let value = |s: &Series| s.values.first().and_then(Sample::float).unwrap_or(f64::NAN);
        series.sort_by(|a, b| {
            let (a, b) = (value(a), value(b));
            // NaN goes last, whichever way.
            match (a.is_nan(), b.is_nan()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                _ => {
                    let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
                    if down { order.reverse() } else { order }
                }
            }
        });
        Ok(Value::Vector(series))
    }
}

fn check_label(name: &str, function: &str) -> Result<(), Error> {
    if name.is_empty() {
        exec(format!("invalid destination label name in {function}(): {name}"))
    } else {
        Ok(())
    }
}

fn check_source_label(name: &str) -> Result<(), Error> {
    if name.is_empty() { exec(format!("invalid source label name in label_join(): {name}")) } else { Ok(()) }
}
