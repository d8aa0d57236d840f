//! Scrapes, judged by Prometheus' own tools: every text passes `promtool check metrics`, whatever came in before; and a
//! real Prometheus takes native histograms by protobuf and answers from them.

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use sightline_agent::metrics::naming::Rules;
use sightline_agent::metrics::render::{self, Format};
use sightline_agent::metrics::tally::Batch;
use sightline_agent::metrics::{Registry, Settings};

use super::support::agent::Ports;
use super::support::backends::Backend;
use super::support::{eventually, get_json, get_text, sample};

/// What people, machines and attackers send: pieces, to be put together at random.
const NAMES: [&str; 16] = [
    "a",
    "kitten.hits",
    "0digit",
    "a-b--c",
    "é.ü",
    "x_total",
    "x_sum",
    "x_bucket",
    "x",
    "sightline_lines",
    "go_goroutines",
    "instrument_calls_total",
    "prod.h.kit.handlers.list.timing",
    "prod.h.kit.handlers.list.success",
    "{weird}=\"quoted\\\"",
    "tagged,le=1,__name__=x",
];
const VALUES: [&str; 12] =
    ["1", "-1", "+5", "NaN", "Inf", "1e308", "1e-320", "0x10", "", "1:2:3", "9007199254740993", "0.1"];
const KINDS: [&str; 8] = ["c", "g", "ms", "h", "d", "s", "q", ""];
const TAILS: [&str; 10] = [
    "",
    "|@0.1",
    "|@1e-300",
    "|@0",
    "|#le:5,quantile:0.5,__name__:evil,k:v",
    "|#k:a\"b\\c,é:ü,9:x,empty:,:none",
    "|#k:v,k:w|c:ci-1|T1656581400|e:it|card:low",
    "|#environment:prod,host:h.example",
    "|#a:\u{7f}\u{1},b:\r",
    "|@0.5|@0.5|#le:+Inf",
];

fn hostile_line(random: &mut fastrand::Rng) -> Vec<u8> {
    if random.u8(..) < 20 {
        return (0..random.usize(1..60)).map(|_| random.u8(..)).collect();
    }
    let mut pick = |from: &[&str]| from[random.usize(..from.len())].to_owned();
    [&pick(&NAMES), ":", &pick(&VALUES), "|", &pick(&KINDS), &pick(&TAILS)].concat().into_bytes()
}

/// Runs `promtool check metrics`. Its lints are about style, which is the sender's; a text that cannot be read is ours.
fn promtool(text: &str) -> Result<(), String> {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool comes with Prometheus: scripts/backends install prometheus");
    let mut input = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // It may end early, at the first thing that it cannot read.
        scope.spawn(move || input.write_all(text.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => Ok(()),
            // 3: it was read, and something is not in good style.
            Some(3) => Err(format!("lint: {said}")),
            code => Err(format!("code {code:?}: {said}")),
        }
    })
}

fn readable(text: &str) {
    if let Err(said) = promtool(text)
        && !said.starts_with("lint: ")
    {
        panic!("{said}\n{text}");
    }
}

#[test]
fn promtool_notices_what_cannot_be_read() {
    assert!(promtool("# TYPE a counter\n# TYPE a gauge\na 1\n").unwrap_err().starts_with("code"));
    assert!(promtool("a{b=\"c} 1\n").is_err());
}

#[test]
fn promtool_reads_every_scrape_after_hostile_input() {
    let mut random = fastrand::Rng::with_seed(2_026);
    for convention in [true, false] {
        for _ in 0..12 {
            let settings = Settings { convention, ..Settings::default() };
            let rules = Rules { convention, ..Rules::default() };
            let registry = Arc::new(Registry::new(&settings, rules, &["go_", "process_"]));
            for _ in 0..400 {
                registry.ingest(&hostile_line(&mut random), 100, &mut Batch::default());
            }
            assert!(!registry.is_empty());
            readable(&render::to_string(&registry, Format::Text, 100));
        }
    }
}

/// Names of the convention and of the agent itself are ours, so style counts, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_scrape_is_readable_and_the_convention_is_in_good_style() {
    let ports = Ports::new();
    let _agent = ports.agent("").await;
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let line = hostile_line(&mut random);
        udp.send_to(&line, ("127.0.0.1", ports.statsd)).unwrap();
    }
    udp.send_to(b"last:1|c", ("127.0.0.1", ports.statsd)).unwrap();
    let text = eventually("the last line", 20, async || {
        let text = get_text(&ports.url("/metrics")).await?;
        if text.contains("\nlast ") { Ok(text) } else { Err("not yet".to_owned()) }
    })
    .await;
    readable(&text);
    let lines = text.split_inclusive('\n');
    let ours: String = lines
        .filter(|l| {
            let name = l.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
            name.starts_with("instrument_") || name.starts_with("sightline_")
        })
        .collect();
    assert!(ours.contains("instrument_timing_seconds_bucket") && ours.contains("sightline_queued"), "{text}");
    // The one name that it does not like is the convention's own.
    let said = promtool(&ours).err().unwrap_or_default();
    let disliked = said.trim_start_matches("lint: ").lines().filter(|l| !l.starts_with("instrument_gauge "));
    assert_eq!(disliked.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_scrapes_native_histograms_by_protobuf() {
    let ports = Ports::new();
    let _agent = ports.agent("").await;
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (millis, times) in [(100, 5), (300, 10), (900, 5)] {
        let line = format!("prod.h1.kit.handlers.list.timing:{millis}|ms|@0.1");
        for _ in 0..times {
            udp.send_to(line.as_bytes(), ("127.0.0.1", ports.statsd)).unwrap();
        }
    }
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: agent, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n",
        ports.web
    );
    let prometheus = Backend::prometheus_with(&config, &["--enable-feature=native-histograms"]);
    // The quantile is that of a native bucket, 9% wide; the classic ones would say 0.25 to 0.5.
    for (query, expected, within) in [
        ("histogram_count(instrument_timing_seconds{segment=\"list\"})", 200.0, 0.0),
        ("histogram_sum(instrument_timing_seconds{segment=\"list\"})", 80.0, 1e-9),
        ("histogram_quantile(0.5, instrument_timing_seconds{segment=\"list\"})", 0.3, 0.028),
    ] {
        let escaped: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
        let url = format!("{}/api/v1/query?query={escaped}", prometheus.url);
        eventually(query, 30, async || {
            let answer: Value = get_json(&url).await?;
            let value = answer["data"]["result"][0]["value"][1].as_str().unwrap_or_default();
            match value.parse::<f64>() {
                Ok(value) if (value - expected).abs() <= within => Ok(()),
                _ => Err(answer.to_string()),
            }
        })
        .await;
    }
    let text = get_text(&ports.url("/metrics")).await.unwrap();
    assert!(sample(&text, "instrument_timing_seconds_count").is_some_and(|count| count == 200.0), "{text}");
}
