//! One text out of a stored record, without reading the rest of it where that can be avoided. Pure.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr2, memmem};

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

/// The same within the stored form of a document, without taking anything apart; none where that form is not as
/// expected: whoever asks reads it with the engine then.
pub(crate) fn source_in(stored: &[u8]) -> Option<&[u8]> {
    /// What the engine writes before a text and before bytes.
    const TEXT: u8 = 0;
    const BYTES: u8 = 4;
    let (fields, mut rest) = number(stored)?;
    for _ in 0..fields {
        let kind = *rest.get(4)?; // after the field's own number
        let (length, after) = number(&rest[5..])?;
        let (value, after) = after.split_at_checked(length)?;
        match kind {
            BYTES => return Some(value),
            TEXT => rest = after,
            _ => return None,
        }
    }
    None
}

/// A number in seven bits a byte, the lowest first, the last byte marked.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (i, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 != 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

/// A quick look for the text under one path.
pub(crate) struct Quick {
    key: memmem::Finder<'static>,
}

impl Quick {
    pub(crate) fn new(path: &str) -> Self {
        Quick { key: memmem::Finder::new(&format!("\"{path}\"")).into_owned() }
    }

    /// What [`text_of`] finds, for a record whose spelling leaves no doubt; none otherwise.
    ///
    /// A key in quotes followed by a colon is a key wherever it stands in JSON. It is one of the record itself when no
    /// object and no list begins before it, and the last of its name when neither it nor an escape comes again after its
    /// value.
    pub(crate) fn look<'a>(&self, source: &'a [u8]) -> Option<Cow<'a, str>> {
        let at = self.key.find(source)?;
        let before = source.get(1..at)?;
        if before.last() == Some(&b'\\') || memchr2(b'{', b'[', before).is_some() {
            return None;
        }
        // From the opening quote of the value.
        let value = source[at + self.key.needle().len()..].strip_prefix(b":")?;
        let inside = value.strip_prefix(b"\"")?;
        let mut end = 0;
        loop {
            end += memchr2(b'"', b'\\', inside.get(end..)?)?;
            if inside[end] == b'"' {
                break;
            }
            end += 2;
        }
        let (text, rest) = inside.split_at(end);
        if memchr(b'\\', rest).is_some() || self.key.find(rest).is_some() {
            return None;
        }
        if memchr(b'\\', text).is_none() {
            return std::str::from_utf8(text).ok().map(Cow::Borrowed);
        }
        let quoted = std::str::from_utf8(&value[..end + 2]).ok()?;
        serde_json::from_str::<Text<'_>>(quoted).ok().map(|Text(text)| text)
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
    use super::{Quick, Source, source_in, text_of};
    use proptest::prelude::*;

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

    #[test]
    fn the_quick_look_agrees_or_abstains() {
        for (source, looked) in [
            (r#"{"@timestamp":"x","message":"a \"b\" c","n":1}"#, true),
            (r#"{"message":"","status":200,"a":{"b":[1]}}"#, true),
            (r#"{"a":{"message":"no"},"message":"yes"}"#, false),
            (r#"{"a":["message"],"b":1}"#, false),
            (r#"{"message":"first","message":"last"}"#, false),
            (r#"{"message":"first","m\u0065ssage":"last"}"#, false),
            (r#"{"message":"first","message" : "last"}"#, false),
            (r#"{"x\"message":"no"}"#, false),
            (r#"{"k":"message","message":"yes"}"#, false),
            (r#"{"message":{"a":1}}"#, false),
            (r#"{"message":5}"#, false),
        ] {
            let quick = Quick::new("message").look(source.as_bytes());
            assert_eq!(quick.is_some(), looked, "{source}");
            if looked {
                assert_eq!(quick, text_of(source.as_bytes(), "message"), "{source}");
            }
        }
    }

    proptest! {
        /// Whatever a record looks like: what the quick look finds is what reading all of it finds.
        #[test]
        fn the_quick_look_never_errs(
            pairs in proptest::collection::vec(
                ("(message|m\\\\u0065ssage|x|\\\\\"message|\\\\\\\\)", "(\"[a-c]*\"|\"message\"|\"\\\\\"message\\\\\":\\\\\"\"|\"\\\\\\\\\"|7|\\{\"message\":\"in\"\\}|\\[\"message\"\\])"), 0..5),
            space in any::<bool>(),
        ) {
            let colon = if space { "\": " } else { "\":" };
            let body = pairs.iter().map(|(k, v)| format!("\"{k}{colon}{v}")).collect::<Vec<_>>().join(",");
            let source = format!("{{{body}}}");
            prop_assert!(serde_json::from_str::<serde_json::Value>(&source).is_ok(), "{}", source);
            if let Some(text) = Quick::new("message").look(source.as_bytes()) {
                prop_assert_eq!(Some(text), text_of(source.as_bytes(), "message"), "{}", source);
            }
        }
    }

    /// The engine's own form on disk: should it change, this fails and searches read with the engine.
    #[test]
    fn the_source_is_found_in_the_engines_own_form() {
        use tantivy::schema::{STORED, STRING, Schema};
        let mut schema = Schema::builder();
        let (id, stream) =
            (schema.add_text_field("id", STRING | STORED), schema.add_text_field("s", STRING | STORED));
        let source = schema.add_bytes_field("source", STORED);
        let index = tantivy::Index::create_in_ram(schema.build());
        let mut writer = index.writer_with_num_threads(1, 15_000_000).unwrap();
        for length in [0, 1, 127, 128, 200, 20_000] {
            let body = vec![b'x'; length];
            writer
                .add_document(tantivy::doc!(id => "i".repeat(length), stream => "logs", source => body))
                .unwrap();
        }
        writer.commit().unwrap();
        let searcher = index.reader().unwrap().searcher();
        for segment in searcher.segment_readers() {
            let store = segment.get_store_reader(1).unwrap();
            for doc in 0..segment.max_doc() {
                let Source(read) = store.get(doc).unwrap();
                let stored = store.get_document_bytes(doc).unwrap();
                assert_eq!(source_in(&stored), Some(&read[..]));
                for cut in 0..stored.len().min(300) {
                    let _ = source_in(&stored[..cut]);
                }
            }
        }
    }
}
