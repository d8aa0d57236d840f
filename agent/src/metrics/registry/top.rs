//! Which metrics have the most series, and which of their labels is to blame.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use super::Registry;
use super::series::read_labels;

/// One metric with many series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offender {
    /// Its name.
    pub metric: String,
    /// How many series it has.
    pub series: usize,
    /// How many times its budget turned a new series away.
    pub folded: u64,
    /// Each label with its number of different values, the most first.
    pub labels: Vec<(String, usize)>,
}

impl Registry {
    /// The `n` metrics with the most series, those that were turned away counted in.
    pub fn top(&self, n: usize) -> Vec<Offender> {
        let mut families: Vec<_> = self
            .all_families()
            .into_iter()
            .map(|family| {
                let series = family.series.lock().len();
                (family.folded.load(Relaxed), series, family)
            })
            .collect();
        families.sort_by(|a, b| {
            (b.0 + b.1 as u64).cmp(&(a.0 + a.1 as u64)).then_with(|| a.2.name.cmp(&b.2.name))
        });
        families.truncate(n);
        let offender = |(folded, series, family): (u64, usize, std::sync::Arc<super::Family>)| {
            let mut values: BTreeMap<String, HashSet<String>> = BTreeMap::new();
            for series in family.series.lock().iter() {
                for (key, value) in read_labels(&series.0.labels) {
                    match values.get_mut(key) {
                        Some(seen) => {
                            if !seen.contains(value) {
                                seen.insert(value.to_owned());
                            }
                        }
                        None => {
                            values.insert(key.to_owned(), HashSet::from([value.to_owned()]));
                        }
                    }
                }
            }
            let mut labels: Vec<(String, usize)> = values.into_iter().map(|(k, v)| (k, v.len())).collect();
            labels.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            Offender { metric: family.name.to_string(), series, folded, labels }
        };
        families.into_iter().map(offender).collect()
    }
}
