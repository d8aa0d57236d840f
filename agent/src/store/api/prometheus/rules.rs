//! `/rules` and `/alerts`: what is evaluated, and what it found.

use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::envelope::Reply;
use crate::store::metrics::labels::Labels;
use crate::store::promql::format;
use crate::store::rules::{Active, Kind, Last, Rule, Rules};

pub(super) fn rules(rules: &Rules, headers: &HeaderMap) -> Response {
    let mut groups = Vec::new();
    rules.each(|group, list| {
        let took: f64 = list.iter().map(|(_, last, _)| last.took.as_secs_f64()).sum();
        let at = list.iter().map(|(_, last, _)| last.at).max().unwrap_or(0);
        groups.push(json!({
            "name": group.name,
            "file": group.file,
            "interval": rules.interval_of(group) as f64 / 1000.0,
            "evaluationTime": took,
            "lastEvaluation": moment(at),
            "rules": list.iter().map(|(rule, last, active)| one(rule, last, active)).collect::<Vec<_>>(),
        }));
    });
    answer(&json!({ "groups": groups }), headers)
}

pub(super) fn alerts(rules: &Rules, headers: &HeaderMap) -> Response {
    let mut alerts = Vec::new();
    rules.each(|_, list| alerts.extend(list.iter().flat_map(|(_, _, active)| active.iter().map(alert))));
    answer(&json!({ "alerts": alerts }), headers)
}

fn answer(data: &Value, headers: &HeaderMap) -> Response {
    match Reply::of(data) {
        Ok(reply) => reply.respond(headers),
        Err(failure) => failure.respond(headers),
    }
}

fn one(rule: &Rule, last: &Last, active: &[Active]) -> Value {
    let mut out = json!({
        "name": rule.name(),
        "query": rule.expr,
        "labels": object(rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        "health": match (&last.error, last.at) { (Some(_), _) => "err", (None, 0) => "unknown", _ => "ok" },
        "evaluationTime": last.took.as_secs_f64(),
        "lastEvaluation": moment(last.at),
    });
    if let Some(error) = &last.error {
        out["lastError"] = json!(error);
    }
    match &rule.kind {
        Kind::Record(_) => out["type"] = json!("recording"),
        Kind::Alert(kind) => {
            out["type"] = json!("alerting");
            out["duration"] = json!(kind.hold as f64 / 1000.0);
            out["keepFiringFor"] = json!(kind.keep as f64 / 1000.0);
            out["annotations"] = object(kind.annotations.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            out["alerts"] = active.iter().map(alert).collect();
            let state = if active.iter().any(|a| a.firing) {
                "firing"
            } else if active.is_empty() {
                "inactive"
            } else {
                "pending"
            };
            out["state"] = json!(state);
        }
    }
    out
}

fn alert(active: &Active) -> Value {
    json!({
        "labels": labels(&active.labels),
        "annotations": object(active.annotations.iter().map(|(n, v)| (n.as_str(), v.as_str()))),
        "state": active.state(),
        "activeAt": moment(active.since),
        "value": format::json(active.value).to_string(),
    })
}

fn labels(labels: &Labels) -> Value {
    object(labels.iter())
}

fn object<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    Value::Object(pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>())
}

fn moment(ms: i64) -> String {
    if ms == 0 {
        return "0001-01-01T00:00:00Z".to_owned();
    }
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}
