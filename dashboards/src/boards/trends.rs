//! Deploys and trends: did it get better or worse with that version, against last week, and where is it heading?

use super::filtered;
use crate::grafana::{Board, Kind, Panel, Unit};
use crate::names::{label, metric};
use crate::promql::{STEP, Select, error_ratio, max, outcomes, quantile, sum, timing};
use crate::uid;

pub(super) fn board() -> Board {
    filtered(Board::new(
        uid::TRENDS,
        "Deploys and trends",
        "Versions over time, today against the same hour last week, and growth.",
    ))
    .range("now-24h", "1m")
    .row("Deploys", vec![versions(), hosts()])
    .row("Today against last week", vec![traffic(), errors(), slow()])
    .row("Growth", vec![daily()])
}

fn versions() -> Panel {
    let by = [label::SERVICE, label::VERSION];
    Panel::new(Kind::States, "Versions", "Which version ran when. Put the start of a bar beside the change you look for: roll back if they match.")
        .unit(Unit::None)
        .promql("{{service}} {{version}}", max(&by, &Select::chosen(metric::BUILD_INFO).to_string()))
        .words(&[(1.0, "running", "blue")])
        .no_value("no service reports its version")
}

fn hosts() -> Panel {
    let build = Select::chosen(metric::BUILD_INFO);
    Panel::new(
        Kind::Stacked,
        "Hosts on each version",
        "A rollout that stopped half-way shows as two bands that stay.",
    )
    .promql("{{service}} {{version}}", format!("count by ({}, {}) ({build})", label::SERVICE, label::VERSION))
    .no_value("no service reports its version")
}

/// The same expression a week before.
fn last_week(expr: &str) -> String {
    expr.replace("])", "] offset 1w)")
}

fn against(title: &str, help: &str, unit: Unit, expr: String) -> Panel {
    Panel::new(Kind::Lines, title, help)
        .unit(unit)
        .promql("now", expr.clone())
        .promql("last week", last_week(&expr))
        .size(8, 8)
}

fn traffic() -> Panel {
    let expr = sum(&[], &outcomes().handlers().rate(STEP));
    against(
        "Requests",
        "Half of last week's traffic at the same hour: clients cannot reach you, or it is a holiday.",
        Unit::Requests,
        expr,
    )
}

fn errors() -> Panel {
    let expr = error_ratio(&[], &outcomes().handlers(), STEP);
    against(
        "Error ratio",
        "Above last week's at the same hour: look for a deploy between the two.",
        Unit::Ratio,
        expr,
    )
}

fn slow() -> Panel {
    let expr = quantile("0.99", &[], &timing().handlers(), STEP);
    against(
        "p99",
        "Slower than last week at equal traffic is a regression; at more traffic it is capacity.",
        Unit::Seconds,
        expr,
    )
}

fn daily() -> Panel {
    Panel::new(
        Kind::Bars,
        "Requests a day by service",
        "Choose 90 days above. Plan capacity for where the bars will be, not for where they are.",
    )
    .promql("{{service}}", sum(&[label::SERVICE], &outcomes().handlers().increase("1d")))
    .size(24, 8)
}
