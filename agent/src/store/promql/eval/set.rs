//! `and`, `or`, `unless`: which series stay, by the labels of the other side.
use super::Evaluator;
use super::binary::Signatures;
use crate::store::promql::ast::{BinOp, Binary};
use crate::store::promql::error::Error;
use crate::store::promql::value::{Grid, Sample, Series};

impl Evaluator<'_> {
    pub(super) fn set(
        &mut self,
        b: &Binary,
        mut lhs: Vec<Series>,
        mut rhs: Vec<Series>,
        grid: Grid,
    ) -> Result<Vec<Series>, Error> {
        let mut signatures = Signatures::default();
        let left: Vec<usize> = lhs.iter().map(|s| signatures.id(&s.labels, &b.matching)).collect();
        let right: Vec<usize> = rhs.iter().map(|s| signatures.id(&s.labels, &b.matching)).collect();
        let mut present = vec![false; signatures.count()];
        for i in 0..grid.len() {
            present.fill(false);
            // `or` asks what is on the left, the others what is on the right.
            let (ids, asked) = if b.op == BinOp::Or { (&left, &lhs) } else { (&right, &rhs) };
            for (s, id) in asked.iter().zip(ids) {
                present[*id] |= !s.values[i].is_absent();
            }
            let (ids, kept) = if b.op == BinOp::Or { (&right, &mut rhs) } else { (&left, &mut lhs) };
            let keep_present = b.op == BinOp::And;
            for (s, id) in kept.iter_mut().zip(ids) {
                if present[*id] != keep_present {
                    s.values[i] = Sample::Absent;
                }
            }
        }
        if b.op == BinOp::Or {
            lhs.extend(rhs);
        }
        lhs.retain(|s| s.values.iter().any(|v| !v.is_absent()));
        self.merged(lhs)
    }
}
