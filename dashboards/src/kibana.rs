//! What Kibana is given: data views, saved searches and dashboards, each with a fixed id.

use serde_json::{Value, json};

use crate::names::field;

/// The files: name and content.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![("data-views", data_views())]
}

/// The first one is the default.
fn data_views() -> Value {
    let view = |id: &str, name: &str, title: &str, time: &str| json!({ "id": id, "name": name, "title": title, "timeFieldName": time });
    json!([
        view("logs", "Logs", "logs-*", field::TIMESTAMP),
        view("logs-panic", "Panics", "logs-*.panic-*", field::TIMESTAMP),
        view("logs-audit", "Audit", "logs-*.audit-*", field::TIMESTAMP),
        view("spans", "Spans", "zipkin*span-*", "timestamp_millis"),
    ])
}
