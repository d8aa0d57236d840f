//! `info`: adds labels of info metrics (`target_info`) to series of the same job and instance.
use super::{Evaluator, exec};
use crate::store::metrics::labels::{Labels, NAME};
use crate::store::metrics::matcher::{Matcher, Op};
use crate::store::promql::ast::{Edge, Expr, Kind, Selector, TimeShift};
use crate::store::promql::error::Error;
use crate::store::promql::value::{Grid, Sample, Series, Value};
use std::collections::HashMap;

const IDENTIFYING: [&str; 2] = ["instance", "job"];

impl Evaluator<'_> {
    pub(super) fn info_join(&mut self, args: &[Expr], grid: Grid) -> Result<Value, Error> {
        let base = self.vector(&args[0], grid)?;
        let asked: Vec<Matcher> = match args.get(1).map(|a| &a.kind) {
            Some(Kind::Selector(s)) => s.matchers.clone(),
            _ => Vec::new(),
        };
        let (mut names, data): (Vec<Matcher>, Vec<Matcher>) = asked.into_iter().partition(|m| m.name == NAME);
        if names.is_empty() {
            names.push(Matcher::equal(NAME, "target_info"));
        } else if names.iter().all(|m| matches!(m.op, Op::NotEqual | Op::NotMatch)) {
            names.extend(Matcher::new(NAME, Op::Match, ".+_info"));
        }
        let positive: Vec<&Matcher> =
            names.iter().filter(|m| matches!(m.op, Op::Equal | Op::Match)).collect();
        let is_info = |l: &Labels| names.iter().all(|m| m.matches(l.name())) && !positive.is_empty();
        let selector = Selector {
            matchers: names.iter().chain(&data).cloned().collect(),
            range: None,
            time: self.time_of_first_selector(&args[0]),
            edge: Edge::Sampled,
        };
        let infos = self.selector(&selector, grid)?;
        let native = |s: &Series| s.values.iter().any(|v| matches!(v, Sample::Histogram(_)));
        if let Some(histogram) = infos.iter().find(|s| native(s)) {
            return exec(format!("this should be an info metric, with float samples: {}", histogram.labels));
        }
        let mut by_identity: HashMap<Labels, Vec<usize>> = HashMap::new();
        for (i, s) in infos.iter().enumerate() {
            by_identity.entry(identity(&s.labels)).or_default().push(i);
        }
        let needs_data = data.iter().any(|m| !m.matches(""));
        let mut out = Vec::new();
        for s in base {
            if is_info(&s.labels) {
                out.push(s);
                continue;
            }
            let candidates = by_identity.get(&identity(&s.labels)).map_or(&[][..], Vec::as_slice);
            let mut parts: HashMap<Labels, Vec<Sample>> = HashMap::new();
            for (i, v) in s.values.iter().enumerate().filter(|(_, v)| !v.is_absent()) {
                let present: Vec<&Labels> = candidates
                    .iter()
                    .filter(|c| !infos[**c].values[i].is_absent())
                    .map(|c| &infos[*c].labels)
                    .collect();
                if present.is_empty() && needs_data {
                    continue;
                }
                let labels = enriched(&s.labels, &present, &data)?;
                parts.entry(labels).or_insert_with(|| vec![Sample::Absent; grid.len()])[i] = v.clone();
            }
            let mut parts: Vec<_> = parts.into_iter().collect();
            parts.sort_by(|a, b| a.0.cmp(&b.0));
            out.extend(parts.into_iter().map(|(labels, values)| Series {
                labels,
                drop_name: s.drop_name,
                values,
            }));
        }
        self.merged(out).map(Value::Vector)
    }

    /// The info metrics are looked up at the time at which the series themselves are.
    fn time_of_first_selector(&self, expr: &Expr) -> TimeShift {
        match &expr.bare().kind {
            Kind::Selector(s) => s.time.clone(),
            Kind::Subquery(s) => s.time.clone(),
            Kind::Call { args, .. } => {
                args.first().map_or_else(TimeShift::default, |a| self.time_of_first_selector(a))
            }
            _ => TimeShift::default(),
        }
    }
}

fn identity(labels: &Labels) -> Labels {
    labels.filter(|n| IDENTIFYING.contains(&n))
}

fn enriched(base: &Labels, infos: &[&Labels], data: &[Matcher]) -> Result<Labels, Error> {
    let mut labels = base.clone();
    let mut names: Vec<&str> = Vec::new();
    for info in infos {
        if names.contains(&info.name()) {
            return exec(format!("found duplicate series for info metric {}: {info}", info.name()));
        }
        names.push(info.name());
        for (n, v) in info.iter() {
            if n == NAME || IDENTIFYING.contains(&n) || base.get(n).is_some() {
                continue;
            }
            if !data.is_empty() && !data.iter().any(|m| m.name == n) {
                continue;
            }
            if labels.get(n).is_some_and(|other| other != v) {
                return exec(format!("conflicting label: {n}"));
            }
            labels = labels.with(n, v);
        }
    }
    Ok(labels)
}
