//! Which metrics have the most series or get the most samples, and which of their labels is to blame.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};

use super::Registry;
use super::family::Family;
use super::series::{read_labels, unescape};

/// The pace is measured over at least so many seconds.
const PACE: u64 = 10;

/// What the registry holds and who fills it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Top {
    /// Series there are.
    pub series: usize,
    /// Series there may be.
    pub series_limit: usize,
    /// Series one metric may have.
    pub series_per_metric_limit: usize,
    /// Bytes that series take, by estimate.
    pub bytes: usize,
    /// Bytes that series may take.
    pub bytes_limit: u64,
    /// Metrics there are.
    pub metrics: usize,
    /// The worst of them.
    pub top: Vec<Offender>,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offender {
    /// Its name.
    pub metric: String,
    /// `counter`, `gauge`, `histogram` or `summary`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many series it has.
    pub series: usize,
    /// How many times its budget turned a new series away.
    pub folded: u64,
    /// Samples since the start.
    pub samples: u64,
    /// Samples a second, over the last quarter of a minute or so.
    pub samples_per_second: f64,
    /// Its labels, the one with the most different values first.
    pub labels: Vec<Spread>,
}

/// How many values a label has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// The label.
    pub label: String,
    /// Different values of it.
    pub values: usize,
    /// The value that most series have.
    #[serde(default)]
    pub most: String,
    /// How many series have that one.
    #[serde(default)]
    pub most_series: usize,
}

/// The values of a label as they are counted.
#[derive(Default)]
struct Values {
    /// By hash: the texts of a million of them would take more memory than the answer is worth.
    series: HashMap<u64, usize>,
    most: String,
    most_series: usize,
}

impl Values {
    fn add(&mut self, value: &str) {
        let series = self.series.entry(rapidhash::v3::rapidhash_v3(value.as_bytes())).or_default();
        *series += 1;
        if *series > self.most_series {
            self.most_series = *series;
            if self.most != value {
                value.clone_into(&mut self.most);
            }
        }
    }
}

/// What makes a metric bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Many series, those that were turned away counted in.
    #[default]
    Series,
    /// Many samples a second, and among equals many samples.
    Samples,
}

impl Registry {
    /// The `n` worst metrics, and how full the registry is.
    pub fn top(&self, n: usize, order: Order) -> Top {
        let mut families: Vec<_> = self
            .all_families()
            .into_iter()
            .map(|family| {
                let series = family.series.lock().len();
                let weight = match order {
                    Order::Series => (series as f64 + family.folded.load(Relaxed) as f64, 0),
                    Order::Samples => (per_second(&family), family.samples.load(Relaxed)),
                };
                (weight, series, family)
            })
            .collect();
        let metrics = families.len();
        // Equals stay in the order of their names.
        families.sort_by(|((a, a2), ..), ((b, b2), ..)| b.total_cmp(a).then(b2.cmp(a2)));
        families.truncate(n);
        Top {
            series: self.len(),
            series_limit: self.budget.series,
            series_per_metric_limit: self.budget.series_per_metric,
            bytes: self.bytes.load(Relaxed),
            bytes_limit: self.budget.memory.0,
            metrics,
            top: families.into_iter().map(|(_, series, family)| offender(&family, series)).collect(),
        }
    }

    /// Takes the samples of each series into the account of its metric, unless that was done a moment ago.
    pub(super) fn measure_pace(&self, now: u64) {
        let before = self.paced.load(Relaxed);
        let seconds = now.saturating_sub(before);
        if seconds < PACE && before <= now {
            return;
        }
        self.paced.store(now, Relaxed);
        for family in self.all_families() {
            let mut samples = 0;
            for series in family.series.lock().iter() {
                samples += u64::from(series.0.take_updates());
            }
            family.samples.fetch_add(samples, Relaxed);
            // The first round does not know since when.
            let pace = if before == 0 { 0.0 } else { samples as f32 / seconds.max(1) as f32 };
            family.per_second.store(pace.to_bits(), Relaxed);
        }
    }
}

fn per_second(family: &Family) -> f64 {
    f64::from(f32::from_bits(family.per_second.load(Relaxed)))
}

fn offender(family: &Family, series: usize) -> Offender {
    let mut values: BTreeMap<String, Values> = BTreeMap::new();
    for series in family.series.lock().iter() {
        for (key, value) in read_labels(&series.0.labels) {
            match values.get_mut(key) {
                Some(seen) => seen.add(value),
                None => values.entry(key.to_owned()).or_default().add(value),
            }
        }
    }
    let spread = |(label, seen): (String, Values)| Spread {
        label,
        values: seen.series.len(),
        most: unescape(&seen.most).into_owned(),
        most_series: seen.most_series,
    };
    let mut labels: Vec<Spread> = values.into_iter().map(spread).collect();
    labels.sort_by(|a, b| b.values.cmp(&a.values).then_with(|| a.label.cmp(&b.label)));
    Offender {
        metric: family.name.to_string(),
        kind: family.shape.type_word().to_owned(),
        series,
        folded: family.folded.load(Relaxed),
        samples: family.samples.load(Relaxed),
        samples_per_second: per_second(family),
        labels,
    }
}
