//! Log records: how many, how bad, and the records themselves.

use super::{filtered, kibana};
use crate::grafana::{Board, Kind, Panel, Query, Variable};
use crate::uid;

const CHOSEN: &str = "service.name:$service AND ($query)";

pub(super) fn board() -> Board {
    filtered(Board::new(uid::LOG_SEARCH, "Logs", "Records of the chosen services that match a Lucene query."))
        .variable(Variable::Text { name: "query", title: "Lucene query", value: "*" })
        .row("", vec![volume(), by_service(), by_dataset()])
        .row("", vec![records()])
}

fn volume() -> Panel {
    Panel::new(
        Kind::Bars,
        "Records by level",
        "A wall of errors has a beginning: click there and narrow the range.",
    )
    .query(Query::Volume { lucene: CHOSEN.to_owned(), by: Some("log.level") })
    .size(12, 7)
}

fn by_service() -> Panel {
    Panel::new(
        Kind::Bars,
        "Records by service",
        "A service that went quiet stopped, or cannot reach the agent.",
    )
    .query(Query::Volume { lucene: CHOSEN.to_owned(), by: Some("service.name") })
    .size(12, 7)
}

fn by_dataset() -> Panel {
    Panel::new(
        Kind::Bars,
        "Records by kind",
        "Any `unparsed`: a client sends lines that are not JSON; find it by host.name.",
    )
    .query(Query::Volume { lucene: CHOSEN.to_owned(), by: Some("event.dataset") })
    .size(24, 6)
}

fn records() -> Panel {
    Panel::new(
        Kind::Logs,
        "Records",
        "Try `status:200 AND method:POST`, or a request_id to see one request across all services. trace.id leads to the trace.",
    )
    .query(Query::Logs { lucene: CHOSEN.to_owned() })
    .no_value("no record matches in this range")
    .link("In Kibana", kibana("${query}"))
    .size(24, 20)
}

/// Records of the chosen services that match `lucene`.
pub(super) fn of_service(title: &str, lucene: &str) -> Panel {
    Panel::new(
        Kind::Logs,
        title,
        "Why. Open a record: its trace id leads to the trace, its request id to every service.",
    )
    .query(Query::Logs { lucene: format!("service.name:$service AND {lucene}") })
    .no_value("no such record in this range")
    .link("In Kibana", kibana(&format!("service.name:${{service:lucene}} AND {lucene}")))
}
