//! One service: rate, errors and duration of its handlers, its error budget, and its hosts.

use super::{filtered, kibana, steps, to};
use crate::grafana::{Board, Kind, Panel, Step, Unit};
use crate::names::{label, metric};
use crate::promql::{STEP, Select, bucket, count, error_ratio, outcomes, quantile, sum, timing};
use crate::uid;

pub(super) fn board() -> Board {
    let board = Board::new(
        uid::SERVICE,
        "Service",
        "Rate, errors and duration of one service's handlers: which of them, since when, and on which host.",
    );
    filtered(board)
        .row("Now", now())
        .row("Rate, errors, duration", vec![rate(), errors(), duration(), slowest()])
        .row("Where", vec![by_host(), unfinished(), validation(), sizes()])
        .row(
            "What it says",
            vec![super::logs::of_service("Errors and warnings", "log.level:(error OR warn)")],
        )
}

fn now() -> Vec<Panel> {
    let requests = outcomes().handlers();
    vec![
        Panel::new(Kind::Stat, "Requests", "Requests a second now. 0 on a live service: clients or the balancer cannot reach it.")
            .unit(Unit::Requests)
            .promql("", sum(&[], &requests.rate("5m"))),
        Panel::new(Kind::Stat, "Errors", "Share of requests that failed. Red: open the handler below whose line rises.")
            .unit(Unit::Ratio)
            .promql("", error_ratio(&[], &requests, "5m"))
            .steps(&steps(0.001, 0.01)),
        Panel::new(Kind::Stat, "p99", "One request in a hundred takes longer. Red: look at Dependencies first, then at hosts.")
            .unit(Unit::Seconds)
            .promql("", quantile("0.99", &[], &timing().handlers(), "5m"))
            .steps(&steps(0.25, 0.5))
            .link("Dependencies", to(uid::DEPENDENCIES, &[])),
        apdex(),
        Panel::new(
            Kind::Stat,
            "Error budget left",
            "Of the failures that a month allows, the share still unspent. Near 0: stop risky deploys until it recovers.",
        )
        .unit(Unit::Ratio)
        .promql("", format!("min({})", Select::chosen("instrument:error_budget:left30d")))
        .steps(&[Step(None, "red"), Step(Some(0.1), "orange"), Step(Some(0.5), "green")])
        .no_value("no requests yet, or Prometheus lacks the recording rules"),
        Panel::new(
            Kind::Stat,
            "Panics, 24 h",
            "Panics should never happen. Any: open Panics, read the stack, fix it.",
        )
        .promql("", format!("round({})", sum(&[], &outcomes().eq(label::OUTCOME, "panic").increase("24h"))))
        .steps(&super::none_is_good())
        .link("Panics", to(uid::PANICS, &[])),
    ]
}

fn apdex() -> Panel {
    let timing = timing().handlers();
    let satisfied = sum(&[], &bucket(&timing).re("le", "0.25").rate("5m"));
    let tolerated = sum(&[], &bucket(&timing).re("le", "1|1.0").rate("5m"));
    let all = sum(&[], &count(&timing).rate("5m"));
    Panel::new(
        Kind::Stat,
        "Apdex",
        "Users' content from 0 to 1: at most 0.25 s is good, at most 1 s is half good. Below 0.85 people notice.",
    )
    .unit(Unit::Number)
    .promql("", format!("({satisfied} + {tolerated}) / 2 / ({all} > 0)"))
    .steps(&[Step(None, "red"), Step(Some(0.7), "orange"), Step(Some(0.85), "green")])
}

fn rate() -> Panel {
    Panel::new(
        Kind::Stacked,
        "Requests by handler",
        "A step up is new traffic or a retry storm; a step down is a client or a balancer that went away.",
    )
    .unit(Unit::Requests)
    .promql("{{segment}}", sum(&[label::SEGMENT], &outcomes().handlers().rate(STEP)))
    .link("Open this handler", to(uid::HANDLER, &[label::SEGMENT]))
}

fn errors() -> Panel {
    Panel::new(
        Kind::Lines,
        "Error ratio by handler",
        "The dashed lines are 0.1 % and 1 %. Click the handler that crosses them.",
    )
    .unit(Unit::Ratio)
    .promql("{{segment}}", error_ratio(&[label::SEGMENT], &outcomes().handlers(), STEP))
    .steps(&steps(0.001, 0.01))
    .link("Open this handler", to(uid::HANDLER, &[label::SEGMENT]))
    .link("Its logs in Kibana", kibana("service.name:${service:lucene} AND status:>=500"))
}

fn duration() -> Panel {
    let timing = timing().handlers();
    Panel::new(
        Kind::Lines,
        "Duration",
        "Half, 95 and 99 of a hundred requests are faster than these. Click a dot to see the trace of a slow one.",
    )
    .unit(Unit::Seconds)
    .promql("p50", quantile("0.5", &[], &timing, STEP))
    .promql("p95", quantile("0.95", &[], &timing, STEP))
    .promql_with_exemplars("p99", quantile("0.99", &[], &timing, STEP))
    .link("Dependencies", to(uid::DEPENDENCIES, &[]))
}

fn slowest() -> Panel {
    Panel::new(
        Kind::Lines,
        "p99 by handler",
        "Which handler is slow. One alone: its own work; all together: a dependency or the host.",
    )
    .unit(Unit::Seconds)
    .promql("{{segment}}", quantile("0.99", &[label::SEGMENT], &timing().handlers(), STEP))
    .link("Open this handler", to(uid::HANDLER, &[label::SEGMENT]))
}

fn by_host() -> Panel {
    Panel::new(
        Kind::Lines,
        "Error ratio by host",
        "One host that stands out: take it out of the balancer, then look.",
    )
    .unit(Unit::Ratio)
    .promql("{{host}}", error_ratio(&[label::HOST], &outcomes().handlers(), STEP))
}

fn unfinished() -> Panel {
    let by = [label::SEGMENT];
    let began = sum(&by, &Select::chosen(metric::CALLS).increase("15m"));
    let ended = sum(&by, &outcomes().increase("15m"));
    Panel::new(
        Kind::Lines,
        "Calls that never ended, 15 min",
        "Begun, but no outcome reported: hanging, aborted, or killed with the process. Look at the traces of that segment.",
    )
    .promql("{{segment}}", format!("clamp_min({began} - {ended}, 0)"))
    .link("Open this handler", to(uid::HANDLER, &[label::SEGMENT]))
}

fn validation() -> Panel {
    Panel::new(
        Kind::Bars,
        "Input that failed validation",
        "A rise after a client's release is that client's bug; from one address it is somebody trying things.",
    )
    .unit(Unit::PerSecond)
    .promql("{{segment}} {{outcome}}", sum(&[label::SEGMENT, label::OUTCOME], &outcomes().eq(label::GROUP, "validation").rate(STEP)))
    .no_value("this service reports no validation")
    .link("Security", to(uid::SECURITY, &[]))
}

fn sizes() -> Panel {
    let gauges = Select::chosen(metric::GAUGE).eq(label::GROUP, "process");
    Panel::new(
        Kind::Lines,
        "Process gauges",
        "What the process says of itself. A line that only ever rises is a leak.",
    )
    .promql(
        "{{host}} {{segment}} {{measure}}",
        format!("max by ({}, {}, {}) ({gauges})", label::HOST, label::SEGMENT, label::MEASURE),
    )
    .no_value("this service reports no gauges of its process")
}
