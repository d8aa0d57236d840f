//! One record's JSON to the document that the index keeps. Pure.
//!
//! Objects and arrays are flattened to dotted paths. What is too long, too deep or too many stays in the stored source
//! and is found by word, so a strange record costs a bounded amount and is never refused.

use serde_json::{Map, Value};
use tantivy::schema::{OwnedValue, TantivyDocument};

use sightline_instrument::wire::field;

use super::schema::{Fields, Kind};

/// Longer strings have no exact value, as with Elasticsearch's `ignore_above`.
const LONGEST_VALUE: usize = 1024;
/// Values of one record that get a path of their own.
const MOST_VALUES: usize = 512;
const DEEPEST: usize = 20;
/// Bytes of text of one record that are searched by word, message apart.
const MOST_TEXT: usize = 32 * 1024;

/// A record ready to be indexed.
pub(crate) struct Record<'a> {
    /// Fixed id.
    pub id: &'a str,
    /// Data stream.
    pub stream: &'a str,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Parsed source.
    pub object: Map<String, Value>,
    /// Source as it came.
    pub source: &'a [u8],
}

/// Says whether a path may have a column of its own: new paths beyond a bound may not.
pub(crate) trait Paths {
    /// True if `path` is known or there is room for it.
    fn admit(&mut self, path: &str) -> bool;
}

/// Builds the document.
pub(crate) fn document(
    fields: &Fields,
    kind: Kind,
    record: Record<'_>,
    order: u64,
    paths: &mut dyn Paths,
) -> TantivyDocument {
    let mut doc = TantivyDocument::with_capacity(record.source.len() * 3);
    doc.add_date(fields.timestamp, tantivy::DateTime::from_timestamp_millis(record.at_ms));
    doc.add_u64(fields.order, order);
    doc.add_text(fields.id, record.id);
    doc.add_text(fields.stream, record.stream);
    doc.add_bytes(fields.source, record.source);
    let mut flat = Flat { fields, kind, doc: &mut doc, values: Vec::new(), text: 0, paths };
    flat.object(&mut String::new(), record.object, 0);
    if kind == Kind::Spans {
        flat.annotation_queries();
    }
    let values = std::mem::take(&mut flat.values);
    doc.add_field_value(fields.rest, &OwnedValue::Object(values));
    doc
}

struct Flat<'a> {
    fields: &'a Fields,
    kind: Kind,
    doc: &'a mut TantivyDocument,
    values: Vec<(String, OwnedValue)>,
    text: usize,
    paths: &'a mut dyn Paths,
}

impl Flat<'_> {
    fn object(&mut self, path: &mut String, object: Map<String, Value>, depth: usize) {
        for (key, value) in object {
            let before = path.len();
            if before > 0 {
                path.push('.');
            }
            path.push_str(&key);
            self.value(path, value, depth);
            path.truncate(before);
        }
    }

    fn value(&mut self, path: &mut String, value: Value, depth: usize) {
        match value {
            Value::Null => {}
            Value::Object(object) if depth < DEEPEST => self.object(path, object, depth + 1),
            Value::Array(items) if depth < DEEPEST => {
                for item in items {
                    self.value(path, item, depth + 1);
                }
            }
            Value::Object(_) | Value::Array(_) => {}
            Value::String(text) => self.string(path, text),
            Value::Bool(b) => self.keep(path, OwnedValue::Bool(b)),
            Value::Number(number) => {
                let value = if let Some(n) = number.as_i64() {
                    OwnedValue::I64(n)
                } else if let Some(n) = number.as_u64() {
                    OwnedValue::U64(n)
                } else {
                    OwnedValue::F64(number.as_f64().unwrap_or_default())
                };
                self.keep(path, value);
            }
        }
    }

    fn string(&mut self, path: &str, text: String) {
        let own = match path {
            field::TIMESTAMP if self.kind == Kind::Logs => return,
            field::MESSAGE => Some(self.fields.message),
            field::ERROR_MESSAGE if self.kind == Kind::Logs => Some(self.fields.error_message),
            field::ERROR_STACK if self.kind == Kind::Logs => Some(self.fields.stack),
            _ => None,
        };
        if let Some(own) = own {
            self.doc.add_text(own, &text);
            return;
        }
        if self.text < MOST_TEXT {
            self.text += text.len();
            self.doc.add_text(self.fields.any, cut(&text, MOST_TEXT));
        }
        if text.len() <= LONGEST_VALUE {
            // Zipkin compares names of services and spans in lower case.
            let lower = self.kind == Kind::Spans
                && matches!(path, "name" | "localEndpoint.serviceName" | "remoteEndpoint.serviceName");
            self.keep(path, OwnedValue::Str(if lower { text.to_lowercase() } else { text }));
        }
    }

    fn keep(&mut self, path: &str, value: OwnedValue) {
        if self.values.len() < MOST_VALUES && self.paths.admit(path) {
            self.values.push((path.to_owned(), value));
        }
    }

    /// Zipkin's annotation query asks for `key`, `key=value` or the text of an annotation, each as one exact value.
    fn annotation_queries(&mut self) {
        let mut queries = Vec::new();
        for (path, value) in &self.values {
            if let (Some(key), OwnedValue::Str(text)) = (path.strip_prefix("tags."), value) {
                queries.push(key.to_owned());
                queries.push(format!("{key}={text}"));
            } else if let ("annotations.value", OwnedValue::Str(text)) = (path.as_str(), value) {
                queries.push(text.clone());
            }
        }
        queries.retain(|q| q.len() <= LONGEST_VALUE);
        self.values.extend(queries.into_iter().map(|q| (QUERY_PATH.to_owned(), OwnedValue::Str(q))));
    }
}

/// Path of the exact values that Zipkin's annotation query asks for.
pub(crate) const QUERY_PATH: &str = "_q";

fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Milliseconds since 1970 of an RFC 3339 text or of a number of (fractional) milliseconds.
pub(crate) fn millis(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => parse_rfc3339(text),
        Value::Number(n) => n.as_f64().map(|ms| ms as i64),
        _ => None,
    }
}

/// Milliseconds since 1970 of an RFC 3339 text.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    let at = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// A field of a source by its dotted name, whether the source nests it, spells it flat, or mixes both.
pub(crate) fn lookup<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let mut from = 0;
    while let Some(dot) = path[from..].find('.') {
        let (head, tail) = (&path[..from + dot], &path[from + dot + 1..]);
        if let Some(Value::Object(inner)) = object.get(head)
            && let Some(found) = lookup(inner, tail)
        {
            return Some(found);
        }
        from += dot + 1;
    }
    None
}

/// [`lookup`] of a string.
pub(crate) fn lookup_str<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a str> {
    lookup(object, path).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{lookup, parse_rfc3339};

    #[test]
    fn a_field_is_found_nested_flat_and_mixed() {
        for source in [
            json!({"http": {"request": {"id": "7"}}}),
            json!({"http.request.id": "7"}),
            json!({"http": {"request.id": "7"}}),
            json!({"http.request": {"id": "7"}}),
            json!({"http": {"other": 1}, "http.request": {"id": "7"}}),
        ] {
            let object = source.as_object().unwrap();
            assert_eq!(lookup(object, "http.request.id"), Some(&json!("7")), "{source}");
            assert_eq!(lookup(object, "http.request.no"), None);
        }
    }

    #[test]
    fn timestamps_before_1970_round_down() {
        assert_eq!(parse_rfc3339("1970-01-01T00:00:00.001Z"), Some(1));
        assert_eq!(parse_rfc3339("1969-12-31T23:59:59.9995Z"), Some(-1));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }
}
