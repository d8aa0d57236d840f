//! The dashboards, one file each, and what they share: filters and links.

mod agent;
mod dependencies;
mod handler;
mod health;
mod home;
mod logs;
mod panics;
mod security;
mod service;
mod traces;
mod trends;

use crate::grafana::{Board, Step, Variable};
use crate::names::{label, metric};

/// Every dashboard, in the order of a person's way from the number that changed to its cause.
pub fn all() -> Vec<Board> {
    vec![
        home::board(),
        service::board(),
        handler::board(),
        dependencies::board(),
        panics::board(),
        health::board(),
        trends::board(),
        security::board(),
        agent::board(),
        logs::board(),
        traces::board(),
    ]
}

/// Green below `warn`, orange from it on, red from `bad` on.
fn steps(warn: f64, bad: f64) -> [Step; 3] {
    [Step(None, "green"), Step(Some(warn), "orange"), Step(Some(bad), "red")]
}

/// Red as soon as there is one.
fn none_is_good() -> [Step; 2] {
    [Step(None, "green"), Step(Some(1e-9), "red")]
}

/// The filters environment and service, and the hidden addresses that links use.
fn filtered(board: Board) -> Board {
    let environment = Variable::Label {
        name: "environment",
        label: label::ENVIRONMENT,
        series: metric::OUTCOMES.to_owned(),
    };
    let service = Variable::Label {
        name: "service",
        label: label::SERVICE,
        series: format!("{}{{{}=~\"$environment\"}}", metric::OUTCOMES, label::ENVIRONMENT),
    };
    board
        .variable(environment)
        .variable(service)
        .variable(Variable::Address { name: "kibana", value: "http://localhost:5601" })
        .variable(Variable::Address { name: "zipkin", value: "http://localhost:9411" })
}

/// A link to another dashboard that carries the filters, the range, and what was clicked.
fn to(uid: &str, clicked: &[&str]) -> String {
    let mut url = format!("/d/{uid}?${{environment:queryparam}}");
    if !clicked.contains(&label::SERVICE) {
        url.push_str("&${service:queryparam}");
    }
    for label in clicked {
        url.push_str(&format!("&var-{label}=${{__field.labels.{label}}}"));
    }
    url.push_str("&${__url_time_range}");
    url
}

/// The same from a row of a table.
fn to_row(uid: &str, clicked: &[(&str, &str)]) -> String {
    let mut url = format!("/d/{uid}?${{environment:queryparam}}");
    if !clicked.iter().any(|(label, _)| *label == label::SERVICE) {
        url.push_str("&${service:queryparam}");
    }
    for (label, heading) in clicked {
        url.push_str(&format!("&var-{label}=${{__data.fields[\"{heading}\"]}}"));
    }
    url.push_str("&${__url_time_range}");
    url
}

/// Kibana's Discover over the shown range with a Lucene query.
fn kibana(lucene: &str) -> String {
    let quoted = lucene.replace('\'', "!'");
    format!(
        "${{kibana}}/app/discover#/?_g=(time:(from:'${{__from:date:iso}}',to:'${{__to:date:iso}}'))\
         &_a=(dataViewId:logs,query:(language:lucene,query:'{quoted}'))"
    )
}
