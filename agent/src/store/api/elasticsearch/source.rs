//! Which fields of a hit are shown: `_source`, `fields` and `docvalue_fields`. Pure.

use serde_json::{Map, Value, json};

use super::error::EsError;

/// What a request wants to see of each hit.
pub(super) struct Wanted {
    whole: bool,
    includes: Vec<String>,
    excludes: Vec<String>,
    fields: Vec<String>,
}

impl Wanted {
    /// Reads the body of a search.
    pub(super) fn from(body: &Value) -> Result<Self, EsError> {
        let list = |value: &Value| -> Vec<String> {
            match value {
                Value::String(one) => one.split(',').map(str::to_owned).collect(),
                Value::Array(many) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                _ => Vec::new(),
            }
        };
        let (whole, includes, excludes) = match body.get("_source") {
            None | Some(Value::Null | Value::Bool(true)) => (true, Vec::new(), Vec::new()),
            Some(Value::Bool(false)) => (false, Vec::new(), Vec::new()),
            Some(value @ (Value::String(_) | Value::Array(_))) => (true, list(value), Vec::new()),
            Some(Value::Object(object)) => {
                let of =
                    |a: &str, b: &str| object.get(a).or_else(|| object.get(b)).map(list).unwrap_or_default();
                (true, of("includes", "include"), of("excludes", "exclude"))
            }
            Some(other) => return Err(EsError::parsing(format!("[_source] cannot be {other}"))),
        };
        let mut fields = Vec::new();
        for key in ["fields", "docvalue_fields"] {
            for item in body.get(key).and_then(Value::as_array).into_iter().flatten() {
                fields.extend(item.as_str().or_else(|| item.get("field")?.as_str()).map(str::to_owned));
            }
        }
        Ok(Wanted { whole, includes, excludes, fields })
    }

    /// The source as wanted.
    pub(super) fn source(&self, source: Value) -> Option<Value> {
        if !self.whole {
            return None;
        }
        if self.includes.is_empty() && self.excludes.is_empty() {
            return Some(source);
        }
        Some(self.filter(source, "").unwrap_or_else(|| json!({})))
    }

    fn filter(&self, value: Value, path: &str) -> Option<Value> {
        match value {
            Value::Object(object) => {
                let kept: Map<String, Value> = object
                    .into_iter()
                    .filter_map(|(key, value)| {
                        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                        self.filter(value, &path).map(|value| (key, value))
                    })
                    .collect();
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            value => self.keeps(path).then_some(value),
        }
    }

    fn keeps(&self, path: &str) -> bool {
        let covers = |pattern: &String| {
            matches(pattern, path)
                || path.strip_prefix(pattern.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        (self.includes.is_empty() || self.includes.iter().any(covers)) && !self.excludes.iter().any(covers)
    }

    /// The flat `fields` of a hit: each a list, as Elasticsearch has it.
    pub(super) fn fields(&self, source: &Value) -> Option<Value> {
        if self.fields.is_empty() {
            return None;
        }
        let mut found = Map::new();
        flatten(source, "", &mut |path, value| {
            if self.fields.iter().any(|pattern| matches(pattern, path))
                && let Value::Array(list) = found.entry(path.to_owned()).or_insert_with(|| json!([]))
            {
                list.push(value.clone());
            }
        });
        Some(Value::Object(found))
    }
}

/// Visits every plain value with its dotted path.
pub(crate) fn flatten(value: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Null => {}
        Value::Object(object) => {
            for (key, value) in object {
                if path.is_empty() {
                    flatten(value, key, visit);
                } else {
                    flatten(value, &format!("{path}.{key}"), visit);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| flatten(item, path, visit)),
        value => visit(path, value),
    }
}

/// `labels.*` against a path. Linear in practice: patterns have one or two stars.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((head, tail)) => path.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Wanted;

    #[test]
    fn sources_are_cut_to_what_is_wanted() {
        let source = json!({"a": {"b": 1, "c": 2}, "d.e": [1, 2], "f": "x"});
        let see = |body| Wanted::from(&body).unwrap().source(source.clone());
        assert_eq!(see(json!({})), Some(source.clone()));
        assert_eq!(see(json!({"_source": false})), None);
        assert_eq!(see(json!({"_source": "a"})), Some(json!({"a": {"b": 1, "c": 2}})));
        assert_eq!(see(json!({"_source": ["a.b", "d.*"]})), Some(json!({"a": {"b": 1}, "d.e": [1, 2]})));
        assert_eq!(see(json!({"_source": {"excludes": ["a", "f"]}})), Some(json!({"d.e": [1, 2]})));
        assert_eq!(see(json!({"_source": ["nothing"]})), Some(json!({})));
        let fields = Wanted::from(&json!({"fields": ["a.*", {"field": "d.e"}]})).unwrap().fields(&source);
        assert_eq!(fields, Some(json!({"a.b": [1], "a.c": [2], "d.e": [1, 2]})));
    }
}
