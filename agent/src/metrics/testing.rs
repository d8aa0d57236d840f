//! Tests of mappings that stand in the configuration: StatsD lines in, series out.
//!
//! `sightline test` runs them through the very parser, rules and registry that the agent runs.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::exposition::{Exposition, Sample};
use super::naming::Rules;
use super::registry::Registry;
use super::render::{self, Format};
use super::settings::Settings;
use super::tally::Batch;

/// One test: `tests.metrics[…]`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// What it shows, for the report.
    pub name: String,
    /// StatsD lines, each as it would arrive.
    pub input: Vec<String>,
    /// Series that must come out with their values, as `/metrics` shows them: `hits_total{site="a"} 3`.
    pub expect: Vec<String>,
    /// Metrics or series that must not come out: `hits_total`, `hits_total{site="b"}`.
    pub absent: Vec<String>,
    /// Whether nothing beyond `expect` may come out.
    pub complete: bool,
}

/// How all tests went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// One for each test, in order.
    pub outcomes: Vec<Outcome>,
}

/// How one test went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What was not as expected; empty if it passed.
    pub failures: Vec<String>,
}

/// Some moment; tests do not depend on which.
const NOW: u64 = 1_700_000_000;

/// Runs `cases` under `settings` and `rules`.
pub fn run(settings: &Settings, rules: &Rules, cases: &[Case]) -> Report {
    let outcome = |(index, case): (usize, &Case)| Outcome {
        name: if case.name.is_empty() { format!("metrics test {}", index + 1) } else { case.name.clone() },
        failures: failures(settings, rules, case),
    };
    Report { outcomes: cases.iter().enumerate().map(outcome).collect() }
}

/// Runs `cases` and writes the report. False if a test did not pass.
pub fn main(
    settings: &Settings,
    rules: &Rules,
    cases: &[Case],
    out: &mut impl std::io::Write,
) -> std::io::Result<bool> {
    let report = run(settings, rules, cases);
    write!(out, "{report}")?;
    Ok(report.failed() == 0)
}

fn failures(settings: &Settings, rules: &Rules, case: &Case) -> Vec<String> {
    let registry = Arc::new(Registry::new(settings, rules.clone(), &[]));
    let mut batch = Batch::default();
    for line in &case.input {
        registry.ingest(line.as_bytes(), NOW, &mut batch);
    }
    let text = render::to_string(&registry, Format::Text, NOW);
    let found = match Exposition::parse(&text) {
        Ok(found) => found.samples,
        Err(error) => return vec![format!("the exposition is not readable: {error}")],
    };
    let mut failures = Vec::new();
    let mut expected = Vec::new();
    for line in &case.expect {
        match Sample::parse(line.trim()) {
            Ok(sample) => {
                failures.extend(missing(&sample, &found));
                expected.push(sample);
            }
            Err(reason) => failures.push(format!("cannot read '{line}': {reason}")),
        }
    }
    for line in &case.absent {
        // A metric stands alone, a series with its labels; neither has a value.
        match Sample::parse(&format!("{} 0", line.trim())) {
            Ok(unwanted) => {
                let is_it = |s: &&Sample| {
                    s.name == unwanted.name && (unwanted.labels.is_empty() || s.labels == unwanted.labels)
                };
                failures.extend(found.iter().find(is_it).map(|s| format!("unwanted: {s}")));
            }
            Err(reason) => failures.push(format!("cannot read '{line}': {reason}")),
        }
    }
    if case.complete {
        let known = |s: &Sample| expected.iter().any(|e| e.name == s.name && e.labels == s.labels);
        failures.extend(found.iter().filter(|s| !known(s)).map(|s| format!("not expected: {s}")));
    }
    if !failures.is_empty() && batch.refused.iter().sum::<u64>() > 0 {
        failures.push("some of the input was refused as malformed".to_owned());
    }
    failures
}

fn missing(wanted: &Sample, found: &[Sample]) -> Option<String> {
    let same_name = || found.iter().filter(|s| s.name == wanted.name);
    match same_name().find(|s| s.labels == wanted.labels) {
        Some(sample) if same(sample.value, wanted.value) => None,
        Some(sample) => Some(format!("expected {wanted}, found {}", sample.value)),
        None => {
            let others: Vec<String> = same_name().take(3).map(Sample::series).collect();
            Some(match others.as_slice() {
                [] => format!("expected {wanted}, found no such metric"),
                others => format!("expected {wanted}, found {}", others.join(", ")),
            })
        }
    }
}

/// Equal but for what decimal notation costs.
pub fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

impl Report {
    /// How many tests did not pass.
    pub fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| !outcome.failures.is_empty()).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Outcome { name, failures } in &self.outcomes {
            writeln!(f, "{} {name}", if failures.is_empty() { "ok    " } else { "FAILED" })?;
            for failure in failures {
                writeln!(f, "         {failure}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use super::{Case, main};
    use crate::metrics::mapping::Mapping;
    use crate::metrics::naming::Rules;
    use crate::metrics::settings::Settings;

    #[test]
    fn a_report_says_what_differs() {
        let mapping = "mappings: [{match: web.*.hits, name: hits_total, labels: {site: $1}}]";
        let rules = Rules::default().with_mapping(Arc::new(Mapping::parse("m", mapping).unwrap()));
        let cases: Vec<Case> = serde_saphyr::from_str(
            r#"
- name: captures become labels
  input: ["web.a.hits:1|c", "web.a.hits:2|c|@0.5"]
  expect: ['hits_total{site="a"} 5']
  absent: [web_a_hits]
  complete: true
- name: a wrong value, a wrong label, a wrong name
  input: ["web.a.hits:1|c"]
  expect: ['hits_total{site="a"} 2', 'hits_total{site="b"} 1', "other 1"]
- input: ["web.a.hits:1|c", "left:1|g", "broken"]
  expect: ["1x 1"]
  absent: [left, 'hits_total{site="z"}']
  complete: true
"#,
        )
        .unwrap();
        let mut out = Vec::new();
        assert!(!main(&Settings::default(), &rules, &cases, &mut out).unwrap());
        assert!(main(&Settings::default(), &rules, &cases[..1], &mut Vec::new()).unwrap());
        expect![[r#"
            ok     captures become labels
            FAILED a wrong value, a wrong label, a wrong name
                     expected hits_total{site="a"} 2, found 1
                     expected hits_total{site="b"} 1, found hits_total{site="a"}
                     expected other 1, found no such metric
            FAILED metrics test 3
                     cannot read '1x 1': this is no metric name
                     unwanted: left 1
                     not expected: hits_total{site="a"} 1
                     not expected: left 1
                     some of the input was refused as malformed
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }
}
