//! Reads one JSON object in a single pass: checks it completely and notes its members, without building a tree.
//!
//! Whatever Elasticsearch would refuse although it is JSON (a key twice, an empty key, dots at its ends) is noted as
//! `odd`, so that the caller can take the slow road for those alone.

use std::ops::Range;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string without escapes.
    Plain,
    /// A string with at least one escape.
    Escaped,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// A member of an object, as places in the line.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The key without its quotes.
    pub key: (u32, u32),
    /// The value with its quotes or brackets.
    pub value: (u32, u32),
    /// What the value is.
    pub kind: Kind,
}

impl Member {
    /// The bytes of the key.
    pub fn key<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        &line[self.key.0 as usize..self.key.1 as usize]
    }

    /// Where the value is.
    pub fn value_range(&self) -> Range<usize> {
        self.value.0 as usize..self.value.1 as usize
    }

    /// The bytes of the value.
    pub fn value<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        &line[self.value_range()]
    }

    /// The inside of a string that has no escapes.
    pub fn plain<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        (self.kind == Kind::Plain).then(|| &line[self.value.0 as usize + 1..self.value.1 as usize - 1])
    }
}

/// Why a line is not an object that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Not JSON, or not an object.
    Syntax,
    /// It ends before the object does.
    Truncated,
    /// Nested deeper than [`MAX_DEPTH`].
    Deep,
}

/// Elasticsearch's own default for nested objects.
pub const MAX_DEPTH: usize = 20;

/// The scratch memory of a scan; reused from line to line.
#[derive(Debug, Default)]
pub struct Scan {
    /// The members of the object, in order.
    pub members: Vec<Member>,
    /// Something that needs the slow road.
    pub odd: bool,
    nested: Vec<(u32, u32)>,
}

impl Scan {
    /// Scans the object that starts at `at` (after blanks) and returns the place after its closing brace.
    pub fn object(&mut self, line: &[u8], at: usize) -> Result<usize, Broken> {
        self.members.clear();
        self.nested.clear();
        self.odd = false;
        let mut at = blanks(line, at);
        if line.get(at) != Some(&b'{') {
            return Err(if at == line.len() { Broken::Truncated } else { Broken::Syntax });
        }
        at = blanks(line, at + 1);
        if line.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        let mut seen = 0u64;
        loop {
            let (key, after) = self.key(line, at, true)?;
            let bit = 1u64 << (fold(&line[key.0 as usize..key.1 as usize]) & 63);
            if seen & bit != 0 {
                let text = &line[key.0 as usize..key.1 as usize];
                self.odd |= self.members.iter().any(|m| m.key(line) == text);
            }
            seen |= bit;
            let (kind, end) = self.value(line, after, 1)?;
            self.members.push(Member { key, value: (after as u32, end as u32), kind });
            at = blanks(line, end);
            match line.get(at) {
                Some(b',') => at = blanks(line, at + 1),
                Some(b'}') => return Ok(at + 1),
                Some(_) => return Err(Broken::Syntax),
                None => return Err(Broken::Truncated),
            }
        }
    }

    /// Reads `"key" :` and returns the key's place and where the value starts.
    fn key(&mut self, line: &[u8], at: usize, root: bool) -> Result<((u32, u32), usize), Broken> {
        match line.get(at) {
            Some(b'"') => {}
            Some(_) => return Err(Broken::Syntax),
            None => return Err(Broken::Truncated),
        }
        let (end, escaped) = string(line, at + 1)?;
        let text = &line[at + 1..end - 1];
        self.odd |= escaped || unfit(text, root);
        let colon = blanks(line, end);
        match line.get(colon) {
            Some(b':') => Ok((((at + 1) as u32, (end - 1) as u32), blanks(line, colon + 1))),
            Some(_) => Err(Broken::Syntax),
            None => Err(Broken::Truncated),
        }
    }

    fn value(&mut self, line: &[u8], at: usize, depth: usize) -> Result<(Kind, usize), Broken> {
        match line.get(at) {
            Some(b'"') => {
                let (end, escaped) = string(line, at + 1)?;
                Ok((if escaped { Kind::Escaped } else { Kind::Plain }, end))
            }
            Some(b'-' | b'0'..=b'9') => {
                let end = self.number(line, at)?;
                Ok((Kind::Number, end))
            }
            Some(b'{') => Ok((Kind::Object, self.nested_object(line, at + 1, depth)?)),
            Some(b'[') => Ok((Kind::Array, self.array(line, at + 1, depth)?)),
            Some(b't') => word(line, at, b"true").map(|end| (Kind::Bool, end)),
            Some(b'f') => word(line, at, b"false").map(|end| (Kind::Bool, end)),
            Some(b'n') => word(line, at, b"null").map(|end| (Kind::Null, end)),
            Some(_) => Err(Broken::Syntax),
            None => Err(Broken::Truncated),
        }
    }

    fn nested_object(&mut self, line: &[u8], at: usize, depth: usize) -> Result<usize, Broken> {
        if depth >= MAX_DEPTH {
            return Err(Broken::Deep);
        }
        let mut at = blanks(line, at);
        if line.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        let (base, mut seen) = (self.nested.len(), 0u64);
        loop {
            let (key, after) = self.key(line, at, false)?;
            let text = &line[key.0 as usize..key.1 as usize];
            let bit = 1u64 << (fold(text) & 63);
            if seen & bit != 0 {
                self.odd |= self.nested[base..].iter().any(|k| &line[k.0 as usize..k.1 as usize] == text);
            }
            seen |= bit;
            self.nested.push(key);
            let (_, end) = self.value(line, after, depth + 1)?;
            at = blanks(line, end);
            match line.get(at) {
                Some(b',') => at = blanks(line, at + 1),
                Some(b'}') => break,
                Some(_) => return Err(Broken::Syntax),
                None => return Err(Broken::Truncated),
            }
        }
        self.nested.truncate(base);
        Ok(at + 1)
    }

    fn array(&mut self, line: &[u8], at: usize, depth: usize) -> Result<usize, Broken> {
        if depth >= MAX_DEPTH {
            return Err(Broken::Deep);
        }
        let mut at = blanks(line, at);
        if line.get(at) == Some(&b']') {
            return Ok(at + 1);
        }
        loop {
            let (_, end) = self.value(line, at, depth + 1)?;
            at = blanks(line, end);
            match line.get(at) {
                Some(b',') => at = blanks(line, at + 1),
                Some(b']') => return Ok(at + 1),
                Some(_) => return Err(Broken::Syntax),
                None => return Err(Broken::Truncated),
            }
        }
    }

    fn number(&mut self, line: &[u8], at: usize) -> Result<usize, Broken> {
        let mut i = at + usize::from(line[at] == b'-');
        let first = i;
        i = digits(line, i);
        // No digit, or a leading zero before more of them, is not JSON.
        if i == first || (line[first] == b'0' && i - first > 1) {
            return Err(if i == line.len() && i == first { Broken::Truncated } else { Broken::Syntax });
        }
        // Beyond what a 64-bit field holds: the slow road makes it a string.
        self.odd |= i - first > 18;
        if line.get(i) == Some(&b'.') {
            let from = i + 1;
            i = digits(line, from);
            if i == from {
                return Err(if i == line.len() { Broken::Truncated } else { Broken::Syntax });
            }
        }
        if let Some(b'e' | b'E') = line.get(i) {
            let from = i + 1 + usize::from(matches!(line.get(i + 1), Some(b'+' | b'-')));
            i = digits(line, from);
            if i <= from {
                return Err(if from >= line.len() { Broken::Truncated } else { Broken::Syntax });
            }
            self.odd |= i - from > 2;
        }
        Ok(i)
    }
}

/// Reads the text of a JSON string value, undoing escapes; `None` for anything else.
pub fn text<'a>(line: &'a [u8], member: &Member) -> Option<std::borrow::Cow<'a, str>> {
    match member.kind {
        Kind::Plain => std::str::from_utf8(member.plain(line)?).ok().map(Into::into),
        Kind::Escaped => serde_json::from_slice::<String>(member.value(line)).ok().map(Into::into),
        _ => None,
    }
}

/// Keys that Elasticsearch refuses: empty or blank, a dot first or last, two dots in a row.
fn unfit(key: &[u8], root: bool) -> bool {
    match key {
        [] | [b'.', ..] | [.., b'.'] => true,
        // Metadata fields of a document start with an underscore.
        [b'_', ..] if root => true,
        [b' ' | b'\t', ..] => key.trim_ascii().is_empty(),
        _ => key.len() > 200 || key.windows(2).any(|w| w == b".."),
    }
}

/// A cheap mixture of a key's ends: enough to say "certainly not seen before".
fn fold(key: &[u8]) -> u64 {
    let n = key.len();
    match key {
        [] => 0,
        [a, .., b] => {
            let mid = key[n / 2];
            (u64::from(*a).wrapping_mul(7) ^ u64::from(*b).wrapping_mul(31) ^ u64::from(mid).wrapping_mul(13))
                .wrapping_add(n as u64 * 3)
        }
        [a] => u64::from(*a),
    }
}

#[inline]
fn blanks(line: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = line.get(at) {
        at += 1;
    }
    at
}

#[inline]
fn digits(line: &[u8], mut at: usize) -> usize {
    while let Some(b'0'..=b'9') = line.get(at) {
        at += 1;
    }
    at
}

fn word(line: &[u8], at: usize, word: &[u8]) -> Result<usize, Broken> {
    let rest = &line[at..];
    if rest.starts_with(word) {
        Ok(at + word.len())
    } else {
        Err(if word.starts_with(rest) { Broken::Truncated } else { Broken::Syntax })
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// From the first byte inside a string to the place after its closing quote; whether it has escapes.
#[inline]
fn string(line: &[u8], mut at: usize) -> Result<(usize, bool), Broken> {
    let mut escaped = false;
    loop {
        // Eight bytes at a time: a quote, a backslash or a control character has its high bit set afterwards.
        while let Some(chunk) = line[at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let quote = word ^ (ONES * u64::from(b'"'));
            let slash = word ^ (ONES * u64::from(b'\\'));
            let special = ((quote.wrapping_sub(ONES) & !quote)
                | (slash.wrapping_sub(ONES) & !slash)
                | (word.wrapping_sub(ONES * 0x20) & !word))
                & HIGHS;
            if special != 0 {
                at += (special.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        match line.get(at) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = escape(line, at + 1)?;
            }
            Some(0..=0x1f) => return Err(Broken::Syntax),
            Some(_) => at += 1,
            None => return Err(Broken::Truncated),
        }
    }
}

/// The place after an escape whose letter is at `at`.
fn escape(line: &[u8], at: usize) -> Result<usize, Broken> {
    match line.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => {
            let unit = hex4(line, at + 1)?;
            if (0xdc00..0xe000).contains(&unit) {
                return Err(Broken::Syntax);
            }
            if (0xd800..0xdc00).contains(&unit) {
                // The first half of a pair needs its second.
                match (line.get(at + 5), line.get(at + 6)) {
                    (Some(b'\\'), Some(b'u')) if (0xdc00..0xe000).contains(&hex4(line, at + 7)?) => {
                        return Ok(at + 11);
                    }
                    (None, _) | (Some(b'\\'), None) => return Err(Broken::Truncated),
                    _ => return Err(Broken::Syntax),
                }
            }
            Ok(at + 5)
        }
        Some(_) => Err(Broken::Syntax),
        None => Err(Broken::Truncated),
    }
}

fn hex4(line: &[u8], at: usize) -> Result<u32, Broken> {
    let Some(chunk) = line.get(at..at + 4) else { return Err(Broken::Truncated) };
    chunk.iter().try_fold(0, |unit, &b| {
        char::from(b).to_digit(16).map(|digit| unit * 16 + digit).ok_or(Broken::Syntax)
    })
}

#[cfg(test)]
mod tests {
    use super::{Broken, Kind, MAX_DEPTH, Scan, text};
    use proptest::prelude::*;
    use serde_json::Value;

    fn scan(line: &str) -> Result<(Scan, usize), Broken> {
        let mut scan = Scan::default();
        let end = scan.object(line.as_bytes(), 0)?;
        Ok((scan, end))
    }

    #[test]
    fn notes_members_and_where_the_object_ends() {
        let line = r#" {"a" : "x", "b.c":-1.5e3,"d":{"e":[1,{}]},"f":"q\"\u00e9","g":null,"h":true}  {"#;
        let (scan, end) = scan(line).unwrap();
        assert_eq!(&line[end..], "  {");
        let seen: Vec<_> = scan
            .members
            .iter()
            .map(|m| (std::str::from_utf8(m.key(line.as_bytes())).unwrap(), m.kind, &line[m.value_range()]))
            .collect();
        assert_eq!(
            seen,
            [
                ("a", Kind::Plain, r#""x""#),
                ("b.c", Kind::Number, "-1.5e3"),
                ("d", Kind::Object, r#"{"e":[1,{}]}"#),
                ("f", Kind::Escaped, r#""q\"\u00e9""#),
                ("g", Kind::Null, "null"),
                ("h", Kind::Bool, "true"),
            ]
        );
        assert_eq!(text(line.as_bytes(), &scan.members[3]).as_deref(), Some("q\"é"));
        assert!(!scan.odd);
    }

    #[test]
    fn what_elasticsearch_would_refuse_is_odd() {
        for line in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"a":1,"b":2,"a":3}}"#,
            r#"{"":1}"#,
            r#"{"a.":1}"#,
            r#"{"x":{".a":1}}"#,
            r#"{"a..b":1}"#,
            r#"{" ":1}"#,
            r#"{"_id":1}"#,
            r#"{"n":18446744073709551615}"#,
            r#"{"k\u0041":1}"#,
        ] {
            assert!(scan(line).unwrap().0.odd, "{line}");
        }
        assert!(!scan(r#"{"x":{"a":1},"y":{"a":1},"a":1,"a_b":{"ab":1,"ba":2}}"#).unwrap().0.odd);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| format!("{{\"a\":{}1{}}}", "[".repeat(n), "]".repeat(n));
        assert!(scan(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(scan(&nested(MAX_DEPTH)).err(), Some(Broken::Deep));
        assert_eq!(scan(&nested(100_000)).err(), Some(Broken::Deep));
    }

    #[test]
    fn a_cut_object_is_told_from_a_broken_one() {
        let line = r#"{"a":"x\n\ud83d\ude00","b":[true,false,null,{"c":-1.5e+3}],"d":0}"#;
        for n in 0..line.len() {
            assert_eq!(scan(&line[..n]).err(), Some(Broken::Truncated), "{}", &line[..n]);
        }
        for line in [
            "{]",
            "{\"a\"}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":\"\u{1}\"}",
            "{a:1}",
            "[]",
            "1",
            "{\"a\":1,}",
        ] {
            assert_eq!(scan(line).err(), Some(Broken::Syntax), "{line}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f32>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| Value::from(f64::from(f))),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z.\"é]{0,6}", inner, 0..5)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Agrees with serde_json on what is an object, and on each member of it.
        #[test]
        fn agrees_with_a_full_parser(value in json()) {
            let line = serde_json::to_string(&value).unwrap();
            let scanned = scan(&line);
            prop_assert_eq!(scanned.is_ok(), value.is_object());
            if let Value::Object(map) = value {
                let (scan, end) = scanned.unwrap();
                prop_assert_eq!(end, line.len());
                prop_assert_eq!(scan.members.len(), map.len());
                for (member, (key, value)) in scan.members.iter().zip(&map) {
                    let quoted = format!("\"{}\"", std::str::from_utf8(member.key(line.as_bytes())).unwrap());
                    prop_assert_eq!(&serde_json::from_str::<String>(&quoted).unwrap(), key);
                    let text = std::str::from_utf8(member.value(line.as_bytes())).unwrap();
                    prop_assert_eq!(text, value.to_string());
                }
            }
        }

        /// Never takes what serde_json refuses, whatever the bytes (both were given valid UTF-8).
        #[test]
        fn takes_nothing_that_a_full_parser_refuses(line in "\\{[\\PC\"{}\\[\\]:,0-9eE+.\\\\-]{0,40}\\}") {
            if let Ok((_, end)) = scan(&line) {
                prop_assert!(serde_json::from_str::<Value>(&line[..end]).is_ok(), "{}", line);
            } else {
                prop_assert!(!matches!(serde_json::from_str::<Value>(&line), Ok(Value::Object(_))), "{}", line);
            }
        }
    }
}
