//! A mapping file as it was typed: statsd_exporter's YAML, key for key, strict about keys it does not know.
//!
//! Nothing is judged here; `check` turns this into rules or says what is wrong with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

/// A whole mapping file, or the same two keys inside the agent's configuration.
#[derive(Debug, Clone, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// What holds where a rule says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// The rules, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mappings: Option<Vec<Entry>>,
}

/// A text and where it stands in the file.
pub type Placed = Spanned<String>;

/// `defaults`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// `summary` (the default) or `histogram`: how `ms`, `h` and `d` are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub observer_type: Option<Placed>,
    /// The old spelling of `observer_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timer_type: Option<Placed>,
    /// `glob` (the default) or `regex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub match_type: Option<Placed>,
    /// Takes the most literal glob instead of the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glob_disable_ordering: Option<bool>,
    /// After which silence a series ends; 0 never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub ttl: Option<Placed>,
    /// Options of summaries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_options: Option<Summary>,
    /// Options of histograms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histogram_options: Option<Histogram>,
    /// The old place of `summary_options.quantiles`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<Quantile>>")]
    pub quantiles: Option<Spanned<Vec<Quantile>>>,
    /// The old place of `histogram_options.buckets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<f64>>")]
    pub buckets: Option<Spanned<Vec<f64>>>,
}

/// One rule.
#[derive(Debug, Clone, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Entry {
    /// The glob or regular expression that a StatsD name must match.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub matches: Option<Placed>,
    /// The metric's name; `$1` or `${1}` stand for captures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub name: Option<Placed>,
    /// Labels to set, with captures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, Option<String>>>")]
    pub labels: Option<Spanned<BTreeMap<String, Option<String>>>>,
    /// Lets a tag win over a label of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honor_labels: Option<bool>,
    /// `summary` or `histogram`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub observer_type: Option<Placed>,
    /// The old spelling of `observer_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timer_type: Option<Placed>,
    /// `glob` or `regex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub match_type: Option<Placed>,
    /// HELP text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// `map` (the default) or `drop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub action: Option<Placed>,
    /// `counter`, `gauge` or `observer`; all types when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub match_metric_type: Option<Placed>,
    /// After which silence a series ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub ttl: Option<Placed>,
    /// Options of a summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_options: Option<Summary>,
    /// Options of a histogram.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histogram_options: Option<Histogram>,
    /// The old place of `summary_options.quantiles`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<Quantile>>")]
    pub quantiles: Option<Spanned<Vec<Quantile>>>,
    /// The old place of `histogram_options.buckets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<f64>>")]
    pub buckets: Option<Spanned<Vec<f64>>>,
    /// What values are multiplied with, after milliseconds became seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
}

/// `summary_options`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Summary {
    /// Which quantiles to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Vec<Quantile>>,
    /// How long an observation counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_age: Option<Placed>,
    /// In how many steps old observations leave the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_buckets: Option<u32>,
    /// Accepted for compatibility; this program's summaries have no such buffer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buf_cap: Option<u32>,
}

/// One of `quantiles`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quantile {
    /// 0 to 1.
    pub quantile: f64,
    /// The rank error that is allowed.
    pub error: f64,
}

/// `histogram_options`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Histogram {
    /// Upper bounds, ascending.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<f64>>")]
    pub buckets: Option<Spanned<Vec<f64>>>,
    /// Growth from one native bucket to the next; 0 takes the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_histogram_bucket_factor: Option<f64>,
    /// How many native buckets there may be; 0 takes the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_histogram_max_buckets: Option<u32>,
}
