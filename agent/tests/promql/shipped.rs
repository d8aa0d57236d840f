//! Every PromQL expression that this project ships: panels, variables and annotations of the dashboards, and rules.
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// What the page and Grafana put in the place of variables.
const VARIABLES: [(&str, &str); 7] = [
    ("$__rate_interval", "5m"),
    ("$__range_s", "3600"),
    ("$__range", "1h"),
    ("$__interval", "1m"),
    ("$environment", ".*"),
    ("$service", ".*"),
    ("$segment", ".*"),
];

/// Sorted, each once, with values for variables.
pub(crate) fn expressions() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards");
    let mut found = BTreeSet::new();
    for (folder, end) in [("grafana", ".json"), ("alerts", ".rules.yml")] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if !path.to_string_lossy().ends_with(end) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let value: Value = match end {
                ".json" => serde_json::from_str(&text).unwrap(),
                _ => serde_saphyr::from_str(&text).unwrap(),
            };
            collect(&value, &mut found);
        }
    }
    found.iter().map(|expr| filled(expr)).collect()
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(expr)) = fields.get("expr") {
                found.insert(expr.clone());
            }
            fields.values().for_each(|v| collect(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| collect(v, found)),
        _ => {}
    }
}

fn filled(expr: &str) -> String {
    let mut text = expr.to_owned();
    for (name, value) in VARIABLES {
        text = text.replace(&format!("${{{}}}", &name[1..]), value).replace(name, value);
    }
    assert!(!text.contains('$'), "no value for a variable in {expr}");
    text
}
