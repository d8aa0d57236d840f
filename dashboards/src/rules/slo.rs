//! Error budgets: what may fail, what did, and how fast the rest is being spent.
//!
//! The windows and factors are those of the Site Reliability Workbook: a fast burn spends 2 % of a month's budget in an
//! hour (14.4 times the steady rate) or 5 % in six hours (6 times); each needs its short window too, so that the alert
//! ends soon after the trouble does.

use super::{Alert, Recording, Severity, records};
use crate::names::{label, metric};
use crate::promql::{Select, count, error_ratio, quantile, sum};
use crate::settings::Settings;
use crate::uid;

const BY: [&str; 2] = [label::ENVIRONMENT, label::SERVICE];
const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// Requests that count: paths that no route matched are other people's mistakes.
fn requests() -> Select {
    Select::of(metric::OUTCOMES).handlers().ne(label::SEGMENT, sightline_instrument::wire::UNMATCHED)
}

pub(super) fn recordings(settings: &Settings) -> Vec<Recording> {
    let mut out = Vec::new();
    out.push(objective(settings, "instrument:objective:error_ratio", |success, _| (100.0 - success) / 100.0));
    out.push(objective(settings, "instrument:objective:p99_seconds", |_, seconds| seconds));
    for window in WINDOWS {
        out.push(Recording {
            name: format!("instrument:handler_errors:ratio_rate{window}"),
            expr: error_ratio(&BY, &requests(), window),
        });
    }
    out.push(Recording {
        name: "instrument:error_budget:left30d".to_owned(),
        expr: format!(
            "1 - avg_over_time(instrument:handler_errors:ratio_rate5m[30d])\n  / on ({}) instrument:objective:error_ratio",
            BY.join(", ")
        ),
    });
    let by = [label::ENVIRONMENT, label::SERVICE, label::GROUP, label::SEGMENT];
    out.push(Recording {
        name: "instrument:timing_seconds:p99_5m".to_owned(),
        expr: quantile("0.99", &by, &Select::of(metric::TIMING), "5m"),
    });
    out
}

/// A promise as series. `or` keeps the first that has an answer: a service in one environment, a service, everybody.
fn objective(settings: &Settings, name: &str, value: impl Fn(f64, f64) -> f64) -> Recording {
    let by = BY.join(", ");
    let line = |select: &Select, promise: f64| format!("{} * group by ({by}) ({select})", round(promise));
    let mut named: Vec<_> = settings.objectives.services.iter().collect();
    named.sort_by_key(|promise| promise.environment.is_none());
    let mut lines: Vec<String> = named
        .into_iter()
        .map(|promise| {
            let mut select = requests().eq(label::SERVICE, &promise.service);
            if let Some(environment) = &promise.environment {
                select = select.eq(label::ENVIRONMENT, environment);
            }
            line(&select, value(promise.success, promise.p99_seconds))
        })
        .collect();
    let default = settings.objectives.default;
    lines.push(line(&requests(), value(default.success, default.p99_seconds)));
    Recording { name: name.to_owned(), expr: lines.join("\nor ") }
}

/// 100 − 99.9 is 0.0999…: a person wants to read 0.001.
fn round(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// The ratio over `long` and over `short` are both `factor` times what the objective allows.
fn burning(factor: &str, long: &str, short: &str) -> String {
    let on = BY.join(", ");
    let above = |window: &str| {
        format!(
            "instrument:handler_errors:ratio_rate{window} > on ({on}) {factor} * instrument:objective:error_ratio"
        )
    };
    format!("(({}) and on ({on}) ({}))", above(long), above(short))
}

pub(super) fn alerts() -> Vec<Alert> {
    let timing = Select::of(metric::TIMING);
    let by = [label::ENVIRONMENT, label::SERVICE, label::GROUP, label::SEGMENT];
    vec![
        Alert {
            name: "ErrorBudgetFastBurn",
            expr: format!("{}\nor {}", burning("14.4", "1h", "5m"), burning("6", "6h", "30m")),
            wait: None,
            severity: Severity::Critical,
            class: "slo",
            summary: "{{ $labels.service }} ({{ $labels.environment }}) burns its error budget fast: {{ $value | humanizePercentage }} of requests fail".to_owned(),
            description: "At this rate the month's budget is gone within days. Find the handler that fails, then what changed.",
            board: uid::SERVICE,
            filters: &[label::ENVIRONMENT, label::SERVICE],
            logs: records("%20AND%20status:%3E=500"),
        },
        Alert {
            name: "ErrorBudgetSlowBurn",
            expr: format!("{}\nor {}", burning("3", "1d", "2h"), burning("1", "3d", "6h")),
            wait: None,
            severity: Severity::Warning,
            class: "slo",
            summary: "{{ $labels.service }} ({{ $labels.environment }}) slowly burns its error budget: {{ $value | humanizePercentage }} of requests fail".to_owned(),
            description: "Nobody has to get up, but the month's promise will be broken if this stays. Plan the repair.",
            board: uid::SERVICE,
            filters: &[label::ENVIRONMENT, label::SERVICE],
            logs: records("%20AND%20status:%3E=500"),
        },
        Alert {
            name: "LatencyP99High",
            expr: format!(
                "(instrument:timing_seconds:p99_5m{{group=\"handlers\"}}\n  > on ({}) group_left () instrument:objective:p99_seconds)\nand on ({}) {} > 0.1",
                BY.join(", "),
                by.join(", "),
                sum(&by, &count(&timing).rate("5m"))
            ),
            wait: Some("10m"),
            severity: Severity::Warning,
            class: "latency",
            summary: "{{ $labels.service }} {{ $labels.segment }} ({{ $labels.environment }}): p99 is {{ $value | humanizeDuration }}".to_owned(),
            description: "One request in a hundred takes longer than promised. Timing is the leading indicator: look before it fails.",
            board: uid::HANDLER,
            filters: &[label::ENVIRONMENT, label::SERVICE, label::SEGMENT],
            logs: records("%20AND%20handler:%22{{ $labels.segment | urlquery }}%22"),
        },
    ]
}
