//! The slow road for the few objects that are JSON but that Elasticsearch would refuse: duplicate, empty or dotted-out
//! keys, numbers beyond 64 bits, too many members.

use serde_json::{Map, Value};

use super::scan::Broken;

/// Text that keeps the members beyond the limit.
pub const OVERFLOW: &str = "labels.overflow";
const OVERFLOW_BYTES: usize = 32 * 1024;
const KEY_BYTES: usize = 200;

/// Writes `object` anew into `out` (emptied first) so that it can be indexed. Of a key that comes twice the last counts.
pub fn object(object: &[u8], max_fields: usize, out: &mut Vec<u8>) -> Result<(), Broken> {
    let value: Map<String, Value> = serde_json::from_slice(object).map_err(|_| Broken::Syntax)?;
    let mut clean = members(value, true);
    if clean.len() > max_fields {
        let rest: Map<String, Value> = {
            let keys: Vec<String> = clean.keys().skip(max_fields).cloned().collect();
            keys.into_iter().filter_map(|key| clean.remove_entry(&key)).collect()
        };
        let mut text = Value::Object(rest).to_string();
        let mut end = text.len().min(OVERFLOW_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        clean.insert(OVERFLOW.to_owned(), Value::String(text));
    }
    out.clear();
    serde_json::to_writer(&mut *out, &clean).map_err(|_| Broken::Syntax)
}

fn members(map: Map<String, Value>, root: bool) -> Map<String, Value> {
    let mut clean = Map::new();
    for (key, value) in map {
        let mut key = fitting(key, root);
        while clean.contains_key(&key) {
            key.push('_');
        }
        clean.insert(key, self::value(value));
    }
    clean
}

fn value(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(members(map, false)),
        Value::Array(list) => Value::Array(list.into_iter().map(self::value).collect()),
        Value::Number(number) if number.as_i64().is_none() && number.is_u64() => {
            Value::String(number.to_string())
        }
        // A double that single precision cannot hold is still a double to Elasticsearch; beyond it is text.
        Value::Number(number) if number.as_f64().is_some_and(|f| !f.is_finite()) => {
            Value::String(number.to_string())
        }
        other => other,
    }
}

fn fitting(key: String, root: bool) -> String {
    let parts: Vec<&str> = key.split('.').filter(|part| !part.trim().is_empty()).collect();
    let mut fit = if parts.is_empty() { "_".to_owned() } else { parts.join(".") };
    if root && fit.starts_with('_') {
        fit = format!("labels.{fit}");
    }
    if fit.len() > KEY_BYTES {
        let mut end = KEY_BYTES;
        while !fit.is_char_boundary(end) {
            end -= 1;
        }
        fit.truncate(end);
        fit = fit.trim_end_matches('.').to_owned();
    }
    fit
}

#[cfg(test)]
mod tests {
    use super::object;
    use crate::logs::scan::Scan;

    fn clean(text: &str, max: usize) -> String {
        let mut out = Vec::new();
        object(text.as_bytes(), max, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_odd_is_not_odd_afterwards() {
        for (text, expected) in [
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"":1,".a.":{"b..c":1}}"#, r#"{"a":{"b.c":1},"labels._":1}"#),
            (r#"{"_id":"x"}"#, r#"{"labels._id":"x"}"#),
            (r#"{"n":18446744073709551615,"m":-1}"#, r#"{"m":-1,"n":"18446744073709551615"}"#),
            (r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"b":2,"labels.overflow":"{\"c\":3}"}"#),
        ] {
            let text = clean(text, 2);
            assert_eq!(text, expected);
            let mut scan = Scan::default();
            scan.object(text.as_bytes(), 0).unwrap();
            assert!(!scan.odd, "{text}");
        }
    }
}
