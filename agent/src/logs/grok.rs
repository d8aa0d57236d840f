//! Grok: names for the usual parts of log lines, and `%{NAME:field}` to put them together.

use regex::Regex;
use serde_json::Value;

const NAMES: &[(&str, &str)] = &[
    ("WORD", r"\b\w+\b"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("DATA", r".*?"),
    ("GREEDYDATA", r".*"),
    ("INT", r"[+-]?\d+"),
    ("POSINT", r"\b[1-9]\d*\b"),
    ("NUMBER", r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"),
    ("HEX", r"\b(?:0x)?[0-9A-Fa-f]+\b"),
    ("UUID", r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"),
    ("QUOTED", r#""(?:[^"\\]|\\.)*""#),
    ("IPV4", r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b"),
    ("IPV6", r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"),
    ("IP", r"(?:%{IPV4}|%{IPV6})"),
    ("HOSTNAME", r"\b[0-9A-Za-z][0-9A-Za-z-]*(?:\.[0-9A-Za-z][0-9A-Za-z-]*)*\b"),
    ("IPORHOST", r"(?:%{IP}|%{HOSTNAME})"),
    ("USER", r"[\w.@-]+"),
    ("PATH", r"/[^\s?#]*"),
    ("URIPATH", r"/[^\s?#]*"),
    ("QUERY", r"[^\s#]*"),
    (
        "LEVEL",
        r"(?i:trace|debug|info|notice|warn(?:ing)?|err(?:or)?|crit(?:ical)?|alert|fatal|severe|emerg(?:ency)?)",
    ),
    ("LOGLEVEL", r"%{LEVEL}"),
    ("ISO8601", r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"),
    ("TIMESTAMP_ISO8601", r"%{ISO8601}"),
    ("HTTPDATE", r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"),
    ("SYSLOGTIMESTAMP", r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"),
    ("METHOD", r"\b(?:GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS|CONNECT|TRACE)\b"),
    (
        "COMMONLOG",
        r#"%{IPORHOST:source.ip} \S+ %{USER:user.name} \[%{HTTPDATE:timestamp}\] "%{METHOD:method} %{NOTSPACE:uri}(?: HTTP/[\d.]+)?" %{INT:status:int} (?:%{INT:bytes:int}|-)"#,
    ),
    ("COMBINEDLOG", r#"%{COMMONLOG} "(?:%{DATA:referrer})" "(?:%{DATA:http_user_agent})""#),
];

const MAX_NESTING: usize = 8;

/// A pattern that takes a text apart.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    fields: Vec<(String, String, Kind)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Int,
    Float,
}

impl Pattern {
    /// Compiles a grok pattern; it must match the whole text.
    pub fn grok(pattern: &str) -> Result<Self, String> {
        let mut fields = Vec::new();
        let text = expand(pattern, &mut fields, 0)?;
        let regex = Regex::new(&format!("(?s)^(?:{text})$"))
            .map_err(|e| format!("'{pattern}' is not a grok pattern: {e}"))?;
        Ok(Pattern { regex, fields })
    }

    /// The named groups of a regular expression.
    pub fn regex(regex: Regex) -> Self {
        let names = regex.capture_names().flatten();
        let fields = names.map(|name| (name.to_owned(), name.to_owned(), Kind::Text)).collect();
        Pattern { regex, fields }
    }

    /// Whether it fits.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Hands each field that was found to `take`.
    pub fn extract(&self, text: &str, take: &mut dyn FnMut(&str, Value)) {
        let Some(found) = self.regex.captures(text) else { return };
        for (group, field, kind) in &self.fields {
            let Some(value) = found.name(group).map(|m| m.as_str()) else { continue };
            let number = match kind {
                Kind::Text => None,
                Kind::Int => value.parse::<i64>().ok().map(Value::from),
                Kind::Float => value.parse::<f64>().ok().filter(|f| f.is_finite()).map(Value::from),
            };
            take(field, number.unwrap_or_else(|| value.into()));
        }
    }
}

/// Puts regular expressions in the place of `%{NAME}`, `%{NAME:field}` and `%{NAME:field:int}`.
fn expand(pattern: &str, fields: &mut Vec<(String, String, Kind)>, depth: usize) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("%{") {
        out.push_str(before);
        let (inside, after) =
            after.split_once('}').ok_or_else(|| format!("'{pattern}': a %{{ is not closed"))?;
        let mut parts = inside.splitn(3, ':');
        let name = parts.next().unwrap_or_default();
        let field = parts.next();
        let kind = match parts.next() {
            None | Some("string") => Kind::Text,
            Some("int" | "integer" | "long") => Kind::Int,
            Some("float" | "double") => Kind::Float,
            Some(other) => return Err(format!("'{other}' is not a type: write int or float")),
        };
        let known = NAMES.iter().find(|(known, _)| *known == name);
        let (_, body) = known.ok_or_else(|| {
            let all: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("'{name}' is not a pattern; there are {}", all.join(", "))
        })?;
        if depth >= MAX_NESTING {
            return Err(format!("'{name}' is nested too deeply"));
        }
        let body = expand(body, fields, depth + 1)?;
        match field {
            None => out.push_str(&format!("(?:{body})")),
            Some(field) => {
                // Groups cannot have dots in their names; they are numbered instead.
                let group = format!("f{}", fields.len());
                out.push_str(&format!("(?P<{group}>{body})"));
                fields.push((group, field.to_owned(), kind));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{NAMES, Pattern};
    use serde_json::{Map, Value};

    fn extract(pattern: &str, text: &str) -> String {
        let mut found = Map::new();
        Pattern::grok(pattern).unwrap().extract(text, &mut |name, value| {
            found.insert(name.to_owned(), value);
        });
        Value::Object(found).to_string()
    }

    #[test]
    fn every_name_compiles() {
        for (name, _) in NAMES {
            Pattern::grok(&format!("%{{{name}:x}}")).unwrap();
        }
    }

    #[test]
    fn takes_lines_apart() {
        assert_eq!(
            extract(
                "%{COMBINEDLOG}",
                r#"192.0.2.7 - bob [10/Oct/2000:13:55:36 -0700] "GET /a?b=1 HTTP/1.1" 200 2326 "-" "curl/8""#
            ),
            r#"{"bytes":2326,"http_user_agent":"curl/8","method":"GET","referrer":"-","source.ip":"192.0.2.7","status":200,"timestamp":"10/Oct/2000:13:55:36 -0700","uri":"/a?b=1","user.name":"bob"}"#
        );
        assert_eq!(
            extract(
                r"\[%{ISO8601:time}\] %{LEVEL:level} %{NUMBER:n:float} %{GREEDYDATA:message}",
                "[2026-11-24 01:02:03,4] WARN 1.5 a b"
            ),
            r#"{"level":"WARN","message":"a b","n":1.5,"time":"2026-11-24 01:02:03,4"}"#
        );
        assert_eq!(extract("%{INT:n:int}", "12 x"), "{}");
    }

    #[test]
    fn mistakes_are_named() {
        for (pattern, reason) in [
            ("%{KITTEN}", "'KITTEN' is not a pattern; there are WORD"),
            ("%{INT:x", "a %{ is not closed"),
            ("%{INT:x:time}", "'time' is not a type"),
            ("(", "is not a grok pattern"),
        ] {
            let error = Pattern::grok(pattern).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
