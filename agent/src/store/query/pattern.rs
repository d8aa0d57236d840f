//! Wildcards and regular expressions: to one compiled form. Pure.

use regex::Regex;

use super::QueryError;

pub(super) fn anchored(pattern: &str, person: bool) -> Result<Regex, QueryError> {
    regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .dot_matches_new_line(true)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let what = if person { "regular expression" } else { "wildcard" };
            QueryError::new(0, format!("the {what} `{pattern}` cannot be read: {reason}"))
        })
}

pub(super) fn wildcard_to_regex(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '\\' => out.push_str(&regex::escape(&chars.next().unwrap_or('\\').to_string())),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out
}

/// What every match of a wildcard begins with.
pub(super) fn literal_start(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{literal_start, wildcard_to_regex};

    #[test]
    fn wildcards_keep_escaped_stars() {
        assert_eq!(wildcard_to_regex(r"a\*b*c?"), r"a\*b.*c.");
        assert_eq!(literal_start(r"a\*b*c?"), "a*b");
    }
}
