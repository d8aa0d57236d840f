//! Rule files as Prometheus reads them: text in, groups of rules out, or what is wrong with them. Pure.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::template;
use crate::store::promql;

/// Rules that are looked at one after the other, so that one may use what those before it recorded.
#[derive(Debug, Clone)]
pub struct Group {
    /// Unique within a file.
    pub name: String,
    /// Where it was read.
    pub file: String,
    /// Milliseconds between two looks, if the file says.
    pub interval: Option<i64>,
    /// Their order counts.
    pub rules: Vec<Rule>,
}

/// A question, and what becomes of its answer.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Series or alert.
    pub kind: Kind,
    /// PromQL.
    pub expr: String,
    /// How far back it reaches, milliseconds.
    pub reach: i64,
    /// Added to what the answer carries.
    pub labels: Vec<(String, String)>,
}

/// What becomes of an answer.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A series of this name.
    Record(String),
    /// One alert for each element.
    Alert(Alert),
}

/// When an element is worth an alert, and what is said then.
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// Milliseconds that it has to be there.
    pub hold: i64,
    /// Milliseconds that it stays when it is gone.
    pub keep: i64,
    /// Texts with `{{ }}`.
    pub annotations: Vec<(String, String)>,
}

impl Rule {
    /// Name of the series or of the alert.
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::Record(name) => name,
            Kind::Alert(alert) => &alert.name,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default)]
    groups: Vec<GroupText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupText {
    name: String,
    interval: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    r#for: Option<String>,
    keep_firing_for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Reads a file.
///
/// # Errors
/// The first thing that is wrong, with the group and the rule that it is in.
pub(super) fn read(file: &str, text: &str) -> Result<Vec<Group>, String> {
    let parsed: FileText = serde_saphyr::from_str(text).map_err(|error| format!("{file}: {error}"))?;
    let mut names = HashSet::new();
    let mut groups = Vec::new();
    for group in parsed.groups {
        let within = |problem: String| format!("{file}: group {:?}: {problem}", group.name);
        if !names.insert(group.name.clone()) {
            return Err(within("there is another group of this name".to_owned()));
        }
        let interval = group.interval.as_deref().map(duration).transpose().map_err(within)?;
        let mut rules = Vec::new();
        for rule in group.rules {
            let name = rule.record.clone().or_else(|| rule.alert.clone()).unwrap_or_default();
            rules.push(
                self::rule(rule, &group.labels).map_err(|problem| within(format!("{name:?}: {problem}")))?,
            );
        }
        groups.push(Group { name: group.name, file: file.to_owned(), interval, rules });
    }
    Ok(groups)
}

fn rule(text: RuleText, shared: &BTreeMap<String, String>) -> Result<Rule, String> {
    let expr = promql::parse(&text.expr).map_err(|error| error.to_string())?;
    let mut labels = shared.clone();
    labels.extend(text.labels);
    let kind = match (text.record, text.alert) {
        (Some(name), None) => {
            if !is_metric(&name) {
                return Err("is no name of a metric".to_owned());
            }
            if text.r#for.is_some() || text.keep_firing_for.is_some() || !text.annotations.is_empty() {
                return Err("'for', 'keep_firing_for' and 'annotations' belong to alerts".to_owned());
            }
            Kind::Record(name)
        }
        (None, Some(name)) => {
            let length = |text: Option<String>| text.as_deref().map_or(Ok(0), duration);
            for text in labels.values().chain(text.annotations.values()) {
                template::check(text)?;
            }
            Kind::Alert(Alert {
                name,
                hold: length(text.r#for)?,
                keep: length(text.keep_firing_for)?,
                annotations: text.annotations.into_iter().collect(),
            })
        }
        _ => return Err("a rule has either 'record' or 'alert'".to_owned()),
    };
    Ok(Rule { kind, reach: expr.longest_range(), expr: text.expr, labels: labels.into_iter().collect() })
}

fn duration(text: &str) -> Result<i64, String> {
    promql::duration_ms(text).ok_or_else(|| format!("{text:?} is not a duration: write 30s, 5m, 1h"))
}

fn is_metric(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

#[cfg(test)]
mod tests {
    use super::{Kind, read};

    #[test]
    fn reads_records_and_alerts() {
        let text = "
groups:
  - name: g
    interval: 1m
    labels: {team: a}
    rules:
      - record: job:up:sum
        expr: sum by (job) (rate(up_total[5m]) + max_over_time(up[1d]))
        labels: {team: b}
      - alert: Down
        expr: up == 0
        for: 5m
        annotations: {summary: '{{ $labels.job }} is down'}
";
        let groups = read("f", text).unwrap();
        assert_eq!((groups[0].interval, groups[0].rules.len()), (Some(60_000), 2));
        let [record, alert] = &groups[0].rules[..] else { panic!() };
        assert_eq!((record.name(), record.reach), ("job:up:sum", 86_400_000));
        assert_eq!(record.labels, [("team".to_owned(), "b".to_owned())]);
        let Kind::Alert(alert) = &alert.kind else { panic!() };
        assert_eq!((alert.hold, alert.keep), (300_000, 0));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let one = |rule: &str| format!("groups:\n  - name: g\n    rules:\n      - {rule}\n");
        for (text, expected) in [
            (one("{record: a, expr: 'sum('}"), "group \"g\": \"a\""),
            (one("{record: a-b, expr: '1'}"), "no name of a metric"),
            (one("{record: a, alert: b, expr: '1'}"), "either 'record' or 'alert'"),
            (one("{expr: '1'}"), "either 'record' or 'alert'"),
            (one("{record: a, expr: '1', for: 5m}"), "belong to alerts"),
            (one("{alert: a, expr: '1', for: soon}"), "\"soon\" is not a duration"),
            (one("{alert: a, expr: '1', annotations: {s: '{{ $value | shout }}'}}"), "shout"),
            (one("{alert: a, exprs: '1'}"), "exprs"),
            ("groups: [{name: g}, {name: g}]".to_owned(), "another group of this name"),
            ("groups: [".to_owned(), "f: "),
        ] {
            let error = read("f", &text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
