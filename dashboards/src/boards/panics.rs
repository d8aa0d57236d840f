//! Panics: each should be the last of its kind.

use super::{filtered, kibana, none_is_good};
use crate::grafana::{Board, Kind, Panel, Query};
use crate::names::label;
use crate::promql::{STEP, outcomes, sum};
use crate::uid;

const REPORTS: &str = "event.dataset:*.panic AND service.name:$service";
const NONE: &str = "no panic in this range";

pub(super) fn board() -> Board {
    filtered(Board::new(uid::PANICS, "Panics", "What panicked, where, since which version, and the stack."))
        .range("now-24h", "1m")
        .row("", vec![total(), fresh(), over_time(), by_segment()])
        .row("Reports", vec![kinds(), reports()])
}

fn panics() -> crate::promql::Select {
    outcomes().eq(label::OUTCOME, "panic")
}

fn total() -> Panel {
    Panel::new(
        Kind::Stat,
        "Panics",
        "In the range shown. Any: read the stack below; a panic is always a bug.",
    )
    .promql("", sum(&[], &panics().increase("$__range")))
    .steps(&none_is_good())
}

fn fresh() -> Panel {
    let now = sum(&[], &format!("{} > 0", panics().increase("1h")));
    let before = format!("({} > 0)", sum(&[], &panics().increase("24h").replace("])", "] offset 1h)")));
    Panel::new(
        Kind::Stat,
        "New in the last hour",
        "Panics in the last hour where the day before had none: look at what was deployed.",
    )
    .promql("", format!("({now} unless {before}) or vector(0)"))
    .steps(&none_is_good())
    .link("Deploys", super::to(uid::TRENDS, &[]))
}

fn over_time() -> Panel {
    Panel::new(
        Kind::Bars,
        "Over time",
        "Purple marks are deploys: the bug came with the one before the first bar.",
    )
    .promql("{{service}}", sum(&[label::SERVICE], &panics().increase(STEP)))
    .size(16, 8)
}

fn by_segment() -> Panel {
    Panel::new(
        Kind::BarGauge,
        "By handler or operation",
        "Where. The longest bar first; click it for the handler.",
    )
    .promql("{{service}} {{segment}}", sum(&[label::SERVICE, label::SEGMENT], &panics().increase("$__range")))
    .link("Open this handler", super::to(uid::HANDLER, &[label::SERVICE, label::SEGMENT]))
    .size(24, 6)
}

fn kinds() -> Panel {
    Panel::new(
        Kind::Table,
        "Kinds of panic",
        "Panics with one fingerprint are one bug: fix the most frequent first.",
    )
    .query(Query::Terms {
        lucene: REPORTS.to_owned(),
        terms: vec!["error.fingerprint", "service.name", "handler"],
        distinct: Some("host.name"),
    })
    .columns(&[
        ("error.fingerprint", "Fingerprint", None),
        ("service.name", "Service", None),
        ("handler", "Handler", None),
        ("Count", "Count", None),
        ("Unique Count", "Hosts", None),
    ])
    .no_value(NONE)
    .link("Its reports in Kibana", kibana("error.fingerprint:\"${__data.fields.Fingerprint}\""))
}

fn reports() -> Panel {
    Panel::new(
        Kind::Logs,
        "Reports",
        "The message, the request and the stack. Open one; its trace id leads to the trace.",
    )
    .query(Query::Logs { lucene: REPORTS.to_owned() })
    .no_value(NONE)
    .link("In Kibana", kibana("event.dataset:*.panic"))
    .size(24, 14)
}
