//! Which way a name goes, and what comes out.

use std::sync::Arc;
use std::time::Duration;

use sightline_instrument::wire::metric;

use super::*;
use crate::metrics::mapping::Mapping;

fn labels(resolved: &Resolved) -> Vec<(&str, &str)> {
    resolved.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

#[test]
fn names_are_escaped_as_statsd_exporter_does() {
    let cases = [
        ("a-b", "a_b"),
        ("a---b", "a_b"),
        ("a..b", "a__b"),
        ("9lead.x", "_9lead_x"),
        ("esc.ünï", "esc__n_"),
        ("a- -b", "a___b"),
    ];
    for (name, expected) in cases {
        assert_eq!(escape(name), expected, "{name}");
    }
}

#[test]
fn the_long_form_becomes_labels() {
    let r = resolve(
        "prod.server1.kittenserver.handlers.list.ok",
        Kind::Counter,
        &[("a", "1")],
        &Rules::default(),
    );
    assert_eq!(r.family, metric::OUTCOMES);
    assert_eq!(
        labels(&r),
        [
            ("a", "1"),
            ("environment", "prod"),
            ("group", "handlers"),
            ("host", "server1"),
            ("outcome", "ok"),
            ("segment", "list"),
            ("service", "kittenserver")
        ]
    );
}

#[test]
fn the_short_form_needs_both_tags() {
    let tags = [("host", "h"), ("environment", "dev")];
    let with = resolve("svc.http.geo.timing", Kind::Timer, &tags, &Rules::default());
    assert_eq!((with.family.as_str(), with.rule), (metric::TIMING, Origin::Convention));
    let without = resolve("svc.http.geo.timing", Kind::Timer, &tags[..1], &Rules::default());
    assert_eq!((without.family.as_str(), without.rule), ("svc_http_geo_timing", Origin::Flat));
}

#[test]
fn the_last_of_equal_tags_wins_and_the_name_wins_over_tags() {
    let r = resolve("x", Kind::Gauge, &[("k", "1"), ("k", "2")], &Rules::default());
    assert_eq!(labels(&r), [("k", "2")]);
    let r = resolve(
        "dev.h1.s.cache.get.size",
        Kind::Gauge,
        &[("host", "other"), ("measure", "m")],
        &Rules::default(),
    );
    assert!(labels(&r).contains(&("host", "h1")) && labels(&r).contains(&("measure", "size")));
}

fn with(mapping: &str) -> Rules {
    Rules::default().with_mapping(Arc::new(Mapping::parse("m.yaml", mapping).unwrap()))
}

#[test]
fn a_mapping_rule_comes_before_the_convention() {
    let rules =
        with("mappings:\n- {match: prod.*.*.*.*.*, name: mine, labels: {machine: $1}, scale: 2, help: me}\n");
    let name = "prod.server1.kittenserver.handlers.list.ok";
    let r = resolve(name, Kind::Counter, &[("machine", "x"), ("a", "1")], &rules);
    assert_eq!((r.family.as_str(), r.rule.clone()), ("mine", Origin::Mapping(0)));
    assert_eq!(labels(&r), [("a", "1"), ("machine", "server1")]);
    assert_eq!((r.scale, r.help.as_deref()), (Some(2.0), Some("me")));
    let other = resolve("prod.h.s.handlers.list.ok.more", Kind::Counter, &[], &rules);
    assert_eq!(other.rule, Origin::Flat);
}

#[test]
fn a_tag_wins_only_where_the_rule_honors_it() {
    let rules =
        with("mappings:\n- {match: a, name: a, honor_labels: true, labels: {job: rule, other: rule}}\n");
    let r = resolve("a", Kind::Gauge, &[("job", "tag")], &rules);
    assert_eq!(labels(&r), [("job", "tag"), ("other", "rule")]);
}

#[test]
fn a_rule_can_drop_a_name_or_leave_it_empty() {
    let rules = with("mappings:\n- {match: a.*, name: unused, action: drop}\n- {match: b.*, name: $2}\n");
    assert_eq!(resolve("a.b", Kind::Timer, &[], &rules).action, Action::Drop);
    assert_eq!(resolve("b.b", Kind::Timer, &[], &rules).family, "");
}

#[test]
fn what_a_rule_captures_is_escaped_in_names_and_verbatim_in_labels() {
    let rules =
        with("mappings:\n- {match: 'x\\.(.*)', match_type: regex, name: 'x_$1', labels: {raw: $1}}\n");
    let r = resolve("x.a-b c", Kind::Counter, &[], &rules);
    assert_eq!((r.family.as_str(), labels(&r)), ("x_a_b_c", vec![("raw", "a-b c")]));
}

#[test]
fn defaults_of_the_file_hold_for_names_without_a_rule() {
    let rules = with("defaults: {observer_type: histogram, ttl: 10s, histogram_options: {buckets: [1]}}\n");
    let r = resolve("foreign.timer", Kind::Timer, &[], &rules);
    assert_eq!(r.ttl, Some(Duration::from_secs(10)));
    assert!(matches!(r.observer, Observer::Histogram(h) if h.buckets == [1.0]));
}

#[test]
fn the_convention_can_be_switched_off_and_its_environments_named() {
    let name = "qa.h.s.handlers.list.ok";
    assert_eq!(resolve(name, Kind::Counter, &[], &Rules::default()).rule, Origin::Flat);
    let rules = Rules { environments: vec!["qa".to_owned()], ..Rules::default() };
    assert_eq!(resolve(name, Kind::Counter, &[], &rules).rule, Origin::Convention);
    let rules = Rules { convention: false, ..rules };
    assert_eq!(resolve(name, Kind::Counter, &[], &rules).family, "qa_h_s_handlers_list_ok");
}

#[test]
fn a_scale_never_turns_a_counter_around() {
    let rules = with("mappings: [{match: a, name: a, scale: -1}]");
    assert_eq!(resolve("a", Kind::Counter, &[], &rules).action, Action::Drop);
    assert_eq!(resolve("a", Kind::Gauge, &[], &rules).action, Action::Map);
}
