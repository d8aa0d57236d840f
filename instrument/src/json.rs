//! Writes JSON by hand into a byte buffer: escaping, numbers, and `,"key":value` members.

use std::fmt;

/// Whether `text` can stand in a JSON string as it is: nearly all texts can.
#[inline]
pub(crate) fn plain(text: &str) -> bool {
    harmless::<false>(text.as_bytes())
}

/// Whether these bytes are ASCII that can stand in a JSON string as it is.
#[inline]
pub(crate) fn plain_ascii(bytes: &[u8]) -> bool {
    harmless::<true>(bytes)
}

/// Looks at sixteen bytes at a time, or eight; the last ones may be looked at twice.
fn harmless<const ASCII: bool>(bytes: &[u8]) -> bool {
    let n = bytes.len();
    let word = |at: usize| bytes[at..].first_chunk().map_or(0, |w| u64::from_le_bytes(*w));
    let half = |at: usize| bytes[at..].first_chunk().map_or(0, |w| u64::from(u32::from_le_bytes(*w)));
    if n >= 16 {
        let special = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\') | (ASCII & (b > 0x7e));
        let last = &bytes[n - 16..];
        bytes.chunks_exact(16).chain([last]).all(|c| !c.iter().fold(false, |any, b| any | special(*b)))
    } else if n >= 8 {
        !special_in::<ASCII>(word(0)) & !special_in::<ASCII>(word(n - 8))
    } else if n >= 4 {
        !special_in::<ASCII>(half(0) | half(n - 4) << 32)
    } else {
        let mut few = [b' '; 8];
        few[..n].copy_from_slice(bytes);
        !special_in::<ASCII>(u64::from_le_bytes(few))
    }
}

/// Whether one of the eight bytes must not stand there. (The lowest bit of a byte borrows from the next only where the answer is yes
/// already.)
fn special_in<const ASCII: bool>(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let zero = |w: u64| w.wrapping_sub(ONES) & !w;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let mut found = control | zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64));
    if ASCII {
        found |= word | zero(word ^ (ONES * 0x7f));
    }
    found & (ONES << 7) != 0
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
#[inline(always)]
pub(crate) fn key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends `,"key":"value"`.
#[inline(always)]
pub(crate) fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    string(out, value);
}

/// Appends `,"key":value` for a number.
#[inline(always)]
pub(crate) fn member_int(out: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    key(out, name);
    int(out, value);
}

/// `,"key":` in one piece, for a key that is known when this is compiled.
pub(crate) const fn opening<const N: usize>(key: &str) -> [u8; N] {
    let (mut out, mut at) = ([b'"'; N], 0);
    out[0] = b',';
    while at < key.len() {
        out[at + 2] = key.as_bytes()[at];
        at += 1;
    }
    out[N - 1] = b':';
    out
}

/// [`key`], [`member_int`], and [`member`] for text that is known to need no escaping, where many of them are written one after
/// the other: the key goes in by a few moves.
macro_rules! fast {
    ($out:expr, $key:expr) => {{
        const KEY: &str = $key;
        const OPENING: [u8; KEY.len() + 4] = $crate::json::opening(KEY);
        $out.extend_from_slice(&OPENING);
    }};
    ($out:expr, $key:expr, int $value:expr) => {{
        $crate::json::fast!($out, $key);
        $crate::json::int($out, $value);
    }};
    ($out:expr, $key:expr, plain $bytes:expr) => {{
        $crate::json::fast!($out, $key);
        $out.push(b'"');
        $out.extend_from_slice($bytes);
        $out.push(b'"');
    }};
    ($out:expr, $key:expr, text $value:expr) => {{
        $crate::json::fast!($out, $key);
        $crate::json::string($out, $value);
    }};
}
pub(crate) use fast;

/// Appends an integer.
#[inline]
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
        fn what_is_plain_needs_no_escape(bytes in proptest::collection::vec(any::<u8>(), 0..40), plain in "[ -!#-\\[\\]-~]{0,40}") {
            let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
            prop_assert_eq!(plain_ascii(&bytes), !bytes.iter().any(|b| special(b) || *b > 0x7e));
            let text = String::from_utf8_lossy(&bytes);
            prop_assert_eq!(super::plain(&text), !text.as_bytes().iter().any(special));
            prop_assert!(plain_ascii(plain.as_bytes()), "{}", plain);
            // One special byte is found wherever it stands.
            for at in 0..plain.len() {
                let mut spoiled = plain.clone().into_bytes();
                spoiled[at] = b'"';
                prop_assert!(!plain_ascii(&spoiled));
            }
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
