//! Every question that the generated files ask, with variables replaced by what stands for "everything".

use serde_json::Value;

use crate::kibana::{self, Show};
use crate::names::field;
use crate::settings::Settings;
use crate::{boards, rules};

use super::elasticsearch::Search;

/// A question and where it is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) place: String,
    pub(super) question: Question,
    /// Silence is the good answer.
    pub(super) alert: bool,
}

impl Asked {
    fn new(place: impl Into<String>, question: Question) -> Self {
        Asked { place: place.into(), question, alert: false }
    }
}

#[derive(Debug)]
pub(super) enum Question {
    /// PromQL.
    Metrics(String),
    /// Lucene, with an aggregation.
    Records(Search),
}

pub(super) fn all() -> anyhow::Result<Vec<Asked>> {
    let mut out = Vec::new();
    for board in boards::all() {
        dashboard(&board.file(), &board.render(), &mut out);
    }
    for file in rules::all(&Settings::committed()?) {
        for rule in file.recordings {
            out.push(Asked::new(format!("rule {}", rule.name), Question::Metrics(rule.expr)));
        }
        for alert in file.alerts {
            // What it compares has to be there, or it could never fire.
            for series in super::prometheus::selectors(&alert.expr) {
                let place = format!("rule {}: {series}", alert.name);
                out.push(Asked::new(place, Question::Metrics(format!("last_over_time({series}[10m])"))));
            }
            let asked = Asked::new(format!("rule {}", alert.name), Question::Metrics(alert.expr));
            out.push(Asked { alert: true, ..asked });
        }
    }
    for search in kibana::searches() {
        let question = Search {
            index: kibana::pattern(search.view),
            lucene: search.lucene,
            terms: None,
            distinct: None,
        };
        out.push(Asked::new(format!("saved search {}", search.title), Question::Records(question)));
    }
    for dashboard in kibana::dashboards() {
        for chart in dashboard.charts {
            let (terms, distinct) = match chart.show {
                Show::Number => (None, None),
                Show::OverTime(by) => (Some(by.to_owned()), None),
                Show::Top(by, distinct) => (Some(by.to_owned()), distinct.map(str::to_owned)),
            };
            let question =
                Search { index: kibana::pattern(dashboard.view), lucene: chart.lucene, terms, distinct };
            out.push(Asked::new(
                format!("kibana {}: {}", dashboard.title, chart.title),
                Question::Records(question),
            ));
        }
    }
    Ok(out)
}

fn dashboard(file: &str, board: &Value, out: &mut Vec<Asked>) {
    for mark in board["annotations"]["list"].as_array().into_iter().flatten() {
        if let Some(expr) = mark["expr"].as_str() {
            out.push(Asked::new(format!("{file}: marks {}", mark["name"]), Question::Metrics(filled(expr))));
        }
    }
    for variable in board["templating"]["list"].as_array().into_iter().flatten() {
        let definition = variable["definition"].as_str().and_then(|text| text.strip_prefix("label_values("));
        if let Some((series, _)) = definition.and_then(|text| text.rsplit_once(',')) {
            out.push(Asked::new(
                format!("{file}: filter {}", variable["name"]),
                Question::Metrics(filled(series)),
            ));
        }
    }
    for panel in board["panels"].as_array().into_iter().flatten() {
        let place = format!("{file}: {}", panel["title"].as_str().unwrap_or_default());
        for target in panel["targets"].as_array().into_iter().flatten() {
            let question = match target["datasource"]["type"].as_str() {
                Some("prometheus") => Question::Metrics(filled(target["expr"].as_str().unwrap_or_default())),
                Some("elasticsearch") => Question::Records(search(target)),
                _ => continue, // one trace by its id: there is no question without the id
            };
            out.push(Asked::new(place.clone(), question));
        }
    }
}

fn search(target: &Value) -> Search {
    let buckets = target["bucketAggs"].as_array().into_iter().flatten();
    let terms =
        buckets.filter_map(|agg| (agg["type"] == "terms").then(|| agg["field"].as_str()).flatten()).next();
    let metrics = target["metrics"].as_array().into_iter().flatten();
    let distinct = metrics
        .filter_map(|agg| (agg["type"] == "cardinality").then(|| agg["field"].as_str()).flatten())
        .next();
    Search {
        index: "logs-*",
        lucene: lucene(target["query"].as_str().unwrap_or_default()),
        terms: terms.map(str::to_owned),
        distinct: distinct.map(str::to_owned),
    }
}

/// PromQL with "all" chosen, over a short step and range.
fn filled(expr: &str) -> String {
    expr.replace("$__rate_interval", "1m")
        .replace("$__range", "30m")
        .replace(":1m]", ":1s]")
        .replace("$environment", ".*")
        .replace("$service", ".*")
        .replace("$segment", ".*")
}

/// Lucene with "all" chosen.
fn lucene(query: &str) -> String {
    query
        .replace("$service", "*")
        .replace("$segment", "*")
        .replace("$query", "*")
        .replace("trace.id:\"$trace\"", &format!("_exists_:{}", field::TRACE_ID))
}
