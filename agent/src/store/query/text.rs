//! One text out of a stored record, without reading the rest of it where that can be avoided. Pure.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use tantivy::schema::document::{
    DeserializeError, DocumentDeserialize, DocumentDeserializer, ValueDeserialize, ValueDeserializer,
    ValueVisitor,
};

use crate::store::events::record::lookup_str;

/// The record as it came, out of a stored document. The engine's own form of a document is made of every field.
pub(crate) struct Source(pub(crate) Vec<u8>);

impl DocumentDeserialize for Source {
    fn deserialize<'de, D: DocumentDeserializer<'de>>(mut document: D) -> Result<Self, DeserializeError> {
        let mut source = Vec::new();
        while let Some((_, bytes)) = document.next_field::<Bytes>()? {
            // It is the only stored field of bytes.
            if let Bytes(Some(bytes)) = bytes {
                source = bytes;
            }
        }
        Ok(Source(source))
    }
}

/// A stored value if it is one of bytes.
struct Bytes(Option<Vec<u8>>);

impl ValueDeserialize for Bytes {
    fn deserialize<'de, D: ValueDeserializer<'de>>(value: D) -> Result<Self, DeserializeError> {
        value.deserialize_any(BytesOnly)
    }
}

struct BytesOnly;

impl ValueVisitor for BytesOnly {
    type Value = Bytes;

    fn visit_bytes(&self, bytes: Vec<u8>) -> Result<Bytes, DeserializeError> {
        Ok(Bytes(Some(bytes)))
    }

    fn visit_string(&self, _: String) -> Result<Bytes, DeserializeError> {
        Ok(Bytes(None))
    }
}

/// The text that a record has under `path`, nested or spelt flat; none if there is no such text.
pub(crate) fn text_of<'a>(source: &'a [u8], path: &str) -> Option<Cow<'a, str>> {
    // A name with dots may be spelt in several ways.
    if path.contains('.') {
        let serde_json::Value::Object(object) = serde_json::from_slice(source).ok()? else { return None };
        return lookup_str(&object, path).map(|text| Cow::Owned(text.to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(source);
    let raw = Pick(path).deserialize(&mut json).ok()??;
    let Text(text) = serde_json::from_str(raw.get()).ok()?;
    Some(text)
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The value of one key of an object; the last one if there are several, as everywhere.
struct Pick<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(Text(key)) = map.next_key()? {
            if key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn a_text_is_found_however_it_is_spelt() {
        for (source, path, expected) in [
            (r#"{"a":{"message":"no"},"message":"yes"}"#, "message", Some("yes")),
            (r#"{"message":"first","message":"last"}"#, "message", Some("last")),
            (r#"{"m\u0065ssage":"tab\there \u00e9"}"#, "message", Some("tab\there é")),
            (r#"{"message":{"a":1}}"#, "message", None),
            (r#"{"message":5}"#, "message", None),
            (r#"{"a":1}"#, "message", None),
            ("[1]", "message", None),
            ("{", "message", None),
            (r#"{"error":{"message":"x"}}"#, "error.message", Some("x")),
            (r#"{"error.message":"x"}"#, "error.message", Some("x")),
        ] {
            assert_eq!(text_of(source.as_bytes(), path).as_deref(), expected, "{source}");
        }
    }
}
