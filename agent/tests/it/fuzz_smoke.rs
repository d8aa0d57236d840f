//! The properties of the fuzz targets on their seeds and on random input, for a bounded number of tries.

use proptest::prelude::*;

#[path = "../../../fuzz/src/properties.rs"]
mod properties;

/// Pieces that mean something to a parser, and bytes that mean nothing.
fn pieces(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => "[a-z0-9.]{1,5}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

const LINE: &[&str] = &[
    ":",
    "|",
    "|c",
    "|g",
    "|ms",
    "|h",
    "|d",
    "|s",
    "|@0.1",
    "|@",
    "|#",
    ",",
    "=",
    "[",
    "]",
    "#",
    "a.b",
    "a-b",
    "1",
    "-1",
    "+2",
    "1e308",
    "NaN",
    "inf",
    "\n",
    "\r\n",
    "_e{5,4}:",
    "_sc|",
    "|T1",
    "|c:id",
    "le:1",
    "quantile:2",
    "__name__:x",
    "a_sum",
    "a_count",
    "a_bucket",
    "sightline_x",
    "prod.h.s.handlers.list.ok",
    "é",
    "\\",
    "\"",
    "k:v",
];

const MAPPING: &[&str] = &[
    "mappings:\n",
    "- match: ",
    "  match: ",
    "a.*\n",
    "'*.b'\n",
    "'^a(.*)'\n",
    "  name: ",
    "x_$1\n",
    "${1}_y\n",
    "$0\n",
    "  match_type: regex\n",
    "  action: drop\n",
    "  labels: {job: $1}\n",
    "  scale: 2\n",
    "  ttl: 1m\n",
    "defaults:\n",
    "  observer_type: histogram\n",
    "  histogram_options: {buckets: [1, 2]}\n",
    "  glob_disable_ordering: true\n",
    "  timer_type: summary\n",
    "  honor_labels: true\n",
    "\n",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "\0",
    "a.b",
    "\\d+",
    "(?P<n>x)",
];

const LOGS: &[&str] = &[
    "{",
    "}",
    "\"message\":",
    "\"a.b\":",
    "\"x\"",
    ",",
    ":",
    "[",
    "]",
    "1",
    "-1.5e9",
    "null",
    "true",
    "\n",
    "\r\n",
    "\\",
    "\\u00",
    "\"",
    "\"@timestamp\":\"2026-01-01T00:00:00Z\"",
    "\"level\":\"warn\"",
    "\"host\":\"h\"",
    "<13>",
    "12 ",
    "plain ",
    "{\"a\":1}",
    "\u{feff}",
    "é",
];

const SPANS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"traceId\":\"463ac35c9f6413ad48485a3953bb6124\"",
    "\"id\":\"a2fb4a1d1a96d312\"",
    "\"timestamp\":1556604172355737",
    "\"duration\":1431",
    "\"tags\":{\"error\":\"x\"}",
    "\"localEndpoint\":{\"serviceName\":\"a\"}",
    "\"kind\":\"SERVER\"",
    "\"annotations\":[{\"timestamp\":1,\"value\":\"v\"}]",
    "\"parentId\":\"1\"",
    "\n\u{10}",
    "\u{12}\u{8}12345678",
    "\n\u{10}0123456789abcdef",
    "\n*\u{12}(\u{12}&\n\u{10}0123456789abcdef\u{12}\u{8}12345678",
    "\u{1a}\u{3}a.b",
    "\n\u{2}\n\u{0}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn line(data in pieces(LINE)) {
        properties::line(&data);
    }

    #[test]
    fn mapping(data in pieces(MAPPING)) {
        properties::mapping(&data);
    }

    #[test]
    fn spans(data in pieces(SPANS)) {
        properties::spans(&data);
    }

    #[test]
    fn logs(data in pieces(LOGS)) {
        properties::logs(&data);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn queue(data in prop::collection::vec(any::<u8>(), 0..40)) {
        properties::queue(&data);
    }
}

/// What the fuzzer starts from, and what it once found.
#[test]
fn every_seed_holds() {
    let seeds = super::support::root().join("fuzz/seeds");
    let mut read = 0;
    for target in std::fs::read_dir(&seeds).unwrap() {
        let target = target.unwrap();
        let property: fn(&[u8]) = match target.file_name().to_str() {
            Some("line") => properties::line,
            Some("mapping") => properties::mapping,
            Some("logs") => properties::logs,
            Some("spans") => properties::spans,
            Some("queue") => properties::queue,
            other => panic!("{} has no target {other:?}", seeds.display()),
        };
        for seed in std::fs::read_dir(target.path()).unwrap() {
            property(&std::fs::read(seed.unwrap().path()).unwrap());
            read += 1;
        }
    }
    assert!(read >= 3, "{} holds {read} seeds", seeds.display());
}
