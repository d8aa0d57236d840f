//! `labels` flattened: ECS wants one level of strings there.

use serde_json::{Map, Value};

/// `object` with all values as strings under dotted names; `None` if it is flat already.
pub fn flatten(object: &[u8]) -> Option<Vec<u8>> {
    let map: Map<String, Value> = serde_json::from_slice(object).ok()?;
    if map.values().all(Value::is_string) {
        return None;
    }
    let mut flat = Map::new();
    for (key, value) in map {
        put(key, value, &mut flat);
    }
    serde_json::to_vec(&flat).ok()
}

fn put(key: String, value: Value, flat: &mut Map<String, Value>) {
    match value {
        Value::Object(map) => {
            map.into_iter().for_each(|(inner, value)| put(format!("{key}.{inner}"), value, flat))
        }
        Value::Null => {}
        Value::String(_) => {
            flat.insert(key, value);
        }
        other => {
            flat.insert(key, Value::String(other.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn labels_become_one_level_of_strings() {
        let flat = super::flatten(br#"{"a":1,"b":{"c":true,"d":[1,"x"]},"e":"s","n":null}"#).unwrap();
        assert_eq!(String::from_utf8(flat).unwrap(), r#"{"a":"1","b.c":"true","b.d":"[1,\"x\"]","e":"s"}"#);
        assert_eq!(super::flatten(br#"{"a":"1"}"#), None);
    }
}
