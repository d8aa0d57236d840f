//! Lines in, samples out, as text.

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Trace(Vec<String>);

impl Sink for Trace {
    fn sample(&mut self, s: &Sample<'_>) {
        let name = String::from_utf8_lossy(s.name);
        let mut out = format!("{name} {:?} {}", s.kind, if s.relative { "rel " } else { "" });
        match s.kind {
            Kind::Set => out += &String::from_utf8_lossy(s.member),
            _ => out += &s.value.to_string(),
        }
        if s.weight != 1.0 {
            out += &format!(" x{}", s.weight);
        }
        if !s.tags.is_empty() {
            out += &format!(" #{}", String::from_utf8_lossy(s.tags));
        }
        self.0.push(out);
    }
    fn refuse(&mut self, reason: Refusal) {
        self.0.push(format!("! {}", reason.label()));
    }
    fn ignore_field(&mut self) {
        self.0.push("~".to_owned());
    }
    fn event(&mut self, e: &Event<'_>) {
        self.0.push(format!("{e:?}"));
    }
    fn check(&mut self, c: &Check<'_>) {
        self.0.push(format!("{c:?}"));
    }
}

fn trace_as(line: &[u8], dialect: Dialect) -> String {
    let mut trace = Trace::default();
    parse(line, dialect, &mut trace);
    trace.0.join("; ")
}

fn trace(line: &str) -> String {
    trace_as(line.as_bytes(), Dialect::default())
}

#[test]
fn reads_every_type() {
    assert_eq!(trace("a.b:1|c"), "a.b Counter 1");
    assert_eq!(trace("a.b:-7|g"), "a.b Gauge rel -7");
    assert_eq!(trace("a.b:+7|g"), "a.b Gauge rel 7");
    assert_eq!(trace("a.b:7.5|g"), "a.b Gauge 7.5");
    assert_eq!(trace("a.b:250|ms"), "a.b Timer 250");
    assert_eq!(trace("a.b:2|h"), "a.b Histogram 2");
    assert_eq!(trace("a.b:2|d"), "a.b Distribution 2");
    assert_eq!(trace("a.b:user:7|s"), "a.b Set user:7");
}

#[test]
fn a_rate_is_a_weight() {
    assert_eq!(trace("a:1|c|@0.1"), "a Counter 10");
    assert_eq!(trace("a:1|c|@0.5|@0.5"), "a Counter 4");
    assert_eq!(trace("a:100|ms|@0.25"), "a Timer 100 x4");
    assert_eq!(trace("a:100|ms|@1e-12"), "a Timer 100 x1000000000000");
    assert_eq!(trace("a:1|c|@0"), "a Counter 1");
    assert_eq!(trace("a:1|c|@x"), "! invalid_rate; a Counter 1");
    assert_eq!(trace("a:1|c|@-1"), "! invalid_rate; a Counter 1");
    assert_eq!(trace("a:3|g|@0.1"), "a Gauge 3");
    let whole = Dialect { whole_weights: true, ..Dialect::default() };
    assert_eq!(trace_as(b"a:100|ms|@0.3", whole), "a Timer 100 x3");
    assert_eq!(trace_as(b"a:100|ms|@2", whole), "");
}

#[test]
fn values_are_packed_for_every_type_but_sets() {
    assert_eq!(
        trace("a:1:2:x:3|ms|#t:v"),
        "a Timer 1 #t:v; a Timer 2 #t:v; ! malformed_value; a Timer 3 #t:v"
    );
    assert_eq!(trace("a:1:2|c|@0.5"), "a Counter 2; a Counter 4");
    assert_eq!(trace("a:10:+5:-3|g"), "a Gauge 10; a Gauge rel 5; a Gauge rel -3");
}

#[test]
fn a_line_without_tags_may_hold_several_samples() {
    assert_eq!(trace("a:1|c:2|c:200|ms"), "a Counter 1; a Counter 2; a Timer 200");
    assert_eq!(trace("a:1|ms|@0.5:2|ms|@0.25"), "a Timer 1 x2; a Timer 2 x4");
    assert_eq!(trace("a:1|x:2|c"), "! unknown_type; a Counter 2");
    assert_eq!(trace("a:1|c:2|c|#t:v"), "~; ! unknown_type");
}

#[test]
fn unknown_fields_never_cost_the_sample() {
    assert_eq!(trace("a:1|c|#t:v|T1656581400"), "~; a Counter 1 #t:v");
    assert_eq!(trace("a:1|c|#t:v|e:it-false,cn-x|card:low|future:1"), "~; ~; ~; a Counter 1 #t:v");
    assert_eq!(trace("a:1|c|e:x|c:abc"), "~; a Counter 1");
}

#[test]
fn bad_lines_say_why() {
    assert_eq!(trace("nocolon"), "! malformed_line");
    assert_eq!(trace(":1|c"), "! malformed_line");
    assert_eq!(trace("a:1"), "! malformed_component");
    assert_eq!(trace("a:1|"), "! malformed_component");
    assert_eq!(trace("a:1|c||#t:v"), "! malformed_component");
    assert_eq!(trace("a:|c"), "! malformed_value");
    assert_eq!(trace("a:0x10|c"), "! malformed_value");
    assert_eq!(trace("a:1|q"), "! unknown_type");
    assert_eq!(trace("a:-1|c"), "! negative_counter");
    for value in ["NaN", "Inf", "-Inf", "1e400"] {
        assert_eq!(trace(&format!("a:{value}|h")), "! not_finite");
    }
    assert_eq!(trace("a:-0|c"), "a Counter -0");
    assert_eq!(trace(""), "");
    assert_eq!(trace("x:1|c\r"), "x Counter 1");
    assert_eq!(trace_as(b"a:b|s", Dialect { sets: false, ..Dialect::default() }), "! unknown_type");
}

#[test]
fn events_and_checks_are_read() {
    assert_eq!(trace("_x:1|c"), "_x Counter 1");
    let event = trace("_e{5,4}:ti|le|te|t|d:17|h:web|p:low|t:error|k:key|s:src|#a:b|c:id");
    let expected = Event {
        title: "ti|le",
        text: "te|t",
        at: Some("17"),
        host: Some("web"),
        priority: Some("low"),
        alert: Some("error"),
        key: Some("key"),
        source: Some("src"),
        tags: "a:b",
    };
    assert_eq!(event, format!("{expected:?}"));
    let check = trace("_sc|db|2|d:17|h:web|#a:b|m:gone | away");
    let expected = Check {
        name: "db",
        status: 2,
        at: Some("17"),
        host: Some("web"),
        message: Some("gone | away"),
        tags: "a:b",
    };
    assert_eq!(check, format!("{expected:?}"));
    for bad in
        ["_e{5,4}:ab|c", "_e{0,1}:|x", "_e{x,1}:a|b", "_e{18446744073709551615,1}:a|b", "_sc|db", "_sc|db|9"]
    {
        assert_eq!(trace(bad), "! malformed_event", "{bad}");
    }
}

proptest! {
    #[test]
    fn no_input_panics(line in prop::collection::vec(any::<u8>(), 0..80)) {
        trace_as(&line, Dialect::default());
    }

    #[test]
    fn no_mix_of_the_grammar_panics(line in "(_e\\{|_sc\\||[a-z.é]{0,3})([:|@#,=\\[\\]{}0-9.+cgmshdTe-]|é){0,24}") {
        trace_as(line.as_bytes(), Dialect::default());
    }
}

proptest! {
    /// Most lines take a shorter way. It must lead to the same place.
    #[test]
    fn the_short_way_reads_what_the_long_one_reads(
        line in "[a-z.]{1,3}:[-+]?[0-9]{0,9}[.]?[0-9]{0,8}\\|(c|g|ms|h|d|s|q|m|cc)?(\\|#[a-z:,|@.]{0,6}|\\|@0.5|:1\\|c)?",
        dogstatsd: bool,
    ) {
        let dialect = Dialect { dogstatsd, ..Dialect::default() };
        let mut long = Trace::default();
        elaborate(line.as_bytes(), memchr(b':', line.as_bytes()).unwrap(), dialect, &mut long);
        prop_assert_eq!(trace_as(line.as_bytes(), dialect), long.0.join("; "));
    }
}
