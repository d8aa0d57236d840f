//! What a selector asks of one label: equal, not equal, or (not) matched by an anchored regular expression.
use super::labels::Labels;
use regex::Regex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Equal,
    NotEqual,
    Match,
    NotMatch,
}

/// An absent label counts as empty, as everywhere in PromQL.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub name: String,
    pub op: Op,
    pub value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// Fails only on a regular expression that does not compile; the text says why.
    pub fn new(name: impl Into<String>, op: Op, value: impl Into<String>) -> Result<Self, String> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            Op::Match | Op::NotMatch => Some(anchored(&value)?),
            _ => None,
        };
        Ok(Matcher { name, op, value, regex })
    }

    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Matcher { name: name.into(), op: Op::Equal, value: value.into(), regex: None }
    }

    pub fn matches(&self, value: &str) -> bool {
        let found = self.regex.as_ref().is_some_and(|r| r.is_match(value));
        match self.op {
            Op::Equal => self.value == value,
            Op::NotEqual => self.value != value,
            Op::Match => found,
            Op::NotMatch => !found,
        }
    }

    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or(""))
    }
}

/// Compiles a pattern that has to match the whole value, as PromQL's patterns do.
pub fn anchored(pattern: &str) -> Result<Regex, String> {
    let build = |p: &str| regex::RegexBuilder::new(&format!("^(?s:{p})$")).size_limit(4 << 20).build();
    build(pattern).or_else(|first| {
        // Go takes a brace that opens no repetition as itself; this engine wants it escaped.
        build(&escape_stray_braces(pattern)).map_err(|_| {
            let text = first.to_string();
            let reason = text.lines().last().unwrap_or("does not compile").trim();
            format!("error parsing regexp {pattern:?}: {}", reason.strip_prefix("error: ").unwrap_or(reason))
        })
    })
}

fn escape_stray_braces(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 4);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let mut len = c.len_utf8();
        if c == '\\' {
            len += rest[len..].chars().next().map_or(0, char::len_utf8);
        } else if c == '{' {
            let body = rest[1..].split('}').next().unwrap_or("");
            let closed = rest[1..].len() > body.len();
            let repeat = closed
                && body.starts_with(|c: char| c.is_ascii_digit())
                && body.chars().all(|c| c.is_ascii_digit() || c == ',')
                && body.matches(',').count() <= 1;
            if repeat {
                len = body.len() + 2;
            } else {
                out.push('\\');
            }
        }
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m(op: Op, value: &str) -> Matcher {
        Matcher::new("a", op, value).unwrap()
    }

    #[test]
    fn patterns_are_anchored_and_dot_spans_lines() {
        assert!(m(Op::Match, "a.c").matches("a\nc"));
        assert!(!m(Op::Match, "b").matches("abc"));
        assert!(m(Op::NotMatch, "b").matches("abc"));
        assert!(m(Op::Match, "a|b").matches("b"));
        assert!(m(Op::Match, "").matches(""));
    }

    #[test]
    fn stray_braces_are_literal() {
        assert!(m(Op::Match, "/items/{id}").matches("/items/{id}"));
        assert!(m(Op::Match, "a{2}").matches("aa"));
        assert!(Matcher::new("a", Op::Match, "a(").unwrap_err().contains("error parsing regexp"));
    }
}
