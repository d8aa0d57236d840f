//! Traces behind samples: a few of each series, bounded over all.
use super::labels::Labels;
use super::matcher::Matcher;
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Labels of its own, `trace_id` above all.
    pub labels: Labels,
    pub value: f64,
    /// Milliseconds since 1970.
    pub time: i64,
}

/// The newest of one series.
const EACH: usize = 100;

pub(crate) struct Exemplars {
    series: BTreeMap<Labels, VecDeque<Exemplar>>,
    /// The order of arrival, so that the oldest of all can go.
    order: VecDeque<Labels>,
    max: usize,
    /// The newest that the bound has pushed out: what is no newer does not come back when it is offered again.
    forgotten: i64,
}

impl Exemplars {
    pub(crate) fn new(max: usize) -> Self {
        Exemplars { series: BTreeMap::new(), order: VecDeque::new(), max, forgotten: i64::MIN }
    }

    pub(crate) fn add(&mut self, series: Labels, exemplar: Exemplar) {
        if self.max == 0 || exemplar.time <= self.forgotten {
            return;
        }
        let list = self.series.entry(series.clone()).or_default();
        if list.back() == Some(&exemplar) {
            return;
        }
        let full = list.len() >= EACH;
        list.push_back(exemplar);
        if full {
            list.pop_front();
            return;
        }
        self.order.push_back(series);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
            && let Some(list) = self.series.get_mut(&oldest)
        {
            if let Some(gone) = list.pop_front() {
                self.forgotten = self.forgotten.max(gone.time);
            }
            if list.is_empty() {
                self.series.remove(&oldest);
            }
        }
    }

    pub(crate) fn select(&self, matchers: &[Matcher], from: i64, to: i64) -> Vec<(Labels, Vec<Exemplar>)> {
        let fitting = self.series.iter().filter(|(l, _)| matchers.iter().all(|m| m.matches_labels(l)));
        let rows = fitting.map(|(l, list)| {
            let mut within: Vec<Exemplar> =
                list.iter().filter(|e| e.time >= from && e.time <= to).cloned().collect();
            within.sort_by_key(|e| e.time);
            (l.clone(), within)
        });
        rows.filter(|(_, list)| !list.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way() {
        let mut all = Exemplars::new(2);
        let exemplar = |time| Exemplar { labels: Labels::default(), value: 1.0, time };
        for (name, time) in [("a", 1), ("b", 2), ("a", 3)] {
            all.add(Labels::new([("__name__", name)]), exemplar(time));
        }
        let found = all.select(&[Matcher::equal("__name__", "a")], 0, 10);
        assert_eq!(found[0].1, [exemplar(3)]);
        assert_eq!(all.select(&[Matcher::equal("__name__", "b")], 0, 1), []);
        all.add(Labels::new([("__name__", "a")]), exemplar(1));
        assert_eq!(all.select(&[Matcher::equal("__name__", "a")], 0, 10)[0].1, [exemplar(3)]);
    }
}
