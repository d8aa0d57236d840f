//! What people type, as the tree that it becomes and as the errors that point at the mistake.

use std::ops::Bound;

use super::{Node, Operator, parse};

fn show(node: &Node) -> String {
    let list = |name: &str, nodes: &[Node]| {
        format!("{name}({})", nodes.iter().map(show).collect::<Vec<_>>().join(" "))
    };
    let of = |field: &Option<String>| field.as_ref().map(|f| format!("{f}:")).unwrap_or_default();
    match node {
        Node::All => "all".to_owned(),
        Node::Value { field, text } => format!("{}{text}", of(field)),
        Node::Phrase { field, text, slop } => format!("{}\"{text}\"~{slop}", of(field)),
        Node::Wildcard { field, pattern } => format!("{}<{pattern}>", of(field)),
        Node::Regex { field, pattern } => format!("{}/{pattern}/", of(field)),
        Node::Range { field, lower, upper } => {
            let end = |bound: &Bound<String>| match bound {
                Bound::Included(v) => format!("={v}"),
                Bound::Excluded(v) => v.clone(),
                Bound::Unbounded => "*".to_owned(),
            };
            format!("{field}:[{} {}]", end(lower), end(upper))
        }
        Node::Exists { field } => format!("{field}?"),
        Node::And(nodes) => list("and", nodes),
        Node::Or(nodes) => list("or", nodes),
        Node::Not(inner) => format!("not({})", show(inner)),
    }
}

fn tree(text: &str) -> String {
    show(&parse(text, Operator::Or).unwrap_or_else(|error| panic!("{text}: {error}")))
}

#[test]
fn reads_what_people_type() {
    for (text, expected) in [
        ("", "all"),
        ("  ", "all"),
        ("*", "all"),
        ("*:*", "all"),
        ("timeout", "timeout"),
        ("a b", "or(a b)"),
        ("status:200 AND method:POST", "and(status:200 method:POST)"),
        ("a && b || c", "or(and(a b) c)"),
        ("a AND NOT b", "and(a not(b))"),
        ("a -b", "and(a not(b))"),
        ("+a b -c", "and(a not(c))"),
        ("NOT a", "not(a)"),
        ("-level:debug", "not(level:debug)"),
        ("!a", "not(a)"),
        ("(a OR b) AND c", "and(or(a b) c)"),
        ("handler:(list OR show)", "or(handler:list handler:show)"),
        ("handler:(list -show)", "and(handler:list not(handler:show))"),
        ("\"connection refused\"", "\"connection refused\"~0"),
        ("message:\"a \\\"b\\\"\"~3", "message:\"a \"b\"\"~3"),
        ("status:[500 TO 599]", "status:[=500 =599]"),
        ("status:{500 TO *}", "status:[500 *]"),
        ("status:>=500", "status:[=500 *]"),
        ("status:<-5", "status:[* -5]"),
        ("level:>a AND b", "and(level:[a *] b)"),
        ("@timestamp:[2026-11-24T10:00:00Z TO now-1h]", "@timestamp:[=2026-11-24T10:00:00Z =now-1h]"),
        ("t:[\"a b\" TO c}", "t:[=a b c]"),
        ("trace.id:*", "trace.id?"),
        ("_exists_:trace.id", "trace.id?"),
        ("url.path:/api/v1/x", "url.path:/api/v1/x"),
        ("message:/.*\"Method\":\"POST\"/", "message:/.*\"Method\":\"POST\"/"),
        (r"url.path:/\/api\/.*/", "url.path://api/.*/"),
        ("conn*", "<conn*>"),
        ("host.name:web-?", "host.name:<web-?>"),
        (r"a\*b\:c", "a*b:c"),
        ("labels.delta:-5", "labels.delta:-5"),
        ("url.full:http://a/b", "url.full:http://a/b"),
        ("http://a/b", "http://a/b"),
        ("at:12:30", "at:12:30"),
        ("a^2 b", "or(a b)"),
        ("not and or", "or(not and or)"),
        ("e-mail", "e-mail"),
    ] {
        assert_eq!(tree(text), expected, "{text}");
    }
}

#[test]
fn the_default_operator_joins_words_side_by_side() {
    let both = |text| show(&parse(text, Operator::And).unwrap());
    assert_eq!(both("a b -c"), "and(a b not(c))");
    assert_eq!(both("a b OR c"), "and(a or(b c))");
}

#[test]
fn errors_point_at_the_mistake() {
    for (text, at, part) in [
        ("status:", 7, "expected a value after `status:`"),
        ("a AND", 5, "expected a word"),
        ("AND b", 0, "before AND"),
        ("(a OR b", 0, "never closed"),
        ("a)", 1, "closes nothing"),
        ("()", 1, "expected a word"),
        ("x \"abc", 2, "never closed"),
        ("status:[500 599]", 12, "expected TO"),
        ("status:[500 TO 599", 7, "expected `]`"),
        ("[1 TO 2]", 0, "needs a field"),
        (">5", 0, "needs a field"),
        ("wörd~", 4, "fuzzy"),
        ("a OR OR b", 5, "before OR"),
        ("a:(b:c)", 3, "inside the parentheses"),
        ("a\\", 1, "after `\\`"),
    ] {
        let error = parse(text, Operator::Or).expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn size_is_bounded() {
    assert!(parse(&"(".repeat(10_000), Operator::Or).is_err());
    assert!(parse(&"NOT ".repeat(5_000), Operator::Or).is_err());
    assert!(parse(&"a ".repeat(10_000), Operator::Or).is_err());
    assert!(parse(&"x".repeat(super::parse::MAX_LENGTH + 1), Operator::Or).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z:\\[\\]{}()\"/\\\\~^*?<>=!&|+ \\-TOANDR]{0,40}|\\PC{0,40}") {
        let _ = parse(&text, Operator::Or);
        let _ = parse(&text, Operator::And);
    }
}
