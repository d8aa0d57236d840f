//! Small building blocks of PromQL, so that a metric's or a label's name is never typed in a query.

use std::fmt;

use sightline_instrument::wire::{group, label, metric, outcome};

use crate::names::agent;

/// The range that Grafana, and our own page, fit to the panel's step.
pub const STEP: &str = "$__rate_interval";

/// A metric with its label matchers.
#[derive(Debug, Clone)]
pub struct Select {
    metric: String,
    matchers: Vec<String>,
}

impl Select {
    /// Every series of `metric`.
    pub fn of(metric: &str) -> Self {
        Select { metric: metric.to_owned(), matchers: Vec::new() }
    }

    /// The series of `metric` that the dashboard's variables choose.
    pub fn chosen(metric: &str) -> Self {
        Self::of(metric).re(label::ENVIRONMENT, "$environment").re(label::SERVICE, "$service")
    }

    /// `label="value"`
    pub fn eq(self, label: &str, value: &str) -> Self {
        self.matcher(label, "=", value)
    }

    /// `label!="value"`
    pub fn ne(self, label: &str, value: &str) -> Self {
        self.matcher(label, "!=", value)
    }

    /// `label=~"value"`
    pub fn re(self, label: &str, value: &str) -> Self {
        self.matcher(label, "=~", value)
    }

    fn matcher(mut self, label: &str, operator: &str, value: &str) -> Self {
        self.matchers.push(format!("{label}{operator}\"{value}\""));
        self
    }

    /// What the agent lost, without what a rule or a sampler was told to leave out.
    pub fn lost() -> Self {
        Self::of(agent::DROPPED).matcher("reason", "!~", "rule|mapping_rule|sampled")
    }

    /// Requests only.
    pub fn handlers(self) -> Self {
        self.eq(label::GROUP, group::HANDLERS)
    }

    /// What leaves the process: every group without a meaning of its own.
    pub fn dependencies(self) -> Self {
        let own = [group::HANDLERS, group::AUTH, group::HEALTH, group::PROCESS, group::VALIDATION];
        self.matcher(label::GROUP, "!~", &own.join("|"))
    }

    /// Outcomes that count as errors.
    pub fn errors(self) -> Self {
        self.re(label::OUTCOME, &outcome::ERRORS.join("|"))
    }

    /// `rate(…[window])`
    pub fn rate(&self, window: &str) -> String {
        format!("rate({self}[{window}])")
    }

    /// `increase(…[window])`
    pub fn increase(&self, window: &str) -> String {
        format!("increase({self}[{window}])")
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        if !self.matchers.is_empty() {
            write!(f, "{{{}}}", self.matchers.join(","))?;
        }
        Ok(())
    }
}

/// `sum by (labels) (expr)`; without labels, `sum(expr)`.
pub fn sum(by: &[&str], expr: &str) -> String {
    aggregate("sum", by, expr)
}

/// `max by (labels) (expr)`
pub fn max(by: &[&str], expr: &str) -> String {
    aggregate("max", by, expr)
}

/// `min by (labels) (expr)`
pub fn min(by: &[&str], expr: &str) -> String {
    aggregate("min", by, expr)
}

fn aggregate(function: &str, by: &[&str], expr: &str) -> String {
    if by.is_empty() {
        format!("{function}({expr})")
    } else {
        format!("{function} by ({}) ({expr})", by.join(", "))
    }
}

/// Errors ÷ all outcomes over `window`: 0, not absent, while nothing has failed.
pub fn error_ratio(by: &[&str], outcomes: &Select, window: &str) -> String {
    let all = sum(by, &outcomes.rate(window));
    let errors = sum(by, &outcomes.clone().errors().rate(window));
    format!("({errors} or 0 * {all}) / ({all} > 0)")
}

/// A quantile of the timing that `timing` selects.
pub fn quantile(q: &str, by: &[&str], timing: &Select, window: &str) -> String {
    let buckets = bucket(timing);
    let labels: Vec<&str> = by.iter().copied().chain(["le"]).collect();
    format!("histogram_quantile({q}, {})", sum(&labels, &buckets.rate(window)))
}

/// The `_bucket` series of a histogram's selector.
pub fn bucket(histogram: &Select) -> Select {
    suffixed(histogram, "_bucket")
}

/// The `_count` series of a histogram's selector.
pub fn count(histogram: &Select) -> Select {
    suffixed(histogram, "_count")
}

/// The `_sum` series of a histogram's selector.
pub fn total(histogram: &Select) -> Select {
    suffixed(histogram, "_sum")
}

fn suffixed(histogram: &Select, suffix: &str) -> Select {
    Select { metric: format!("{}{suffix}", histogram.metric), matchers: histogram.matchers.clone() }
}

/// The outcomes chosen on the dashboard.
pub fn outcomes() -> Select {
    Select::chosen(metric::OUTCOMES)
}

/// The timings chosen on the dashboard.
pub fn timing() -> Select {
    Select::chosen(metric::TIMING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_the_queries_that_people_would_write() {
        assert_eq!(
            sum(&["segment"], &outcomes().handlers().rate(STEP)),
            r#"sum by (segment) (rate(instrument_outcomes_total{environment=~"$environment",service=~"$service",group="handlers"}[$__rate_interval]))"#
        );
        assert_eq!(
            quantile("0.99", &[], &Select::of("t"), "5m"),
            "histogram_quantile(0.99, sum by (le) (rate(t_bucket[5m])))"
        );
        assert_eq!(
            error_ratio(&[], &Select::of("o"), "5m"),
            r#"(sum(rate(o{outcome=~"failed|error|panic"}[5m])) or 0 * sum(rate(o[5m]))) / (sum(rate(o[5m])) > 0)"#
        );
    }
}
