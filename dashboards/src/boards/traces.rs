//! Traces: one by its id, and the requests worth looking at.

use super::{filtered, kibana, to_row};
use crate::grafana::{Board, Kind, Panel, Query, Unit, Variable};
use crate::uid;

pub(super) fn board() -> Board {
    filtered(Board::new(
        uid::TRACES,
        "Traces",
        "One trace as a waterfall, with its log records; and requests that were slow or failed.",
    ))
    .variable(Variable::Text { name: "trace", title: "Trace id", value: "" })
    .row("The trace", vec![waterfall(), records()])
    .row(
        "Worth a look",
        vec![
            requests(
                "Slow requests",
                "Slower than half a second, newest first. Click one to see where the time went.",
                "event.duration:>500000000",
            ),
            requests(
                "Failed requests",
                "Answered with 500 or above, newest first. Click one to see where it broke.",
                "status:>=500",
            ),
        ],
    )
}

fn waterfall() -> Panel {
    Panel::new(
        Kind::Trace,
        "Trace",
        "Where the time went. The longest bar without a child below it did the waiting itself.",
    )
    .query(Query::Trace { id: "$trace".to_owned() })
    .no_value("paste a trace id above, or click a request below")
    .link("In Zipkin", "${zipkin}/zipkin/traces/${trace}".to_owned())
    .size(24, 12)
}

fn records() -> Panel {
    Panel::new(Kind::Logs, "Its log records", "What each service said during this trace.")
        .query(Query::Logs { lucene: "trace.id:\"$trace\"".to_owned() })
        .no_value("no record carries this trace id")
        .link("In Kibana", kibana("trace.id:\"${trace}\""))
        .size(24, 8)
}

fn requests(title: &str, help: &str, lucene: &str) -> Panel {
    Panel::new(Kind::Table, title, help)
        .query(Query::Records { lucene: format!("service.name:$service AND {lucene}"), size: 50 })
        .columns(&[
            ("@timestamp", "Time", None),
            ("service.name", "Service", None),
            ("handler", "Handler", None),
            ("status", "Status", None),
            ("event.duration", "Duration", Some(Unit::Nanoseconds)),
            ("trace.id", "Trace", None),
        ])
        .no_value("none in this range")
        .link("Show this trace", to_row(uid::TRACES, &[("trace", "Trace")]))
        .size(12, 12)
}
