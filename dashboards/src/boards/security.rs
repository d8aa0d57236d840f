//! Security: who fails to sign in, from where, against which accounts, and whether it then worked.

use super::{filtered, kibana};
use crate::grafana::{Board, Kind, Panel, Query, Unit};
use crate::names::{agent, label};
use crate::promql::{STEP, outcomes, sum};
use crate::uid;

const FAILED: &str = "event.category:authentication AND event.outcome:failure AND service.name:$service";
const WORKED: &str = "event.category:authentication AND event.outcome:success AND service.name:$service";
const NONE: &str = "no failed sign-in in this range";

pub(super) fn board() -> Board {
    filtered(Board::new(
        uid::SECURITY,
        "Security",
        "Failed sign-ins by address and by account: block, reset, or let be.",
    ))
    .range("now-24h", "1m")
    .row("", vec![rate(), ratio(), guessing()])
    .row("From where, against whom", vec![addresses(), users(), worked()])
    .row("", vec![over_time(), validation()])
    .row("Records", vec![records()])
}

fn auth() -> crate::promql::Select {
    outcomes().eq(label::GROUP, "auth")
}

fn rate() -> Panel {
    Panel::new(
        Kind::Bars,
        "Sign-ins by outcome",
        "Failures that rise while successes do not are an attack or a broken client.",
    )
    .unit(Unit::PerSecond)
    .promql("{{service}} {{outcome}}", sum(&[label::SERVICE, label::OUTCOME], &auth().rate(STEP)))
    .no_value("no service reports sign-ins: call security::auth_failed")
    .size(8, 8)
}

fn ratio() -> Panel {
    Panel::new(
        Kind::Lines,
        "Failed share",
        "Near 1 from one service: its password store is down. Slowly rising: somebody is guessing.",
    )
    .unit(Unit::Ratio)
    .promql("{{service}}", crate::promql::error_ratio(&[label::SERVICE], &auth(), STEP))
    .no_value("no service reports sign-ins: call security::auth_failed")
    .bounds(0.0, 1.0)
    .size(8, 8)
}

fn guessing() -> Panel {
    Panel::new(
        Kind::Lines,
        "Addresses that guess",
        "Failed sign-ins of the last five minutes, of the twenty worst addresses. Above 20 AuthBruteForce tells: block it, or find the script with the old password.",
    )
    .promql(
        "{{service}} {{source_ip}}",
        sum(
            &[label::SERVICE, agent::SOURCE_IP],
            &crate::promql::Select::chosen(agent::AUTH_FAILURES).to_string(),
        ),
    )
    .steps(&super::steps(20.0, 100.0))
    .no_value("no address fails often")
    .size(8, 8)
}

fn addresses() -> Panel {
    Panel::new(
        Kind::Table,
        "Failures by address",
        "Many users from one address is spraying: block it. One user: a person who forgot, or a script with an old password.",
    )
    .query(Query::Terms { lucene: FAILED.to_owned(), terms: vec!["source.ip"], distinct: Some("user.name") })
    .columns(&[("source.ip", "Address", None), ("Count", "Failures", None), ("Unique Count", "Users", None)])
    .no_value(NONE)
    .link("Its records in Kibana", kibana("source.ip:\"${__data.fields.Address}\""))
    .size(8, 10)
}

fn users() -> Panel {
    Panel::new(
        Kind::Table,
        "Failures by user",
        "One user from many addresses is stuffing: reset that password and tell its owner.",
    )
    .query(Query::Terms { lucene: FAILED.to_owned(), terms: vec!["user.name"], distinct: Some("source.ip") })
    .columns(&[("user.name", "User", None), ("Count", "Failures", None), ("Unique Count", "Addresses", None)])
    .no_value(NONE)
    .link("Its records in Kibana", kibana("user.name:\"${__data.fields.User}\""))
    .size(8, 10)
}

fn worked() -> Panel {
    Panel::new(
        Kind::Table,
        "Successes by address",
        "An address that leads the failures and stands here too got in: lock the account first, ask later.",
    )
    .query(Query::Terms { lucene: WORKED.to_owned(), terms: vec!["source.ip"], distinct: Some("user.name") })
    .columns(&[("source.ip", "Address", None), ("Count", "Successes", None), ("Unique Count", "Users", None)])
    .no_value("no successful sign-in is reported in this range")
    .link("Its records in Kibana", kibana("source.ip:\"${__data.fields.Address}\""))
    .size(8, 10)
}

fn over_time() -> Panel {
    Panel::new(
        Kind::Bars,
        "Failures over time by address",
        "A steady low rate from many addresses is one attacker with many machines.",
    )
    .query(Query::Volume { lucene: FAILED.to_owned(), by: Some("source.ip") })
    .no_value(NONE)
}

fn validation() -> Panel {
    Panel::new(
        Kind::Bars,
        "Input refused by address",
        "Bad requests by address over time: one that tries many things is probing.",
    )
    .query(Query::Volume {
        lucene: "status:[400 TO 499] AND service.name:$service".to_owned(),
        by: Some("source.ip"),
    })
    .no_value("no request was refused in this range")
}

fn records() -> Panel {
    Panel::new(
        Kind::Logs,
        "Audit records",
        "Who, what, when, from where, why and how. These are kept for a year, not for a month.",
    )
    .query(Query::Logs { lucene: "event.category:authentication AND service.name:$service".to_owned() })
    .no_value("no audit record in this range")
    .link("In Kibana", kibana("event.category:authentication"))
}
