//! From the answers of an alert's question to what is pending and what fires. Pure; time is passed in.

use std::collections::HashMap;

use super::file::Rule;
use super::{file, template};
use crate::store::metrics::labels::{Labels, NAME};

/// The name of the series that says which alerts there are.
const ALERTS: &str = "ALERTS";
/// The name of the series that says since when, in seconds: what a restart goes on from.
pub(super) const SINCE: &str = "ALERTS_FOR_STATE";

/// One element of an answer that is worth an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    /// The element's labels, the rule's, and the alert's name.
    pub labels: Labels,
    /// Texts, filled in.
    pub annotations: Vec<(String, String)>,
    /// Since when it is there, milliseconds.
    pub since: i64,
    /// True when it has been there for as long as the rule wants.
    pub firing: bool,
    /// What the question gave.
    pub value: f64,
    /// When it was there last.
    seen: i64,
}

/// The alerts of one rule.
#[derive(Debug, Default)]
pub(super) struct Alerts(HashMap<Labels, Active>);

impl Alerts {
    /// Takes an answer. `waited` says how long an alert that is new here had waited before a restart, in milliseconds.
    /// Returns how many began to fire.
    pub(super) fn step(
        &mut self,
        rule: &Rule,
        alert: &file::Alert,
        now: i64,
        answer: Vec<(Labels, f64)>,
        waited: impl Fn(&Labels) -> i64,
    ) -> u64 {
        let mut began = 0;
        for (element, value) in answer {
            let element = element.without_name();
            let fill = |text: &str| template::fill(text, &element, value).unwrap_or_else(|problem| problem);
            let mut labels = element.clone();
            for (name, text) in &rule.labels {
                labels = labels.with(name, &fill(text));
            }
            let labels = labels.with("alertname", &alert.name);
            let active = self.0.entry(labels.clone()).or_insert_with(|| Active {
                annotations: Vec::new(),
                since: now - waited(&labels),
                labels,
                firing: false,
                value,
                seen: now,
            });
            active.value = value;
            active.seen = now;
            active.annotations =
                alert.annotations.iter().map(|(name, text)| (name.clone(), fill(text))).collect();
            if !active.firing && now - active.since >= alert.hold {
                active.firing = true;
                began += 1;
            }
        }
        // What fired may be told to stay for a while; what was only pending is gone at once.
        self.0.retain(|_, active| active.seen == now || (active.firing && now - active.seen < alert.keep));
        began
    }

    /// In the order of their labels.
    pub(super) fn all(&self) -> Vec<Active> {
        let mut all: Vec<Active> = self.0.values().cloned().collect();
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        all
    }

    /// The series by which queries see them.
    pub(super) fn series(&self) -> impl Iterator<Item = (Labels, f64)> {
        self.0.values().flat_map(|active| {
            let shown = active.labels.with("alertstate", active.state()).with(NAME, ALERTS);
            [(shown, 1.0), (active.labels.with(NAME, SINCE), active.since as f64 / 1000.0)]
        })
    }
}

impl Active {
    /// As Prometheus says it.
    pub fn state(&self) -> &'static str {
        if self.firing { "firing" } else { "pending" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rules::file::{Kind, read};

    #[test]
    fn an_alert_waits_fires_stays_and_goes() {
        let text = "groups: [{name: g, rules: [{alert: Slow, expr: x > 1, for: 1m, keep_firing_for: 30s,
            labels: {severity: '{{ $labels.job }}-high'}, annotations: {s: '{{ $value }}'}}]}]";
        let rule = read("f", text).unwrap().remove(0).rules.remove(0);
        let Kind::Alert(alert) = rule.kind.clone() else { panic!() };
        let mut alerts = Alerts::default();
        let mut step = |now: i64, values: &[(&str, f64)]| {
            let answer = values
                .iter()
                .map(|(job, value)| (Labels::new([("__name__", "x"), ("job", *job)]), *value))
                .collect();
            let began = alerts.step(&rule, &alert, now * 1000, answer, |_| 0);
            let all: Vec<String> =
                alerts.all().iter().map(|a| format!("{} {} {}", a.labels, a.state(), a.value)).collect();
            (began, all.join("; "))
        };
        let shown = |job: &str, state: &str, value: f64| {
            format!("{{alertname=\"Slow\", job=\"{job}\", severity=\"{job}-high\"}} {state} {value}")
        };
        assert_eq!(step(0, &[("a", 2.0)]), (0, shown("a", "pending", 2.0)));
        assert_eq!(step(30, &[("a", 3.0)]), (0, shown("a", "pending", 3.0)));
        assert_eq!(step(60, &[("a", 4.0)]), (1, shown("a", "firing", 4.0)));
        assert_eq!(step(80, &[]), (0, shown("a", "firing", 4.0)));
        assert_eq!(step(90, &[("b", 5.0)]), (0, String::new() + &shown("b", "pending", 5.0)));
        assert_eq!(step(100, &[]), (0, String::new()));
    }

    #[test]
    fn queries_see_alerts_as_series() {
        let rule = read("f", "groups: [{name: g, rules: [{alert: Up, expr: up}]}]")
            .unwrap()
            .remove(0)
            .rules
            .remove(0);
        let Kind::Alert(alert) = rule.kind.clone() else { panic!() };
        let mut alerts = Alerts::default();
        let answer = vec![(Labels::new([("__name__", "up"), ("job", "a")]), 1.0)];
        alerts.step(&rule, &alert, 5000, answer, |_| 3000);
        let series: Vec<String> = alerts.series().map(|(labels, v)| format!("{labels} {v}")).collect();
        let since = r#"ALERTS_FOR_STATE{alertname="Up", job="a"} 2"#;
        assert_eq!(series, [r#"ALERTS{alertname="Up", alertstate="firing", job="a"} 1"#, since]);
    }
}
