//! Names and label values with captures in them: `$1`, `${1}`, and for regular expressions `${name}`.

use std::borrow::Cow;

/// A text with places for captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// 0 is everything that matched.
    Number(usize),
    Name(String),
}

/// What a template is filled from.
pub(super) trait Captures {
    /// Capture `index`; 0 is the whole match. `None` where there is none.
    fn number(&self, index: usize) -> Option<&str>;
    /// The capture of this name, in regular expressions that name theirs.
    fn name(&self, name: &str) -> Option<&str>;
}

impl Template {
    /// Reads a template of a glob. What follows `$` runs on through letters, digits, `_` and `$`; if that is not
    /// a number from 0 to `captures`, it stands for nothing, as in statsd_exporter.
    pub(super) fn glob(text: &str, captures: usize) -> Self {
        Self::read(text, |rest| {
            let open = rest.starts_with('{');
            let body = &rest[usize::from(open)..];
            let end = body
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'))
                .unwrap_or(body.len());
            if end == 0 {
                return None;
            }
            let part = match body[..end].parse::<usize>() {
                Ok(index) if index <= captures => Some(Part::Number(index)),
                _ => None,
            };
            // One closing brace belongs to the reference whether or not one opened it.
            let closing = usize::from(body[end..].starts_with('}'));
            Some((part, usize::from(open) + end + closing))
        })
    }

    /// Reads a template of a regular expression: `$1`, `$name`, `${name}`, and `$$` for one dollar.
    pub(super) fn regex(text: &str) -> Self {
        Self::read(text, |rest| {
            if rest.starts_with('$') {
                return Some((Some(Part::Text("$".to_owned())), 1));
            }
            let (name, used) = match rest.strip_prefix('{') {
                Some(inner) => {
                    let end = inner.find('}')?;
                    (&inner[..end], end + 2)
                }
                None => {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                    (&rest[..end], end)
                }
            };
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return None;
            }
            let part = match name.parse::<usize>() {
                Ok(index) => Part::Number(index),
                Err(_) => Part::Name(name.to_owned()),
            };
            Some((Some(part), used))
        })
    }

    /// `reference` gets what follows a `$` and says what it stands for and how long it is.
    fn read(text: &str, reference: impl Fn(&str) -> Option<(Option<Part>, usize)>) -> Self {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            match reference(rest) {
                None => plain.push('$'),
                Some((part, used)) => {
                    rest = &rest[used..];
                    match part {
                        Some(Part::Text(text)) => plain.push_str(&text),
                        Some(part) => {
                            if !plain.is_empty() {
                                parts.push(Part::Text(std::mem::take(&mut plain)));
                            }
                            parts.push(part);
                        }
                        None => {}
                    }
                }
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Template { parts }
    }

    /// The text with its captures; those that do not exist are empty.
    pub(super) fn fill(&self, captures: &impl Captures) -> Cow<'_, str> {
        match self.parts.as_slice() {
            [] => Cow::Borrowed(""),
            [Part::Text(text)] => Cow::Borrowed(text),
            parts => Cow::Owned(
                parts
                    .iter()
                    .map(|part| match part {
                        Part::Text(text) => text,
                        Part::Number(index) => captures.number(*index).unwrap_or_default(),
                        Part::Name(name) => captures.name(name).unwrap_or_default(),
                    })
                    .collect(),
            ),
        }
    }

    /// Whether it comes out empty whatever was captured.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Captures, Template};

    struct Three;

    impl Captures for Three {
        fn number(&self, index: usize) -> Option<&str> {
            ["whole", "one", "two", "three"].get(index).copied()
        }
        fn name(&self, name: &str) -> Option<&str> {
            (name == "job").then_some("named")
        }
    }

    #[test]
    fn globs_number_their_captures() {
        let cases = [
            ("plain", "plain"),
            ("$1", "one"),
            ("${1}_total", "one_total"),
            ("a_${2}_${1}", "a_two_one"),
            ("$1-$3", "one-three"),
            ("$0", "whole"),
            // A reference runs on as far as it can; what it then names does not exist.
            ("$1_total", ""),
            ("x_$1$2", "x_"),
            ("${4}", ""),
            ("$job", ""),
            ("5$", "5$"),
            ("$-", "$-"),
            ("100% $1", "100% one"),
        ];
        for (template, expected) in cases {
            assert_eq!(Template::glob(template, 3).fill(&Three), expected, "{template}");
        }
    }

    #[test]
    fn regular_expressions_name_and_number_them() {
        let cases = [
            ("plain", "plain"),
            ("$1", "one"),
            ("$1$2", "onetwo"),
            ("${1}x", "onex"),
            ("$1x", ""),
            ("${job}/$job", "named/named"),
            ("$$1", "$1"),
            ("${9}", ""),
            ("${", "${"),
            ("$", "$"),
            ("${a b}", "${a b}"),
        ];
        for (template, expected) in cases {
            assert_eq!(Template::regex(template).fill(&Three), expected, "{template}");
        }
    }
}
