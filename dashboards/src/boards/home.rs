//! Services: which of them is in trouble, and whether the telemetry can be believed at all.

use super::{filtered, none_is_good, steps, to_row};
use crate::grafana::{Board, Kind, Panel, Step, Unit};
use crate::names::{LANE, agent, label, metric};
use crate::promql::{Select, error_ratio, max, outcomes, quantile, sum, timing};
use crate::uid;

pub(super) fn board() -> Board {
    let board = Board::new(
        uid::HOME,
        "Services",
        "Every service at a glance: start here, then click the row that is not green.",
    );
    filtered(board)
        .row("", vec![alerts(), services()])
        .row("Can these numbers be believed?", telemetry())
        .row("All handlers", vec![rate(), failures()])
}

fn alerts() -> Panel {
    Panel::new(
        Kind::Table,
        "Firing alerts",
        "What is known to be wrong now. Open the alert's runbook in Alertmanager; an empty list is the good case.",
    )
    .promql("", "sum by (alertname, severity, environment, service, segment) (ALERTS{alertstate=\"firing\",severity=~\"critical|warning\"})".to_owned())
    .no_value("nothing fires")
    .columns(&[
        ("severity", "Severity", None),
        ("alertname", "Alert", None),
        ("environment", "Environment", None),
        ("service", "Service", None),
        ("segment", "Segment", None),
    ])
    .link("Service", to_row(uid::SERVICE, &[(label::SERVICE, "Service")]))
    .size(24, 6)
}

fn services() -> Panel {
    let by = [label::ENVIRONMENT, label::SERVICE];
    let requests = outcomes().handlers();
    let build = Select::chosen(metric::BUILD_INFO);
    let version = format!("max by ({}, {}) ({build})", by.join(", "), label::VERSION);
    Panel::new(
        Kind::Table,
        "Services",
        "One row for each service. Click the one whose errors, p99 or health stand out; sort by a column to find it.",
    )
    .promql("", sum(&by, &requests.rate("5m")))
    .promql("", error_ratio(&by, &requests, "5m"))
    .promql("", quantile("0.99", &by, &timing().handlers(), "5m"))
    .promql("", format!("round({})", sum(&by, &outcomes().eq(label::OUTCOME, "panic").increase("24h"))))
    .promql("", max(&by, &Select::chosen(metric::HEALTH).to_string()))
    .promql("", version)
    .no_value("no service has reported yet: point STATSD at the agent, or start the demo profile")
    .columns(&[
        ("environment", "Environment", None),
        ("service", "Service", None),
        ("Value #A", "Requests", Some(Unit::Requests)),
        ("Value #B", "Errors", Some(Unit::Ratio)),
        ("Value #C", "p99", Some(Unit::Seconds)),
        ("Value #D", "Panics 24 h", Some(Unit::Number)),
        ("Value #E", "Health (0 ok, 1 degraded, 2 failed)", Some(Unit::Number)),
        ("version", "Version", None),
    ])
    .link("Open this service", to_row(uid::SERVICE, &[(label::ENVIRONMENT, "Environment"), (label::SERVICE, "Service")]))
    .size(24, 10)
}

fn telemetry() -> Vec<Panel> {
    let stat = |title: &str, help: &str| Panel::new(Kind::Stat, title, help).size(6, 4);
    vec![
        stat(
            "Targets up",
            "Share of scrape targets that answer. Below 100 % something is not being watched: see TargetDown.",
        )
        .unit(Unit::Ratio)
        .promql("", "sum(up) / count(up)".to_owned())
        .steps(&[Step(None, "red"), Step(Some(1.0), "green")])
        .no_value("Prometheus scrapes nothing"),
        stat(
            "Telemetry lost",
            "Records a second that the agent dropped. Above 0, graphs and logs have gaps: open the Agent dashboard.",
        )
        .unit(Unit::PerSecond)
        .promql("", format!("{} or vector(0)", sum(&[], &Select::lost().rate("5m"))))
        .steps(&none_is_good())
        .link("Agent", format!("/d/{}?${{__url_time_range}}", uid::AGENT)),
        stat(
            "Waiting to be shipped",
            "Records in the agent's queues. Growing means that a back end is slow or down: open the Agent dashboard.",
        )
        .promql("", sum(&[], &Select::of(agent::QUEUED).ne(LANE, "metrics").to_string()))
        .steps(&steps(10_000.0, 100_000.0))
        .link("Agent", format!("/d/{}?${{__url_time_range}}", uid::AGENT)),
        stat(
            "Pages that failed",
            "Notifications that PagerDuty did not take in the last hour. Above 0, paging is not configured or is broken: \
             put the integration key into the file that PAGERDUTY_ROUTING_KEY_FILE names.",
        )
        .promql("", "sum(increase(alertmanager_notifications_failed_total{integration=\"pagerduty\"}[1h]))".to_owned())
        .steps(&none_is_good())
        .no_value("Alertmanager is not scraped"),
    ]
}

fn rate() -> Panel {
    Panel::new(
        Kind::Stacked,
        "Requests by service",
        "Traffic over all handlers. A step that no deploy explains is a client's doing or a balancer's.",
    )
    .unit(Unit::Requests)
    .promql("{{service}}", sum(&[label::SERVICE], &outcomes().handlers().rate(crate::promql::STEP)))
    .link("Open this service", super::to(uid::SERVICE, &[label::SERVICE]))
}

fn failures() -> Panel {
    Panel::new(
        Kind::Lines,
        "Failures by handler, all services (*.handlers.*.failed)",
        "The book's wildcard question. The line that rises names the service and the handler to open.",
    )
    .unit(Unit::Requests)
    .promql(
        "{{service}}.{{segment}}",
        sum(&[label::SERVICE, label::SEGMENT], &outcomes().handlers().errors().rate(crate::promql::STEP)),
    )
    .link("Open this handler", super::to(uid::HANDLER, &[label::SERVICE, label::SEGMENT]))
}
