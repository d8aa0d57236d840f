//! Writes JSON by hand into a byte buffer: escaping, numbers, and `,"key":value` members.

use std::fmt;

/// Whether `text` can stand in a JSON string as it is. Looks at sixteen bytes at a time: nearly all texts can.
pub(crate) fn plain(text: &str) -> bool {
    let special = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\');
    let mut chunks = text.as_bytes().chunks_exact(16);
    for chunk in &mut chunks {
        if chunk.iter().fold(false, |any, b| any | special(*b)) {
            return false;
        }
    }
    !chunks.remainder().iter().fold(false, |any, b| any | special(*b))
}

/// Appends `text` as the inside of a JSON string.
pub(crate) fn escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if plain(text) {
        out.extend_from_slice(bytes);
        return;
    }
    let mut run = 0;
    for (i, &b) in bytes.iter().enumerate() {
        if b >= 0x20 && b != b'"' && b != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[run..i]);
        run = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(b >> 4)]);
                out.push(HEX[usize::from(b & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[run..]);
}

/// Appends `text` as a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// Appends `,"key":` where `key` needs no escaping.
pub(crate) fn key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends `,"key":"value"`.
pub(crate) fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    string(out, value);
}

/// Appends `,"key":value` for a number.
pub(crate) fn member_int(out: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    key(out, name);
    int(out, value);
}

/// Appends an integer.
pub(crate) fn int(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a float; what JSON cannot say (NaN, infinities) becomes a string.
pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        string(
            out,
            if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            },
        );
    }
}

/// A `fmt::Write` that escapes what passes through, up to `left` bytes of input.
pub(crate) struct Escaping<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) left: usize,
}

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = cut(text, self.left);
        self.left -= kept.len();
        escape(self.out, kept);
        Ok(())
    }
}

/// The longest prefix of `text` of at most `max` bytes that ends between characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_string_survives_a_json_reader(text in ".*") {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn every_float_is_json(value in any::<f64>()) {
            let mut out = Vec::new();
            float(&mut out, value);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        }
    }

    #[test]
    fn a_line_never_contains_a_raw_newline() {
        let mut out = Vec::new();
        string(&mut out, "a\nb\u{1}c\"d\\");
        assert_eq!(out, br#""a\nb\u0001c\"d\\""#);
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("häuser", 2), "h");
        assert_eq!(cut("häuser", 3), "hä");
    }
}
