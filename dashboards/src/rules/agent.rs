//! Alerts about the agent: what it drops, what it cannot deliver, and what it cannot read.

use super::{Alert, Severity};
use crate::names::{LANE, agent};
use crate::promql::{Select, sum};
use crate::uid;

pub(super) fn alerts() -> Vec<Alert> {
    let instance = |extra: &'static str| ["instance", LANE, extra];
    vec![
        alert(
            "AgentDroppingData",
            format!("{} > 0", sum(&instance("reason"), &Select::lost().rate("5m"))),
            Some("5m"),
            Severity::Critical,
            "agent {{ $labels.instance }} loses {{ $labels.lane }} ({{ $labels.reason }}): {{ $value | printf \"%.1f\" }} a second",
            "Graphs and logs have gaps from now on. The reason says where: a full queue, the kernel's buffer, a budget.",
        ),
        alert(
            "AgentDeadLetters",
            format!("{} > 0", sum(&instance("exporter"), &Select::of(agent::DEAD_LETTERED).increase("15m"))),
            None,
            Severity::Warning,
            "{{ $labels.exporter }} refused {{ $value | printf \"%.0f\" }} {{ $labels.lane }} of agent {{ $labels.instance }} for good",
            "They are kept: list them, mend the cause, and replay them.",
        ),
        alert(
            "AgentRefusingInput",
            format!("{} > 1", sum(&instance("reason"), &Select::of(agent::REJECTED).rate("10m"))),
            Some("10m"),
            Severity::Warning,
            "agent {{ $labels.instance }} cannot read {{ $labels.lane }} ({{ $labels.reason }}): {{ $value | printf \"%.1f\" }} a second",
            "A client sends what is not what the port speaks. `sightline tap` shows it as it comes in.",
        ),
        alert(
            "AgentLagging",
            format!("{} > 300", crate::promql::max(&["instance", LANE], agent::QUEUE_OLDEST)),
            Some("5m"),
            Severity::Warning,
            "agent {{ $labels.instance }}: the oldest of {{ $labels.lane }} waits since {{ $value | humanizeDuration }}",
            "A back end is slower than what comes in, or refuses it. Searches there are as old as that.",
        ),
        alert(
            "AgentSeriesOverflow",
            format!("{} > 0", sum(&["instance"], &Select::of(agent::OVERFLOW).rate("5m"))),
            Some("10m"),
            Severity::Warning,
            "agent {{ $labels.instance }} folds {{ $value | printf \"%.1f\" }} samples a second into _other",
            "A client makes new names or labels all the time. `sightline top` names it.",
        ),
        alert(
            "AgentNotDelivering",
            format!(
                "{} > 0\nunless on (instance, {LANE}) {} > 0",
                sum(&["instance", LANE], &Select::of(agent::QUEUED).ne(LANE, "metrics").to_string()),
                sum(&["instance", LANE], &Select::of(agent::EXPORTED).rate("5m"))
            ),
            Some("5m"),
            Severity::Critical,
            "agent {{ $labels.instance }} has {{ $value | printf \"%.0f\" }} {{ $labels.lane }} waiting and delivers none",
            "The back end is down, full, or refuses the agent. Nothing is lost until the queue is full.",
        ),
    ]
}

fn alert(
    name: &'static str,
    expr: String,
    wait: Option<&'static str>,
    severity: Severity,
    summary: &str,
    description: &'static str,
) -> Alert {
    Alert {
        name,
        expr,
        wait,
        severity,
        class: "telemetry",
        summary: summary.to_owned(),
        description,
        board: uid::AGENT,
        filters: &[],
        logs: None,
    }
}
