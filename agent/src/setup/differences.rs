//! Whether a server holds what it was given: it may add defaults and write values its own way, but nothing may be lost.

use std::collections::BTreeMap;

use serde_json::Value;

/// The first place where `held` lacks what is `wanted`, as a path and both values; `None` when it holds everything.
///
/// Dotted keys equal nested objects, numbers and booleans equal their text, and a list of plain values equals the same
/// values in another order: Elasticsearch gives settings back in that way.
pub(super) fn first(wanted: &Value, held: &Value) -> Option<String> {
    let held = flat(held);
    flat(wanted).into_iter().find_map(|(path, want)| match held.get(&path) {
        Some(have) if *have == want => None,
        // An empty object is held when anything below it, or the object itself, is there.
        _ if want == "{}" && held.keys().any(|key| key.starts_with(&format!("{path}."))) => None,
        Some(have) => Some(format!("{path} is {have}, not {want}")),
        None => Some(format!("{path} is missing; it should be {want}")),
    })
}

fn flat(value: &Value) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    walk(String::new(), value, &mut out);
    out
}

fn walk(path: String, value: &Value, out: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) if map.is_empty() => {
            out.insert(path, "{}".to_owned());
        }
        Value::Object(map) => {
            for (key, value) in map {
                walk(below(key), value, out);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in items.iter().enumerate() {
                walk(below(&index.to_string()), item, out);
            }
        }
        Value::Array(items) => {
            let mut texts: Vec<String> = items.iter().map(text).collect();
            texts.sort();
            out.insert(path, texts.join(", "));
        }
        plain => {
            out.insert(path, text(plain));
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::first;
    use serde_json::json;

    #[test]
    fn defaults_and_spelling_are_no_difference() {
        let wanted =
            json!({ "settings": { "index.limit": 5, "index.on": true }, "names": ["b", "a"], "stream": {} });
        let held = json!({
            "settings": { "index": { "limit": "5", "on": "true", "more": "1" } },
            "names": ["a", "b"], "stream": { "hidden": false }
        });
        assert_eq!(first(&wanted, &held), None);
    }

    #[test]
    fn what_is_lost_or_changed_is_named() {
        let wanted = json!({ "a": { "b": 1 }, "list": [{ "x": "y" }] });
        assert_eq!(
            first(&wanted, &json!({ "a": { "b": 2 }, "list": [] })),
            Some("a.b is 2, not 1".to_owned())
        );
        let lost = first(&wanted, &json!({ "a": { "b": 1 }, "list": [{}] }));
        assert_eq!(lost, Some("list.0.x is missing; it should be y".to_owned()));
    }
}
