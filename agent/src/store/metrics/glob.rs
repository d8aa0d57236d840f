//! Dot-names with wildcards, as people know them from StatsD, to selectors: `*.handlers.*.failed`.
use sightline_instrument::wire;
use std::fmt::Write;

/// The selector for a dotted name in which `*` stands for any part (or for a piece of one).
///
/// Four parts are `service.group.segment.outcome`, six begin with environment and host; both become the convention's
/// metrics with labels. Any other number of parts is a foreign name, whose dots are underscores in Prometheus.
/// `None` for a name with an empty part.
pub fn glob_to_selector(glob: &str) -> Option<String> {
    let parts: Vec<&str> = glob.trim().split('.').collect();
    if parts.iter().any(|p| p.is_empty()) {
        return None;
    }
    use wire::label;
    let (names, outcome): (&[&str], &str) = match parts.len() {
        4 => (&[label::SERVICE, label::GROUP, label::SEGMENT], parts[3]),
        6 => (&[label::ENVIRONMENT, label::HOST, label::SERVICE, label::GROUP, label::SEGMENT], parts[5]),
        _ => return Some(foreign(&parts)),
    };
    let mut matchers = String::new();
    for (label, part) in names.iter().zip(&parts) {
        matcher(&mut matchers, label, part);
    }
    let metric = match outcome {
        wire::outcome::CALLED => wire::metric::CALLS.to_owned(),
        wire::outcome::TIMING => {
            return Some(format!(
                "{{__name__=~\"{}(_bucket|_sum|_count)?\"{}}}",
                wire::metric::TIMING,
                after(&matchers)
            ));
        }
        "*" => return Some(format!("{{__name__=~\"{}.+\"{}}}", wire::metric::PREFIX, after(&matchers))),
        outcome => {
            matcher(&mut matchers, label::OUTCOME, outcome);
            wire::metric::OUTCOMES.to_owned()
        }
    };
    Some(if matchers.is_empty() { metric } else { format!("{metric}{{{matchers}}}") })
}

fn after(matchers: &str) -> String {
    if matchers.is_empty() { String::new() } else { format!(",{matchers}") }
}

fn matcher(out: &mut String, label: &str, part: &str) {
    if part == "*" {
        return;
    }
    let comma = if out.is_empty() { "" } else { "," };
    // Writing to a string cannot fail.
    let _ = if part.contains('*') {
        write!(out, "{comma}{label}=~{}", quoted(&pattern(part)))
    } else {
        write!(out, "{comma}{label}={}", quoted(part))
    };
}

/// The pattern of one part: `*` is any text, all else is itself.
fn pattern(part: &str) -> String {
    part.split('*').map(regex::escape).collect::<Vec<_>>().join(".*")
}

fn foreign(parts: &[&str]) -> String {
    let name = parts.join("_");
    let valid = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '*') { c } else { '_' };
    let name: String = name.chars().map(valid).collect();
    let pattern: Vec<&str> = name.split('*').collect();
    let pattern = pattern.join(if parts.len() == 1 { ".*" } else { "[^_].*" });
    format!("{{__name__=~{}}}", quoted(&format!("{pattern}(_total|_bucket|_sum|_count)?")))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::promql::parse_selector;

    fn selector(glob: &str) -> String {
        let text = glob_to_selector(glob).unwrap();
        parse_selector(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        text
    }

    #[test]
    fn the_convention_becomes_labels() {
        assert_eq!(
            selector("*.handlers.*.failed"),
            r#"instrument_outcomes_total{group="handlers",outcome="failed"}"#
        );
        assert_eq!(
            selector("kittens.handlers.list.called"),
            r#"instrument_calls_total{service="kittens",group="handlers",segment="list"}"#
        );
        assert_eq!(
            selector("kit*.mysql.*.timing"),
            r#"{__name__=~"instrument_timing_seconds(_bucket|_sum|_count)?",service=~"kit.*",group="mysql"}"#
        );
        assert_eq!(
            selector("prod.*.k.handlers.*.*"),
            r#"{__name__=~"instrument_.+",environment="prod",service="k",group="handlers"}"#
        );
    }

    #[test]
    fn other_names_become_patterns_of_names() {
        assert_eq!(
            selector("api.*.latency"),
            r#"{__name__=~"api_[^_].*_latency(_total|_bucket|_sum|_count)?"}"#
        );
        assert_eq!(selector("a-b"), r#"{__name__=~"a_b(_total|_bucket|_sum|_count)?"}"#);
        assert_eq!(glob_to_selector("a..b"), None);
        assert!(selector("*.h\"\\.*.failed").contains(r#"group="h\"\\""#));
    }
}
