//! What a StatsD name becomes in Prometheus: the convention's labels, or the flat name that statsd_exporter gives.
//!
//! Pure: name, type and tags in, a family with labels out. It runs once for each new series, never for each sample.

use std::sync::Arc;
use std::time::Duration;

use sightline_instrument::wire::{self, group, label, metric, outcome};

use super::line::Kind;

/// What decides about names. Swapped as a whole on reload.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether the names of `instrument` become labels; off makes every name flat.
    pub convention: bool,
    /// First parts that make a six-part name the convention's.
    pub environments: Vec<String>,
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
    /// Name of the metric family, a valid Prometheus name.
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

/// Decides where the samples of `name` go. `tags` may hold a key twice: the last wins.
pub fn resolve(name: &str, kind: Kind, tags: &[(&str, &str)], rules: &Rules) -> Resolved {
    if rules.convention
        && let Some(resolved) = convention(name, kind, tags, rules)
    {
        return resolved;
    }
    Resolved {
        action: Action::Map,
        family: escape(name),
        labels: sorted(tags.iter().map(|&(k, v)| (escape(k), v.to_owned()))),
        observer: rules.observer.clone(),
        ttl: rules.ttl,
        scale: None,
        help: None,
        rule: Origin::Flat,
    }
}

fn convention(name: &str, kind: Kind, tags: &[(&str, &str)], rules: &Rules) -> Option<Resolved> {
    let parts = wire::Name::parse(name, |e| rules.environments.iter().any(|known| known == e))?;
    let tag = |key: &str| tags.iter().rev().find(|(k, _)| *k == key).map(|&(_, v)| v);
    let environment = parts.environment.or_else(|| tag(label::ENVIRONMENT))?;
    let host = parts.host.or_else(|| tag(label::HOST))?;

    let (family, extra) = match kind {
        Kind::Counter if parts.outcome == outcome::CALLED => (metric::CALLS, None),
        Kind::Counter => (metric::OUTCOMES, Some((label::OUTCOME, parts.outcome))),
        Kind::Timer | Kind::Histogram | Kind::Distribution if parts.outcome == outcome::TIMING => {
            (metric::TIMING, None)
        }
        Kind::Timer | Kind::Histogram | Kind::Distribution => {
            (metric::DISTRIBUTION, Some((label::MEASURE, parts.outcome)))
        }
        Kind::Gauge if parts.group == group::HEALTH && parts.outcome == outcome::STATUS => {
            (metric::HEALTH, Some((label::CHECK, parts.segment)))
        }
        Kind::Gauge if is_build_info(&parts) => {
            (metric::BUILD_INFO, Some((label::VERSION, tag(label::VERSION).unwrap_or("unknown"))))
        }
        Kind::Gauge => (metric::GAUGE, Some((label::MEASURE, parts.outcome))),
        Kind::Set => (metric::SET_SIZE, Some((label::MEASURE, parts.outcome))),
    };
    let named = [
        (label::ENVIRONMENT, environment),
        (label::HOST, host),
        (label::SERVICE, parts.service),
        (label::GROUP, parts.group),
        (label::SEGMENT, parts.segment),
    ];
    let of_tags = tags.iter().map(|&(k, v)| (escape(k), v.to_owned()));
    let of_name = named.into_iter().chain(extra).map(|(k, v)| (k.to_owned(), v.to_owned()));
    Some(Resolved {
        action: Action::Map,
        family: family.to_owned(),
        labels: sorted(of_tags.chain(of_name)),
        observer: rules.convention_observer.clone(),
        ttl: rules.ttl,
        scale: None,
        help: None,
        rule: Origin::Convention,
    })
}

fn is_build_info(parts: &wire::Name<'_>) -> bool {
    parts.group == group::PROCESS && parts.segment == "build" && parts.outcome == outcome::INFO
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
mod tests {
    use super::*;

    fn labels(resolved: &Resolved) -> Vec<(&str, &str)> {
        resolved.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
    }

    #[test]
    fn names_are_escaped_as_statsd_exporter_does() {
        let cases = [
            ("a-b", "a_b"),
            ("a---b", "a_b"),
            ("a..b", "a__b"),
            ("9lead.x", "_9lead_x"),
            ("esc.ünï", "esc__n_"),
            ("a- -b", "a___b"),
        ];
        for (name, expected) in cases {
            assert_eq!(escape(name), expected, "{name}");
        }
    }

    #[test]
    fn the_long_form_becomes_labels() {
        let r = resolve(
            "prod.server1.kittenserver.handlers.list.ok",
            Kind::Counter,
            &[("a", "1")],
            &Rules::default(),
        );
        assert_eq!(r.family, metric::OUTCOMES);
        assert_eq!(
            labels(&r),
            [
                ("a", "1"),
                ("environment", "prod"),
                ("group", "handlers"),
                ("host", "server1"),
                ("outcome", "ok"),
                ("segment", "list"),
                ("service", "kittenserver")
            ]
        );
    }

    #[test]
    fn the_short_form_needs_both_tags() {
        let tags = [("host", "h"), ("environment", "dev")];
        let with = resolve("svc.http.geo.timing", Kind::Timer, &tags, &Rules::default());
        assert_eq!((with.family.as_str(), with.rule), (metric::TIMING, Origin::Convention));
        let without = resolve("svc.http.geo.timing", Kind::Timer, &tags[..1], &Rules::default());
        assert_eq!((without.family.as_str(), without.rule), ("svc_http_geo_timing", Origin::Flat));
    }

    #[test]
    fn the_last_of_equal_tags_wins_and_the_name_wins_over_tags() {
        let r = resolve("x", Kind::Gauge, &[("k", "1"), ("k", "2")], &Rules::default());
        assert_eq!(labels(&r), [("k", "2")]);
        let r = resolve(
            "dev.h1.s.cache.get.size",
            Kind::Gauge,
            &[("host", "other"), ("measure", "m")],
            &Rules::default(),
        );
        assert!(labels(&r).contains(&("host", "h1")) && labels(&r).contains(&("measure", "size")));
    }
}
