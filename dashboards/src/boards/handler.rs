//! One handler: how its calls end, how long they take, and what it waited for.

use super::{filtered, kibana, to};
use crate::grafana::{Board, Kind, Panel, Query, Unit, Variable};
use crate::names::{label, metric};
use crate::promql::{STEP, Select, bucket, error_ratio, outcomes, quantile, sum, timing};
use crate::uid;

pub(super) fn board() -> Board {
    let segment = Variable::Label {
        name: "segment",
        label: label::SEGMENT,
        series: Select::chosen(metric::OUTCOMES).handlers().to_string(),
    };
    filtered(Board::new(uid::HANDLER, "Handler", "How one handler's calls end, how long they take, and why."))
        .variable(segment)
        .row("", vec![ends(), errors(), duration(), heat()])
        .row("What it waited for", vec![downstream(), per_call()])
        .row("What happened", vec![logs(), slow()])
}

fn chosen(select: Select) -> Select {
    select.handlers().re(label::SEGMENT, "$segment")
}

fn ends() -> Panel {
    Panel::new(
        Kind::Bars,
        "How calls ended",
        "The colour that grows says how: failed, panic, a status. Then read the logs below.",
    )
    .unit(Unit::Requests)
    .promql("{{outcome}}", sum(&[label::OUTCOME], &chosen(outcomes()).rate(STEP)))
    .link("Its logs in Kibana", kibana("service.name:${service:lucene} AND handler:${segment:lucene}"))
}

fn errors() -> Panel {
    Panel::new(Kind::Lines, "Error ratio by host", "All hosts: the code or a dependency. One host: drain it.")
        .unit(Unit::Ratio)
        .promql("{{host}}", error_ratio(&[label::HOST], &chosen(outcomes()), STEP))
        .steps(&super::steps(0.001, 0.01))
}

fn duration() -> Panel {
    let timing = chosen(timing());
    Panel::new(
        Kind::Lines,
        "Duration",
        "Click a dot to see the trace of a slow call; compare with what it waited for, below.",
    )
    .unit(Unit::Seconds)
    .promql("p50", quantile("0.5", &[], &timing, STEP))
    .promql("p95", quantile("0.95", &[], &timing, STEP))
    .promql_with_exemplars("p99", quantile("0.99", &[], &timing, STEP))
}

fn heat() -> Panel {
    Panel::new(
        Kind::Heatmap,
        "Duration, every call",
        "Two bands mean two kinds of call: a cache that hits and misses, say.",
    )
    .unit(Unit::Seconds)
    .promql("{{le}}", sum(&["le"], &bucket(&chosen(timing())).increase(STEP)))
}

fn downstream() -> Panel {
    Panel::new(
        Kind::Lines,
        "p99 of the same service's dependencies",
        "The line that rises with the handler's own is the cause.",
    )
    .unit(Unit::Seconds)
    .promql(
        "{{group}}.{{segment}}",
        quantile("0.99", &[label::GROUP, label::SEGMENT], &timing().dependencies(), STEP),
    )
    .no_value("this service reports no dependencies: wrap them in `timed`")
    .link("Dependencies", to(uid::DEPENDENCIES, &[]))
}

fn per_call() -> Panel {
    let calls = sum(&[label::GROUP, label::SEGMENT], &outcomes().dependencies().rate(STEP));
    let requests = sum(&[], &outcomes().handlers().rate(STEP));
    Panel::new(
        Kind::Lines,
        "Dependency calls for each request",
        "A rise is a query in a loop: one call became many.",
    )
    .promql("{{group}}.{{segment}}", format!("{calls} / scalar({requests} > 0)"))
    .no_value("this service reports no dependencies: wrap them in `timed`")
    .link("Dependencies", to(uid::DEPENDENCIES, &[]))
}

fn logs() -> Panel {
    Panel::new(
        Kind::Logs,
        "Errors and warnings",
        "Why. Open a record: its trace id leads to the trace, its request id to every service.",
    )
    .query(Query::Logs {
        lucene: "service.name:$service AND handler:$segment AND (log.level:(error OR warn) OR status:>=500)"
            .to_owned(),
    })
    .no_value("no errors or warnings of this handler in this range")
    .link("In Kibana", kibana("service.name:${service:lucene} AND handler:${segment:lucene}"))
}

fn slow() -> Panel {
    Panel::new(
        Kind::Table,
        "Slow calls",
        "Calls of more than half a second, newest first. Click one for its trace.",
    )
    .query(Query::Records {
        lucene: "service.name:$service AND handler:$segment AND event.duration:>500000000".to_owned(),
        size: 20,
    })
    .columns(&[
        ("@timestamp", "Time", None),
        ("handler", "Handler", None),
        ("status", "Status", None),
        ("event.duration", "Duration", Some(Unit::Nanoseconds)),
        ("trace.id", "Trace", None),
    ])
    .no_value("no call took more than half a second")
    .link("Trace", super::to_row(uid::TRACES, &[("trace", "Trace")]))
}
