//! What leaves the process: data stores, caches, other services.

use super::filtered;
use crate::grafana::{Board, Kind, Panel, Unit};
use crate::names::label;
use crate::promql::{STEP, count, error_ratio, outcomes, quantile, sum, timing, total};
use crate::uid;

const BY: [&str; 2] = [label::GROUP, label::SEGMENT];
const NONE: &str = "no dependency is reported: wrap what leaves the process in `timed`";

pub(super) fn board() -> Board {
    filtered(Board::new(
        uid::DEPENDENCIES,
        "Dependencies",
        "What the services wait for: which data store, cache or service to mend first.",
    ))
    .row("", vec![share(), table()])
    .row("Rate, errors, duration", vec![rate(), errors(), p99(), median()])
}

fn share() -> Panel {
    let below = sum(&[label::GROUP], &total(&timing().dependencies()).rate(STEP));
    let whole = sum(&[], &total(&timing().handlers()).rate(STEP));
    Panel::new(
        Kind::Lines,
        "Share of the handlers' time",
        "How much of each request is spent in each kind of dependency. Mend the largest first; the rest will not be felt.",
    )
    .unit(Unit::Ratio)
    .promql("{{group}}", format!("{below} / scalar({whole} > 0)"))
    .no_value(NONE)
    .size(24, 8)
}

fn table() -> Panel {
    let by = [label::SERVICE, label::GROUP, label::SEGMENT];
    let seconds = format!(
        "{} / ({} > 0)",
        sum(&by, &total(&timing().dependencies()).rate("5m")),
        sum(&by, &count(&timing().dependencies()).rate("5m"))
    );
    Panel::new(
        Kind::Table,
        "Dependencies",
        "Sort by errors or p99 to find the one that hurts; then ask its owner, or its own dashboard.",
    )
    .promql("", sum(&by, &outcomes().dependencies().rate("5m")))
    .promql("", error_ratio(&by, &outcomes().dependencies(), "5m"))
    .promql("", seconds)
    .promql("", quantile("0.99", &by, &timing().dependencies(), "5m"))
    .columns(&[
        ("service", "Service", None),
        ("group", "Group", None),
        ("segment", "Operation", None),
        ("Value #A", "Calls", Some(Unit::PerSecond)),
        ("Value #B", "Errors", Some(Unit::Ratio)),
        ("Value #C", "Mean", Some(Unit::Seconds)),
        ("Value #D", "p99", Some(Unit::Seconds)),
    ])
    .no_value(NONE)
    .link("Open this service", super::to_row(uid::SERVICE, &[(label::SERVICE, "Service")]))
}

fn rate() -> Panel {
    Panel::new(
        Kind::Stacked,
        "Calls",
        "More calls at the same traffic: a query in a loop, or a cache that stopped hitting.",
    )
    .unit(Unit::PerSecond)
    .promql("{{group}}.{{segment}}", sum(&BY, &outcomes().dependencies().rate(STEP)))
    .no_value(NONE)
}

fn errors() -> Panel {
    Panel::new(
        Kind::Lines,
        "Error ratio",
        "A dependency that fails: see whether it fails for everyone, then its own health.",
    )
    .unit(Unit::Ratio)
    .promql("{{group}}.{{segment}}", error_ratio(&BY, &outcomes().dependencies(), STEP))
    .steps(&super::steps(0.001, 0.01))
    .no_value(NONE)
}

fn p99() -> Panel {
    Panel::new(Kind::Lines, "p99", "The slow tail. Click a dot to see the trace of a slow call.")
        .unit(Unit::Seconds)
        .promql_with_exemplars("{{group}}.{{segment}}", quantile("0.99", &BY, &timing().dependencies(), STEP))
        .no_value(NONE)
}

fn median() -> Panel {
    Panel::new(
        Kind::Lines,
        "p50",
        "If the median moves too, it is slow for everyone, not for a few unlucky calls.",
    )
    .unit(Unit::Seconds)
    .promql("{{group}}.{{segment}}", quantile("0.5", &BY, &timing().dependencies(), STEP))
    .no_value(NONE)
}
