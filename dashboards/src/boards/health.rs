//! Health: which check of which service is degraded, since when, and whether it flaps.

use super::filtered;
use crate::grafana::{Board, Kind, Panel, Step, Unit};
use crate::names::{label, metric};
use crate::promql::{STEP, Select, max, outcomes, sum};
use crate::uid;

const WORDS: [(f64, &str, &str); 3] =
    [(0.0, "ok", "green"), (1.0, "degraded", "orange"), (2.0, "failed", "red")];
const STEPS: [Step; 3] = [Step(None, "green"), Step(Some(1.0), "orange"), Step(Some(2.0), "red")];
const NONE: &str = "no service reports health: register checks with Health";

pub(super) fn board() -> Board {
    filtered(Board::new(
        uid::HEALTH,
        "Health",
        "Health checks of the services over time, and what the service measured when it changed its mind.",
    ))
    .range("now-6h", "30s")
    .row("", vec![worst(), states()])
    .row("How steady", vec![degraded(), flapping()])
    .row("Beside it", vec![gauges(), bad_requests()])
}

fn health() -> Select {
    Select::chosen(metric::HEALTH)
}

fn worst() -> Panel {
    Panel::new(
        Kind::Stat,
        "Worst check of each service",
        "Failed: the service answers 503 and the balancer rests it. Open its logs.",
    )
    .unit(Unit::None)
    .promql("{{service}}", max(&[label::SERVICE], &health().to_string()))
    .words(&WORDS)
    .steps(&STEPS)
    .no_value(NONE)
    .size(24, 4)
    .link("Open this service", super::to(uid::SERVICE, &[label::SERVICE]))
}

fn states() -> Panel {
    Panel::new(
        Kind::States,
        "Checks over time",
        "The check that turned first is the cause; those that follow depend on it.",
    )
    .unit(Unit::None)
    .promql("{{service}} {{check}}", max(&[label::SERVICE, label::CHECK], &health().to_string()))
    .words(&WORDS)
    .steps(&STEPS)
    .no_value(NONE)
    .size(24, 8)
}

fn degraded() -> Panel {
    let bad = format!(
        "avg_over_time(({} > bool 0)[$__range:1m])",
        max(&[label::SERVICE, label::CHECK], &health().to_string())
    );
    Panel::new(
        Kind::BarGauge,
        "Share of the time not ok",
        "A check that is often degraded has a wrong threshold or a real fault: decide which.",
    )
    .unit(Unit::Ratio)
    .promql("{{service}} {{check}}", bad)
    .bounds(0.0, 1.0)
    .no_value(NONE)
}

fn flapping() -> Panel {
    Panel::new(
        Kind::Lines,
        "Changes an hour",
        "More than four is flapping: widen the hysteresis, or mend what comes and goes.",
    )
    .promql(
        "{{service}} {{check}}",
        max(&[label::SERVICE, label::CHECK], &format!("changes({}[1h])", health())),
    )
    .steps(&super::steps(4.0, 10.0))
    .no_value(NONE)
}

fn gauges() -> Panel {
    let gauges = Select::chosen(metric::GAUGE).eq(label::GROUP, "health");
    Panel::new(
        Kind::Lines,
        "What the checks measured",
        "Moving average of the response time, connections, bad requests, as the service saw them.",
    )
    .promql(
        "{{service}} {{segment}} {{measure}}",
        max(&[label::SERVICE, label::SEGMENT, label::MEASURE], &gauges.to_string()),
    )
    .no_value(NONE)
}

fn bad_requests() -> Panel {
    Panel::new(
        Kind::Bars,
        "Failures while unhealthy",
        "Failures that begin before the check turns: the threshold is too lax.",
    )
    .unit(Unit::Requests)
    .promql("{{service}}", sum(&[label::SERVICE], &outcomes().handlers().errors().rate(STEP)))
}
