//! `absent` and `absent_over_time`: one where a selector finds nothing, labelled by what it asked for.
use super::Evaluator;
use crate::store::metrics::labels::{Labels, NAME};
use crate::store::metrics::matcher::Op;
use crate::store::promql::ast::{Expr, Kind};
use crate::store::promql::error::Error;
use crate::store::promql::value::{Grid, Sample, Series, Value};

impl Evaluator<'_> {
    pub(super) fn absent(&mut self, name: &str, arg: &Expr, grid: Grid) -> Result<Value, Error> {
        let mut values = vec![Sample::Float(1.0); grid.len()];
        if name == "absent" {
            for s in self.vector(arg, grid)? {
                for (out, _) in values.iter_mut().zip(&s.values).filter(|(_, v)| !v.is_absent()) {
                    *out = Sample::Absent;
                }
            }
        } else {
            self.each_range(arg, grid, "present_over_time", &mut |_, shape, _, _, samples| {
                for (i, out) in values.iter_mut().enumerate() {
                    let end = shape.end(grid.time(i));
                    let until = samples.times.partition_point(|t| *t <= end);
                    if until > 0 && samples.times[until - 1] > end - shape.range {
                        *out = Sample::Absent;
                    }
                }
                Ok(())
            })?;
        }
        Ok(Value::Vector(vec![Series { labels: asked(arg), drop_name: false, values }]))
    }
}

/// The labels that a selector pins to one value.
fn asked(arg: &Expr) -> Labels {
    let Kind::Selector(s) = &arg.bare().kind else { return Labels::default() };
    let pinned = s.matchers.iter().filter(|m| {
        m.op == Op::Equal && m.name != NAME && s.matchers.iter().filter(|o| o.name == m.name).count() == 1
    });
    Labels::new(pinned.map(|m| (m.name.as_str(), m.value.as_str())))
}
