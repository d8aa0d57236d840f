//! Recording rules and alerts, written as the files that Prometheus loads.

mod agent;
mod services;
mod slo;
mod stack;

use std::fmt::Write as _;

use crate::names::label;
use crate::settings::Settings;

/// A series that is computed once and used often.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Its name.
    pub name: String,
    /// How it is computed.
    pub expr: String,
}

/// How loud an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Wakes somebody.
    Critical,
    /// Waits for the morning.
    Warning,
    /// Reaches nobody.
    None,
}

impl Severity {
    /// The value of the label.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::None => "none",
        }
    }
}

/// An alert, with what the person who gets it needs.
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its name; also its runbook's.
    pub name: &'static str,
    /// When it is true.
    pub expr: String,
    /// How long it has to be true.
    pub wait: Option<&'static str>,
    /// How loud it is.
    pub severity: Severity,
    /// What kind of trouble: a critical alert mutes the warnings of its class.
    pub class: &'static str,
    /// One line: what is wrong, where.
    pub summary: String,
    /// What it means and what to look at.
    pub description: &'static str,
    /// The dashboard that shows it.
    pub board: &'static str,
    /// Labels that the dashboard is filtered by.
    pub filters: &'static [&'static str],
    /// A Lucene query that finds its records.
    pub logs: Option<String>,
}

/// A file of rules.
#[derive(Debug, Clone)]
pub struct File {
    /// Its name without the ending.
    pub name: &'static str,
    /// Series computed before the alerts.
    pub recordings: Vec<Recording>,
    /// Alerts.
    pub alerts: Vec<Alert>,
}

/// Every file of rules.
pub fn all(settings: &Settings) -> Vec<File> {
    vec![
        File { name: "slo", recordings: slo::recordings(settings), alerts: slo::alerts() },
        File { name: "services", recordings: Vec::new(), alerts: services::alerts() },
        File { name: "agent", recordings: Vec::new(), alerts: agent::alerts() },
        File { name: "stack", recordings: Vec::new(), alerts: stack::alerts() },
    ]
}

impl File {
    /// The YAML that Prometheus loads.
    pub fn render(&self, settings: &Settings) -> String {
        let mut out = String::from(
            "# Generated from dashboards/src/rules and dashboards/settings.yml: cargo run -p sightline-dashboards -- write\ngroups:\n",
        );
        let _ = writeln!(out, "  - name: sightline-{}", self.name);
        out.push_str("    rules:\n");
        for rule in &self.recordings {
            let _ = writeln!(out, "      - record: {}", rule.name);
            expression(&mut out, &rule.expr);
        }
        for alert in &self.alerts {
            alert.render(&mut out, settings);
        }
        out
    }
}

/// A query as a block, so that nothing in it needs quoting.
fn expression(out: &mut String, expr: &str) {
    out.push_str("        expr: |-\n");
    for line in expr.lines() {
        let _ = writeln!(out, "          {line}");
    }
}

impl Alert {
    fn render(&self, out: &mut String, settings: &Settings) {
        let _ = writeln!(out, "      - alert: {}", self.name);
        expression(out, &self.expr);
        if let Some(wait) = self.wait {
            let _ = writeln!(out, "        for: {wait}");
        }
        let _ =
            writeln!(out, "        labels: {{severity: {}, class: {}}}", self.severity.word(), self.class);
        out.push_str("        annotations:\n");
        for (key, value) in self.annotations(settings) {
            let _ = writeln!(out, "          {key}: {}", quoted(&value));
        }
    }

    fn annotations(&self, settings: &Settings) -> Vec<(&'static str, String)> {
        let links = &settings.links;
        let filters: Vec<String> = self
            .filters
            .iter()
            .map(|label| format!("var-{label}={{{{ $labels.{label} | urlquery }}}}"))
            .collect();
        let separator = if filters.is_empty() { "" } else { "?" };
        let mut out = vec![
            ("summary", self.summary.clone()),
            ("description", self.description.to_owned()),
            ("dashboard_url", format!("{}/d/{}{separator}{}", links.grafana, self.board, filters.join("&"))),
        ];
        if let Some(lucene) = &self.logs {
            out.push((
                "logs_url",
                format!(
                    "{}/app/discover#/?_g=(time:(from:now-1h,to:now))&_a=(dataViewId:logs,query:(language:lucene,query:'{lucene}'))",
                    links.kibana
                ),
            ));
        }
        if self.filters.contains(&label::SERVICE) {
            out.push((
                "traces_url",
                format!(
                    "{}/zipkin/?serviceName={{{{ $labels.service | urlquery }}}}&lookback=1h",
                    links.zipkin
                ),
            ));
        }
        out.push(("runbook_url", format!("{}/{}.md", links.runbooks, self.name)));
        out
    }
}

/// A double-quoted YAML scalar.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A Lucene query for one service's records, with more if given.
fn records(more: &str) -> Option<String> {
    Some(format!("service.name:%22{{{{ $labels.service | urlquery }}}}%22{more}"))
}
