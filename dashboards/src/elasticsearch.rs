//! What Elasticsearch has to know before the first record: mappings, retention, and who may do what.
//!
//! `sightline setup` applies these files in the order of their names.

use serde_json::{Value, json};

use crate::names::{field, kind};

/// Priority above that of the templates that Elasticsearch brings for `logs-*-*`.
const PRIORITY: u32 = 300;

/// The files: name and content.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("10-component-template.sightline-logs@mappings", mappings()),
        (
            "20-index-template.sightline-logs",
            stream(&[kind::APP, kind::PANIC, kind::UNPARSED], "30d", PRIORITY),
        ),
        ("20-index-template.sightline-audit", stream(&[kind::AUDIT], "365d", PRIORITY + 1)),
        ("30-lifecycle-policy.sightline-spans", spans_policy()),
        ("40-legacy-template.sightline-spans", spans_template()),
        (
            "50-role.grafana_reader",
            role(&["monitor"], &["logs-*", "zipkin*"], &["read", "view_index_metadata"]),
        ),
        (
            "50-role.sightline_writer",
            role(&["monitor"], &["logs-*"], &["create_doc", "auto_configure", "view_index_metadata"]),
        ),
        ("50-role.zipkin", role(&["monitor", "manage_index_templates"], &["zipkin*"], &["all"])),
        ("60-user.grafana_reader", user("grafana_reader", "reads logs and spans for Grafana")),
        (
            "60-user.sightline_writer",
            user("sightline_writer", "appends log records; can neither read nor delete"),
        ),
        ("60-user.zipkin", user("zipkin", "Zipkin's storage")),
    ]
}

/// Fields of a record. What is not listed becomes a keyword, up to a limit beyond which it is kept and not indexed.
fn mappings() -> Value {
    let keyword = || json!({ "type": "keyword", "ignore_above": 1024 });
    let keywords = [
        field::LEVEL,
        field::LOGGER,
        field::SERVICE_NAME,
        field::SERVICE_VERSION,
        field::SERVICE_ENVIRONMENT,
        field::HOST_NAME,
        field::TRACE_ID,
        field::SPAN_ID,
        field::HTTP_REQUEST_ID,
        field::HTTP_METHOD,
        field::URL_PATH,
        field::URL_QUERY,
        field::EVENT_DATASET,
        field::EVENT_CATEGORY,
        field::EVENT_OUTCOME,
        field::USER_NAME,
        field::ERROR_TYPE,
        field::ERROR_FINGERPRINT,
        field::HANDLER,
        field::METHOD,
        field::REQUEST_ID,
    ];
    let message = json!({ "type": "text", "fields": { "raw": { "type": "keyword", "ignore_above": 8191 } } });
    let others = [
        (field::TIMESTAMP, json!({ "type": "date" })),
        (field::MESSAGE, message),
        (field::ERROR_MESSAGE, json!({ "type": "text" })),
        (field::ERROR_STACK, json!({ "type": "text" })),
        (field::HTTP_STATUS, json!({ "type": "integer" })),
        (field::STATUS, json!({ "type": "integer" })),
        (field::EVENT_DURATION, json!({ "type": "long" })),
        (field::SOURCE_IP, json!({ "type": "ip" })),
        (field::LABELS, json!({ "type": "flattened", "ignore_above": 1024 })),
    ];
    let mut properties = json!({});
    for (name, mapping) in keywords.into_iter().map(|name| (name, keyword())).chain(others) {
        // `a.b` is the field b of the object a.
        let mut place = &mut properties;
        for (depth, part) in name.split('.').enumerate() {
            place = if depth == 0 { &mut place[part] } else { &mut place["properties"][part] };
        }
        *place = mapping;
    }
    json!({
        "template": {
            "settings": {
                "index.mapping.ignore_malformed": true,
                "index.mapping.total_fields.limit": 1000,
                "index.mapping.total_fields.ignore_dynamic_beyond_limit": true,
                "index.query.default_field": [field::MESSAGE, field::ERROR_MESSAGE, "*"]
            },
            "mappings": {
                "dynamic_templates": [
                    { "text_as_keyword": { "match_mapping_type": "string", "mapping": keyword() } }
                ],
                "properties": properties
            }
        },
        "_meta": { "managed_by": "sightline" }
    })
}

/// Data streams of these kinds of record, kept for `retention`. Patterns with stars in the middle overlap in theory, and
/// Elasticsearch refuses two such templates of one priority.
fn stream(kinds: &[&str], retention: &str, priority: u32) -> Value {
    json!({
        "index_patterns": kinds.iter().map(|kind| format!("logs-*.{kind}-*")).collect::<Vec<_>>(),
        "priority": priority,
        "data_stream": {},
        "composed_of": ["sightline-logs@mappings"],
        "template": {
            "settings": { "index.number_of_replicas": 0 },
            "lifecycle": { "data_retention": retention }
        },
        "_meta": { "managed_by": "sightline" }
    })
}

/// Zipkin writes an index a day and never deletes one.
fn spans_policy() -> Value {
    json!({
        "policy": {
            "phases": { "delete": { "min_age": "7d", "actions": { "delete": {} } } },
            "_meta": { "managed_by": "sightline" }
        }
    })
}

/// Merged with Zipkin's own templates, which are of the same, older kind.
fn spans_template() -> Value {
    json!({
        "index_patterns": ["zipkin*"],
        "order": 100,
        "settings": { "index.lifecycle.name": "sightline-spans" }
    })
}

fn role(cluster: &[&str], names: &[&str], privileges: &[&str]) -> Value {
    json!({
        "cluster": cluster,
        "indices": [{ "names": names, "privileges": privileges }],
        "metadata": { "managed_by": "sightline" }
    })
}

fn user(role: &str, what: &str) -> Value {
    json!({ "roles": [role], "full_name": what, "metadata": { "managed_by": "sightline" } })
}
