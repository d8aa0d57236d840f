//! The sum and the mean of many histograms; what is small is not lost beside what is large.
use super::histogram::{Buckets, Hint, Histogram, Incompatible, Merged, joint_hint};
use super::histogram_align::aligned;
use super::math::{Sum, average};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Buckets of a table of sums.
const DENSE: usize = 4096;

/// The sum, or the mean, of at least one histogram, in the finest layout that all of them have.
pub(crate) fn total(list: &[&Arc<Histogram>], mean: bool) -> Result<(Histogram, Merged), Incompatible> {
    let has = |hint| list.iter().any(|h| h.hint == hint);
    let mut merged =
        Merged { hints_collided: has(Hint::Reset) && has(Hint::NotReset), bounds_reconciled: false };
    let mut out = list[0].as_ref().clone();
    if list.len() == 1 {
        return Ok((out, merged));
    }
    if !mean && list.iter().all(|h| h.same_layout(&out)) {
        let hint = list[1..].iter().fold(out.hint, |hint, h| joint_hint(hint, h.hint).0);
        let all = |of: fn(&Histogram) -> f64| reduce(list.iter().map(|h| of(h)).collect(), false);
        let (count, sum, zero_count) = (all(|h| h.count), all(|h| h.sum), all(|h| h.zero_count));
        if let (Some(positive), Some(negative)) = (dense(list, |h| &h.positive), dense(list, |h| &h.negative))
        {
            return Ok((Histogram { hint, count, sum, zero_count, positive, negative, ..out }, merged));
        }
    }
    // Adding finds the layout; its numbers are only as good as plain additions are.
    for h in &list[1..] {
        let (sum, one) = out.add(h)?;
        merged.bounds_reconciled |= one.bounds_reconciled;
        out = Histogram { hint: joint_hint(out.hint, h.hint).0, ..sum };
    }
    let mut parts = Vec::with_capacity(list.len());
    for h in list {
        parts.push(aligned(h, &out)?.0);
    }
    let all = |of: fn(&Histogram) -> f64| reduce(parts.iter().map(of).collect(), mean);
    (out.count, out.sum, out.zero_count) = (all(|h| h.count), all(|h| h.sum), all(|h| h.zero_count));
    out.positive = buckets(&parts, |h| &h.positive, mean);
    out.negative = buckets(&parts, |h| &h.negative, mean);
    Ok((out, merged))
}

/// The sums of buckets that lie close together; none if a table of them would be long.
fn dense(list: &[&Arc<Histogram>], of: fn(&Histogram) -> &Buckets) -> Option<Buckets> {
    let filled = || list.iter().map(|h| of(h)).filter(|b| !b.is_empty());
    let Some(least) = filled().map(|b| b[0].0).min() else { return Some(Buckets::new()) };
    let most = filled().map(|b| b[b.len() - 1].0).max()?;
    let width = usize::try_from(i64::from(most) - i64::from(least) + 1).ok().filter(|w| *w <= DENSE)?;
    let mut sums = vec![Sum::default(); width];
    for (at, count) in filled().flatten() {
        sums[(at - least) as usize].add(*count);
    }
    let values = sums.iter().enumerate().map(|(i, sum)| (least + i as i32, sum.value()));
    Some(values.filter(|(_, count)| *count != 0.0).collect())
}

fn buckets(parts: &[Histogram], of: fn(&Histogram) -> &Buckets, mean: bool) -> Buckets {
    let mut columns: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
    for (at, part) in parts.iter().enumerate() {
        for (index, count) in of(part) {
            columns.entry(*index).or_insert_with(|| vec![0.0; parts.len()])[at] = *count;
        }
    }
    let reduced = columns.into_iter().map(|(index, values)| (index, reduce(values, mean)));
    reduced.filter(|(_, count)| *count != 0.0).collect()
}

fn reduce(values: Vec<f64>, mean: bool) -> f64 {
    if mean {
        return average(&values);
    }
    let mut sum = Sum::default();
    values.iter().for_each(|v| sum.add(*v));
    sum.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_sum_survives_large_ones_that_cancel_out() {
        let of =
            |sum| Arc::new(Histogram { sum, count: 1.0, positive: vec![(0, 1.0)], ..Histogram::default() });
        let list = [of(0.5), of(1e100), of(-1e100)];
        let (h, _) = total(&list.iter().collect::<Vec<_>>(), false).unwrap();
        assert_eq!((h.sum, h.count, &h.positive[..]), (0.5, 3.0, &[(0, 3.0)][..]));
        let (h, _) = total(&list.iter().collect::<Vec<_>>(), true).unwrap();
        assert_eq!((h.count, &h.positive[..]), (1.0, &[(0, 1.0)][..]));
    }
}
