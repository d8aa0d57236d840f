//! Wildcards and regular expressions: to one compiled form, and what narrows the search for them. Pure.

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

/// Whole words that any match of a regular expression contains: runs of word characters with a literal separator on
/// both sides. An expression with alternatives, groups or classes yields none, which is slower but never wrong.
pub(super) fn needed_words(pattern: &str) -> Vec<String> {
    if pattern.contains(['|', '(', '[', '{', '?', '\\']) {
        return Vec::new();
    }
    let chars: Vec<char> = pattern.chars().collect();
    let separator = |c: Option<&char>| {
        c.is_some_and(|c| !c.is_alphanumeric() && !matches!(c, '.' | '*' | '+' | '^' | '$'))
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_alphanumeric() {
            at += 1;
            continue;
        }
        let start = at;
        while at < chars.len() && chars[at].is_alphanumeric() {
            at += 1;
        }
        // A separator followed by a repetition may be absent.
        let repeated = matches!(chars.get(at + 1), Some('*'));
        if start > 0 && separator(chars.get(start - 1)) && separator(chars.get(at)) && !repeated {
            found.push(chars[start..at].iter().collect::<String>().to_lowercase());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{literal_start, needed_words, wildcard_to_regex};

    #[test]
    fn a_regular_expression_is_narrowed_only_by_words_it_cannot_match_without() {
        assert_eq!(needed_words(r#".*"Method":"POST".*"#), ["method", "post"]);
        assert_eq!(needed_words("time.*out"), Vec::<String>::new());
        assert_eq!(needed_words("GET|POST"), Vec::<String>::new());
        assert_eq!(needed_words(r".*\sPOST\s.*"), Vec::<String>::new());
        assert_eq!(needed_words(".* abc-*def .*"), Vec::<String>::new());
        assert_eq!(needed_words(".* abc .*"), ["abc"]);
    }

    #[test]
    fn wildcards_keep_escaped_stars() {
        assert_eq!(wildcard_to_regex(r"a\*b*c?"), r"a\*b.*c.");
        assert_eq!(literal_start(r"a\*b*c?"), "a*b");
    }
}
