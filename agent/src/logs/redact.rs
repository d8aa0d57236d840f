//! Secrets out of records before they are kept: by the name of a key, by the look of a value.
//!
//! Most lines hold none, so a cheap look at the whole line comes first; only suspicious lines are taken apart.

use std::borrow::Cow;

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::Engine;
use memchr::memmem;
use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::card;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Secrets that are removed from records.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether passwords, tokens, authorization headers, cookies, keys and card numbers are removed.
    pub defaults: bool,
    /// More keys whose values are removed, in any case, at any depth.
    pub keys: Vec<String>,
    /// More patterns (regular expressions); what matches in a text is removed.
    pub patterns: Vec<String>,
    /// Keys that are never touched.
    pub keep: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { defaults: true, keys: Vec::new(), patterns: Vec::new(), keep: Vec::new() }
    }
}

/// Parts of keys, without `_`, `-`, `.` and in lower case.
const WORDS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "authorization",
    "cookie",
    "apikey",
    "credential",
    "privatekey",
    "accesskey",
];

/// Beginnings by which a line is suspected; each in three cases. Four letters are enough to be rare.
const NEEDLES: [&str; 12] = [
    "passw",
    "passp",
    "secret",
    "token",
    "authoriz",
    "cookie",
    "api",
    "credential",
    "private",
    "bearer",
    "basic ",
    "access",
];

/// What has one spelling: the beginning of every JSON web token, and letters that a key or a word hides behind escapes.
const EXACT: [&str; 5] = ["eyJ", r"\u004", r"\u005", r"\u006", r"\u007"];

/// Of these only what a `k` follows is one: API keys are secrets, the API in a path is none.
const BEFORE_KEY: [&str; 3] = ["api", "private", "access"];

/// Finds and removes secrets.
#[derive(Debug)]
pub struct Redactor {
    defaults: bool,
    needles: Option<Needles>,
    /// Where an address with a password in it may begin.
    scheme: memmem::Finder<'static>,
    keys: Vec<String>,
    keep: Vec<String>,
    /// What follows the name of an HTTP scheme.
    credentials: Option<Regex>,
    patterns: Vec<(Regex, &'static str)>,
    /// Whether some of them are configured, so that any line may hold what they find.
    custom: bool,
}

impl Redactor {
    /// `None` if nothing is to be removed. The error names the pattern that is none.
    pub fn new(settings: &Settings) -> Result<Option<Self>, String> {
        let (mut patterns, mut credentials) = (Vec::new(), None);
        if settings.defaults {
            let scheme = r"(?i)\b(bearer|basic)(\s+)([a-z0-9._~+/=-]{6,})";
            credentials = Some(Regex::new(scheme).map_err(|e| e.to_string())?);
            for (pattern, with) in [
                (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", REDACTED),
                (
                    r#"(?i)\b(\w*(?:password|passwd|passphrase|secret|token|api[_-]?key))(["']?\s*[=:]\s*["']?)[^\s"'&,;]+"#,
                    "$1$2[redacted]",
                ),
                (r"(://[^\s/:@]*:)[^\s/@]+@", "$1[redacted]@"),
            ] {
                patterns.push((Regex::new(pattern).map_err(|e| e.to_string())?, with));
            }
        }
        for pattern in &settings.patterns {
            let regex =
                Regex::new(pattern).map_err(|e| format!("'{pattern}' is not a regular expression: {e}"))?;
            patterns.push((regex, REDACTED));
        }
        if patterns.is_empty() && settings.keys.is_empty() {
            return Ok(None);
        }
        let needles = settings.defaults.then(Needles::new).transpose()?;
        Ok(Some(Redactor {
            defaults: settings.defaults,
            needles,
            scheme: memmem::Finder::new("://"),
            keys: settings.keys.iter().map(|key| plain(key)).collect(),
            keep: settings.keep.iter().map(|key| plain(key)).collect(),
            custom: !settings.patterns.is_empty(),
            credentials,
            patterns,
        }))
    }

    /// Whether a line may hold a secret. Configured keys and patterns make every line suspicious.
    pub fn suspects(&self, line: &[u8]) -> bool {
        !self.keys.is_empty()
            || self.custom
            || self.needles.as_ref().is_some_and(|needles| needles.are_in(line))
            || self.scheme.find(line).is_some_and(|at| memchr::memchr(b'@', &line[at..]).is_some())
            || card::find(line).is_some()
    }

    /// Removes the secrets of a record; says whether there were any.
    pub fn record(&self, record: &mut Map<String, Value>) -> bool {
        let mut found = false;
        for (key, value) in record {
            if self.is_secret(key, value) {
                found |= *value != REDACTED;
                *value = REDACTED.into();
            } else if !self.keep.contains(&plain(key)) {
                found |= self.value(value);
            }
        }
        found
    }

    fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match self.text(text) {
                Cow::Owned(clean) => {
                    *text = clean;
                    true
                }
                Cow::Borrowed(_) => false,
            },
            Value::Array(list) => list.iter_mut().fold(false, |found, value| found | self.value(value)),
            Value::Object(map) => self.record(map),
            _ => false,
        }
    }

    /// A text without its secrets.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        if let Some(credentials) = &self.credentials {
            let replace = |found: &Captures<'_>| match is_credential(&found[1], &found[3]) {
                true => format!("{}{}{REDACTED}", &found[1], &found[2]),
                false => found[0].to_owned(),
            };
            if let Cow::Owned(replaced) = credentials.replace_all(text, replace)
                && *text != *replaced
            {
                clean = Cow::Owned(replaced);
            }
        }
        for (pattern, with) in &self.patterns {
            if let Cow::Owned(replaced) = pattern.replace_all(&clean, *with)
                && *clean != *replaced
            {
                clean = Cow::Owned(replaced);
            }
        }
        while self.defaults
            && let Some((from, to)) = card::find(clean.as_bytes())
        {
            clean = Cow::Owned([&clean[..from], REDACTED, &clean[to..]].concat());
        }
        clean
    }

    fn is_secret(&self, key: &str, value: &Value) -> bool {
        if matches!(value, Value::Null | Value::Bool(_)) {
            return false;
        }
        let key = plain(key);
        if self.keep.contains(&key) {
            return false;
        }
        // Counts of tokens are no tokens.
        let token = key.ends_with("token") && !value.is_number();
        self.keys.contains(&key) || (self.defaults && (token || WORDS.iter().any(|word| key.contains(word))))
    }
}

/// Tells a token from the next word of a sentence ("basic authentication failed"): `Basic` carries `name:password` in
/// base64, and a bearer's token is long or has digits.
fn is_credential(scheme: &str, text: &str) -> bool {
    if scheme.eq_ignore_ascii_case("basic") {
        let text = text.trim_end_matches(['=', '.', ',']);
        let pair = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text);
        return pair.is_ok_and(|pair| pair.contains(&b':'));
    }
    text.len() >= 24 || (text.len() >= 8 && text.bytes().any(|b| b.is_ascii_digit()))
}

/// All needles at once: one pass over a line, with vector instructions where the processor has them.
#[derive(Debug)]
enum Needles {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

impl Needles {
    fn new() -> Result<Self, String> {
        let mut needles: Vec<String> = EXACT.iter().map(|needle| (*needle).to_owned()).collect();
        for needle in NEEDLES {
            let (first, rest) = needle.split_at(1);
            needles.extend([needle.to_owned(), first.to_uppercase() + rest, needle.to_uppercase()]);
        }
        if let Some(searcher) = packed::Searcher::new(&needles) {
            return Ok(Needles::Packed(searcher));
        }
        let automaton = AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(&needles);
        automaton.map(Needles::Automaton).map_err(|error| error.to_string())
    }

    fn are_in(&self, line: &[u8]) -> bool {
        let mut from = 0;
        while let Some((start, end)) = self.next(line, from) {
            let needs_key =
                BEFORE_KEY.iter().any(|word| line[start..end].eq_ignore_ascii_case(word.as_bytes()));
            let next = line[end..].iter().find(|b| !matches!(b, b'_' | b'-' | b'.' | b' '));
            if !needs_key || matches!(next, Some(b'k' | b'K')) {
                return true;
            }
            from = end;
        }
        false
    }

    fn next(&self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        let span = aho_corasick::Span { start: from, end: line.len() };
        let found = match self {
            Needles::Packed(searcher) => searcher.find_in(line, span),
            Needles::Automaton(automaton) => automaton.find(aho_corasick::Input::new(line).span(span)),
        };
        found.map(|found| (found.start(), found.end()))
    }
}

/// Lower case, without what separates words.
fn plain(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::{Redactor, Settings};
    use serde_json::{Value, json};

    fn clean(mut record: Value, settings: &Settings) -> Value {
        let redactor = Redactor::new(settings).unwrap().unwrap();
        assert!(redactor.suspects(record.to_string().as_bytes()), "{record}");
        assert!(redactor.record(record.as_object_mut().unwrap()), "{record}");
        record
    }

    #[test]
    fn secrets_go_by_key_and_by_look() {
        let r = "[redacted]";
        for (record, expected) in [
            (json!({"password": "x", "n": 1}), json!({"password": r, "n": 1})),
            (
                json!({"req": {"headers": {"Authorization": "x", "set-cookie": ["a"]}}}),
                json!({"req": {"headers": {"Authorization": r, "set-cookie": r}}}),
            ),
            (
                json!({"dbPassword": 12, "ACCESS_TOKEN": "x", "token_count": 5}),
                json!({"dbPassword": r, "ACCESS_TOKEN": r, "token_count": 5}),
            ),
            (
                json!({"message": "sent Bearer abcdefgh12345 on"}),
                json!({"message": "sent Bearer [redacted] on"}),
            ),
            (
                json!({"message": "sent Basic Ym9iOnMzY3JldA== on"}),
                json!({"message": "sent Basic [redacted] on"}),
            ),
            (
                json!({"message": "login password=hunter2, ok"}),
                json!({"message": "login password=[redacted], ok"}),
            ),
            (json!({"url": "postgres://bob:pw@db/x"}), json!({"url": "postgres://bob:[redacted]@db/x"})),
            (json!({"m": "card 4111 1111 1111 1111 declined"}), json!({"m": "card [redacted] declined"})),
            (json!({"m": ["x", "378282246310005"]}), json!({"m": ["x", r]})),
        ] {
            assert_eq!(clean(record, &Settings::default()), expected);
        }
        let more = Settings {
            keys: vec!["Pin-Code".into()],
            patterns: vec![r"\bK-\d+".into()],
            keep: vec!["token".into()],
            ..Settings::default()
        };
        assert_eq!(
            clean(json!({"pin_code": "1", "m": "is K-42", "token": "stays"}), &more),
            json!({"pin_code": r, "m": "is [redacted]", "token": "stays"})
        );
        assert!(Redactor::new(&Settings { patterns: vec!["(".into()], ..Settings::default() }).is_err());
        assert!(Redactor::new(&Settings { defaults: false, ..Settings::default() }).unwrap().is_none());
    }

    #[test]
    fn a_word_after_the_name_of_a_scheme_is_no_secret() {
        let redactor = Redactor::new(&Settings::default()).unwrap().unwrap();
        for text in
            ["basic authentication failed", "Bearer authentication is required", "a Basic Yellow1234 dress"]
        {
            assert_eq!(redactor.text(text), text);
        }
    }

    #[test]
    fn a_key_that_hides_behind_escapes_is_found() {
        let redactor = Redactor::new(&Settings::default()).unwrap().unwrap();
        for line in [r#"{"p\u0061ssword":"x"}"#, r#"{"\u0050assword":"x"}"#, r#"{"m":"p\u0061ssword=x"}"#] {
            assert!(redactor.suspects(line.as_bytes()), "{line}");
            let mut record: Value = serde_json::from_str(line).unwrap();
            assert!(redactor.record(record.as_object_mut().unwrap()), "{line}");
        }
        // Go escapes these in every page and query; they hide nothing.
        assert!(!redactor.suspects(br#"{"q":"a=1\u0026b=2\u003cc\u003e","name":"caf\u00e9"}"#));
    }

    #[test]
    fn a_usual_line_is_not_suspected() {
        let redactor = Redactor::new(&Settings::default()).unwrap().unwrap();
        let line = br#"{"@timestamp":"2026-11-24T01:02:03.456Z","log.level":"info","time":1795482123456,"message":"listed 12 kittens"}"#;
        assert!(!redactor.suspects(line));
    }

    #[test]
    fn the_look_at_a_line_misses_no_needle_wherever_it_stands() {
        let redactor = Redactor::new(&Settings::default()).unwrap().unwrap();
        let automaton = super::AhoCorasick::new(["eyJ"]).map(super::Needles::Automaton).unwrap();
        for needle in super::NEEDLES {
            for needle in
                [needle.to_owned(), needle.to_uppercase(), needle[..1].to_uppercase() + &needle[1..]]
            {
                for before in 0..70 {
                    let line = format!("{}{needle}_K{}", "x".repeat(before), "x".repeat(69 - before));
                    assert!(redactor.suspects(line.as_bytes()), "{line}");
                    assert!(!automaton.are_in(line.as_bytes()));
                }
            }
        }
        assert!(automaton.are_in(b"x eyJh") && redactor.suspects(b"x eyJh"));
        assert!(!redactor.suspects(br#"{"path":"/api/v1/private","msg":"access by API"}"#));
        assert!(redactor.suspects(br#"{"path":"/api/v1","api-key":"x"}"#));
    }
}
