//! What a mapping file means, as a whole: rules taken, options, and mistakes with their places.

use std::time::Duration;

use super::{Mapping, Note, Slot};
use crate::metrics::naming::Observer;

fn mapping(text: &str) -> Mapping {
    Mapping::parse("m.yaml", text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn error(text: &str) -> String {
    Mapping::parse("m.yaml", text).map(|_| ()).unwrap_err().to_string()
}

fn taken(mapping: &Mapping, name: &str, slot: Slot) -> Option<String> {
    mapping.find(name, slot).map(|hit| {
        let labels: Vec<String> = hit.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        format!("{} {}", hit.name, labels.join(","))
    })
}

#[test]
fn globs_come_before_regular_expressions_whatever_their_order() {
    let m = mapping(
        r#"
mappings:
- match: '^test\.(.*)$'
  match_type: regex
  name: by_regex
  labels: {rest: "$1"}
- match: test.*.*
  name: "${2}_by_glob"
  labels:
    what: $1
    code: 200
"#,
    );
    assert_eq!(taken(&m, "test.a.b", Slot::Counter).unwrap(), "b_by_glob code=200,what=a");
    assert_eq!(taken(&m, "test.a", Slot::Counter).unwrap(), "by_regex rest=a");
    assert_eq!(taken(&m, "other", Slot::Counter), None);
    assert_eq!(m.find("test.a", Slot::Gauge).unwrap().rule.place.line, 3);
}

#[test]
fn types_pick_their_rules() {
    let m = mapping(
        "mappings:
- {match: a.*, name: a_gauge, match_metric_type: gauge}
- {match: '^a', name: a_regex_observer, match_type: regex, match_metric_type: observer}
- {match: a.*, name: a_any}
",
    );
    for (slot, name) in [(Slot::Gauge, "a_gauge "), (Slot::Counter, "a_any "), (Slot::Observer, "a_any ")] {
        assert_eq!(taken(&m, "a.b", slot).unwrap(), name);
    }
    assert_eq!(taken(&m, "a", Slot::Observer).unwrap(), "a_regex_observer ");
    assert_eq!(taken(&m, "a", Slot::Gauge), None);
}

#[test]
fn options_fall_back_from_rule_to_file_to_program() {
    let m = mapping(
        "
defaults:
  observer_type: histogram
  ttl: 1m
  histogram_options:
    buckets: [1, 2, .inf]
  summary_options:
    max_age: 30s
    quantiles: [{quantile: 0.9, error: 0.02}]
mappings:
- {match: plain, name: plain}
- match: own
  name: own
  ttl: 5s
  histogram_options: {buckets: [3], native_histogram_bucket_factor: 2, native_histogram_max_buckets: 10}
- {match: sum, name: sum, observer_type: summary, summary_options: {age_buckets: 2}, ttl: 0}
",
    );
    let at = |name: &str| m.find(name, Slot::Observer).unwrap().rule.clone();
    let Observer::Histogram(plain) = at("plain").observer else { panic!() };
    assert_eq!(
        (plain.buckets.as_slice(), plain.native_factor, plain.native_max_buckets),
        (&[1.0, 2.0][..], 1.1, 256)
    );
    assert_eq!(at("plain").ttl, Some(Duration::from_secs(60)));
    let Observer::Histogram(own) = at("own").observer else { panic!() };
    assert_eq!((own.buckets.as_slice(), own.native_factor, own.native_max_buckets), (&[3.0][..], 2.0, 10));
    assert_eq!(at("own").ttl, Some(Duration::from_secs(5)));
    let Observer::Summary(sum) = at("sum").observer else { panic!() };
    assert_eq!(sum.quantiles, [(0.9, 0.02)]);
    assert_eq!((sum.max_age, sum.age_buckets), (Duration::from_secs(30), 2));
    assert_eq!(at("sum").ttl, Some(Duration::from_secs(60)), "0 means the default");
    assert!(matches!(&m.observer, Observer::Histogram(h) if h.buckets == [1.0, 2.0]));
}

#[test]
fn old_spellings_are_taken_with_a_warning() {
    let m = mapping(
        "
defaults:
  timer_type: histogram
  buckets: [1, 2]
mappings:
- match: a
  name: a
  match_metric_type: timer
- match: b
  name: b
  timer_type: summary
  quantiles:
  - {quantile: 0.5, error: 0.1}
- match: c
  name: c
  ttl: 30
",
    );
    let Observer::Histogram(a) = m.find("a", Slot::Observer).unwrap().rule.observer.clone() else { panic!() };
    assert_eq!(a.buckets, [1.0, 2.0]);
    let Observer::Summary(b) = m.find("b", Slot::Observer).unwrap().rule.observer.clone() else { panic!() };
    assert_eq!(b.quantiles, [(0.5, 0.1)]);
    assert_eq!(m.find("c", Slot::Gauge).unwrap().rule.ttl, Some(Duration::from_nanos(30)));
    let warnings: Vec<String> = m.warnings.iter().map(Note::to_string).collect();
    let expected = [
        "m.yaml:3:15: timer_type",
        "m.yaml:4:12: buckets now",
        "m.yaml:8:22: match_metric_type: 'timer'",
        "m.yaml:11:15: timer_type",
        "m.yaml:13:5: quantiles now",
        "m.yaml:16:8: ttl: 30 has no unit",
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for start in expected {
        assert!(warnings.iter().any(|w| w.starts_with(start)), "{start}: {warnings:#?}");
    }
}

#[test]
fn mistakes_name_their_place() {
    let cases = [
        ("mappings:\n- match: a\n  name: b\n  labells: {}\n", "m.yaml:4:3: unknown field"),
        ("mapping: []\n", "m.yaml:1:1: unknown field"),
        ("mappings:\n- match: a\n", "m.yaml:2:10: 'name' is missing"),
        ("mappings:\n- match: a\n  action: drop\n", "m.yaml:2:10: 'name' is missing"),
        ("mappings:\n- name: a\n", "m.yaml: rule 1: 'match' is missing"),
        ("mappings:\n- match: a*\n  name: b\n", "m.yaml:2:10: match: 'a*' is not a glob"),
        ("mappings:\n- match: a\n  name: 1b\n", "m.yaml:3:9: name: '1b' is not"),
        ("mappings:\n- match: a\n  name: 'b c'\n", "m.yaml:3:9: name: 'b c' is not"),
        ("mappings:\n- match: a\n  name: b\n  labels: {k: v}\n", "m.yaml:4:11: labels: 'k' is not"),
        (
            "mappings:\n- match: a\n  name: b\n  action: keep\n",
            "m.yaml:4:11: action: 'keep' is not one of map, drop",
        ),
        ("mappings:\n- match: a\n  name: b\n  ttl: soon\n", "m.yaml:4:8: ttl: 'soon' is not a duration"),
        (
            "mappings:\n- match: a(\n  name: b\n  match_type: regex\n",
            "m.yaml:2:10: match: invalid regex 'a(': unclosed group",
        ),
        (
            "mappings:\n- match: a\n  name: b\n  observer_type: histogram\n  summary_options: {}\n",
            "m.yaml:2:10: summary_options stand beside",
        ),
        (
            "mappings:\n- match: a\n  name: b\n  observer_type: histogram\n  histogram_options: {buckets: [2, 1]}\n",
            "m.yaml:5:32: buckets must be numbers that rise",
        ),
        ("mappings:\n- match: a\n  name: b\n  scale: .inf\n", "m.yaml:2:10: scale: must be a finite number"),
        ("defaults: {match_type: fuzzy}\n", "m.yaml:1:24: match_type: 'fuzzy' is not one of glob, regex"),
        ("mappings:\n- match: a\n  match: b\n", "m.yaml:3:3: duplicate"),
    ];
    for (text, start) in cases {
        let error = error(text);
        assert!(error.starts_with(start), "{error}\n  expected {start}\n{text}");
    }
}

#[test]
fn nothing_is_a_mapping_without_rules() {
    for text in ["", "# only words\n", "---\n", "mappings:\n", "defaults:\nmappings: []\n"] {
        let m = mapping(text);
        assert!(m.rules().is_empty(), "{text}");
        assert_eq!(m.observer, Observer::default(), "{text}");
    }
}

#[test]
fn says_what_can_never_match_or_never_be_kept() {
    let m = mapping(
        "mappings:\n- {match: a.*, name: x}\n- {match: a.b, name: y}\n- {match: b.*, name: $1_total}\n",
    );
    let warnings: Vec<String> = m.warnings.iter().map(Note::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(warnings.iter().any(|w| w.contains("'a.b' is never reached: 'a.*' in line 2")), "{warnings:#?}");
    let free =
        mapping("mappings:\n- {match: a.b, name: x}\n- {match: a.*, name: y}\n- {match: a.*.c, name: z}\n");
    assert!(free.warnings.is_empty(), "{:?}", free.warnings);
}

#[test]
fn the_matcher_can_be_drawn() {
    let dot = mapping("mappings:\n- {match: a.*, name: x, match_metric_type: gauge}\n").dot();
    assert!(dot.starts_with("digraph g {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains("[label = \"a\"]") && dot.contains("[label = \"*\"]"), "{dot}");
    assert_eq!(dot.matches("->").count(), 5, "three types and two parts: {dot}");
}
