//! What a StatsD name becomes in Prometheus: the convention's labels, or the flat name that statsd_exporter gives.
//!
//! Pure: name, type and tags in, a family with labels out. It runs once for each new series, never for each sample.

mod convention;
pub mod source;

use std::sync::Arc;
use std::time::Duration;

use sightline_instrument::wire;

use super::line::Kind;
use super::mapping::{Hit, Mapping, Slot};

/// What decides about names. Swapped as a whole on reload.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether the names of `instrument` become labels; off makes every name flat.
    pub convention: bool,
    /// First parts that make a six-part name the convention's.
    pub environments: Vec<String>,
    /// Rules of a mapping file; they come before the convention.
    pub mapping: Option<Arc<Mapping>>,
    /// How durations and distributions of flat names are kept.
    pub observer: Observer,
    /// How durations and distributions of the convention are kept.
    pub convention_observer: Observer,
    /// After which silence a series ends, where nothing else says so.
    pub ttl: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            convention: true,
            environments: wire::ENVIRONMENTS.iter().map(|&e| e.to_owned()).collect(),
            mapping: None,
            observer: Observer::default(),
            convention_observer: Observer::Histogram(Arc::default()),
            ttl: None,
        }
    }
}

/// What happens to the samples of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// They are kept as [`Resolved`] says.
    Map,
    /// A rule asked to drop them.
    Drop,
}

/// How observations (`ms`, `h`, `d`) are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Observer {
    /// Quantiles over a sliding window.
    Summary(Arc<SummaryOptions>),
    /// Cumulative buckets, classic and native.
    Histogram(Arc<HistogramOptions>),
}

impl Default for Observer {
    fn default() -> Self {
        Observer::Summary(Arc::default())
    }
}

/// Options of a summary.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryOptions {
    /// Quantiles to show, each with the rank error that is allowed.
    pub quantiles: Vec<(f64, f64)>,
    /// How long an observation counts.
    pub max_age: Duration,
    /// In how many steps old observations leave the window.
    pub age_buckets: u32,
}

impl Default for SummaryOptions {
    fn default() -> Self {
        SummaryOptions {
            quantiles: vec![(0.5, 0.05), (0.9, 0.01), (0.99, 0.001)],
            max_age: Duration::from_secs(600),
            age_buckets: 5,
        }
    }
}

/// Options of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramOptions {
    /// Upper bounds of the classic buckets, ascending, without +Inf.
    pub buckets: Vec<f64>,
    /// Growth from one native bucket to the next; at most 1 switches native buckets off.
    pub native_factor: f64,
    /// How many native buckets there may be before their resolution is halved.
    pub native_max_buckets: u32,
}

impl HistogramOptions {
    /// The buckets of Prometheus client libraries; 0.25 and 1 are the thresholds of the shipped rules.
    pub const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
}

impl Default for HistogramOptions {
    fn default() -> Self {
        HistogramOptions { buckets: Self::BUCKETS.to_vec(), native_factor: 1.1, native_max_buckets: 160 }
    }
}

/// Which rule decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The name follows the convention of `instrument`.
    Convention,
    /// No rule took it: the name flattened.
    Flat,
    /// A mapping rule, by its position in the file (from 0).
    Mapping(usize),
}

/// Where the samples of a name go.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// Keep or drop.
    pub action: Action,
    /// Name of the metric family, a valid Prometheus name; empty when a rule's captures left nothing of it.
    pub family: String,
    /// Labels by ascending key; keys are valid label names and occur once, values are verbatim.
    pub labels: Vec<(String, String)>,
    /// How observations are kept; without meaning for other types.
    pub observer: Observer,
    /// After which silence the series ends; `None` keeps it.
    pub ttl: Option<Duration>,
    /// What values are multiplied with, after milliseconds became seconds.
    pub scale: Option<f64>,
    /// HELP text of the family.
    pub help: Option<String>,
    /// Which rule decided.
    pub rule: Origin,
}

impl Rules {
    /// These rules with those of `mapping`, whose defaults then hold for every name without a rule.
    pub fn with_mapping(mut self, mapping: Arc<Mapping>) -> Self {
        self.observer = mapping.observer.clone();
        self.ttl = mapping.ttl.or(self.ttl);
        self.mapping = Some(mapping);
        self
    }
}

impl From<Kind> for Slot {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Slot::Counter,
            Kind::Gauge | Kind::Set => Slot::Gauge,
            Kind::Timer | Kind::Histogram | Kind::Distribution => Slot::Observer,
        }
    }
}

/// Decides where the samples of `name` go. `tags` may hold a key twice: the last wins.
pub fn resolve(name: &str, kind: Kind, tags: &[(&str, &str)], rules: &Rules) -> Resolved {
    if let Some(hit) = rules.mapping.as_ref().and_then(|mapping| mapping.find(name, kind.into())) {
        return mapped(hit, kind, tags);
    }
    if rules.convention
        && let Some(resolved) = convention::resolve(name, kind, tags, rules)
    {
        return resolved;
    }
    Resolved {
        action: Action::Map,
        family: escape(name),
        labels: sorted(of_tags(tags)),
        observer: rules.observer.clone(),
        ttl: rules.ttl,
        scale: None,
        help: None,
        rule: Origin::Flat,
    }
}

fn mapped(hit: Hit<'_>, kind: Kind, tags: &[(&str, &str)]) -> Resolved {
    let rule = hit.rule;
    let of_rule = hit.labels.into_iter().map(|(k, v)| (k.to_owned(), v));
    Resolved {
        // A scale below zero would turn a counter around.
        action: if rule.drop || (kind == Kind::Counter && rule.scale.is_some_and(|scale| scale < 0.0)) {
            Action::Drop
        } else {
            Action::Map
        },
        family: escape(&hit.name),
        labels: if rule.honor_labels {
            sorted(of_rule.chain(of_tags(tags)))
        } else {
            sorted(of_tags(tags).chain(of_rule))
        },
        observer: rule.observer.clone(),
        ttl: rule.ttl,
        scale: rule.scale,
        help: rule.help.clone(),
        rule: Origin::Mapping(hit.index),
    }
}

fn of_tags<'t>(tags: &'t [(&str, &str)]) -> impl Iterator<Item = (String, String)> + 't {
    tags.iter().map(|&(k, v)| (escape(k), v.to_owned()))
}

/// By key, the last of equal keys.
fn sorted(labels: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut labels: Vec<_> = labels.collect();
    labels.reverse();
    labels.sort_by(|a, b| a.0.cmp(&b.0));
    labels.dedup_by(|later, first| later.0 == first.0);
    labels
}

/// A valid metric or label name: what is not an ASCII letter, digit or `_` becomes one `_`, a run of `-` becomes
/// one `_`, and a leading digit gets `_` before it.
pub fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    let mut dashes = false;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c);
        } else if !(c == '-' && dashes) {
            out.push('_');
        }
        dashes = c == '-';
    }
    out
}

#[cfg(test)]
mod tests;
