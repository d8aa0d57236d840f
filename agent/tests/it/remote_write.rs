//! Remote write into real receivers: what was counted here is what is asked for there.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sightline_agent::export::dead_letters::{self, DeadLetters};
use sightline_agent::export::remote_write::{Handle, Keep, OwnMetrics, Protocol, Settings, start};
use sightline_agent::metrics::naming::Rules;
use sightline_agent::metrics::registry::Registry;
use sightline_agent::metrics::settings::Settings as Metrics;
use sightline_agent::metrics::tally::Batch;
use sightline_agent::queue;
use sightline_agent::units::Span;
use tempfile::TempDir;

use crate::support::agent::Ports;
use crate::support::backends::Backend;
use crate::support::proxy::{Proxy, Weather};
use crate::support::{eventually, get_json, get_text, sample};

const LINES: &str = "kitten.hits:3|c|#site:a\nkitten.level:1.5|g\nforeign.time:100:200:300|ms\n\
                     prod.h1.kittenserver.handlers.list.timing:300|ms\n\
                     prod.h1.kittenserver.handlers.list.success:1|c";

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn settings(url: String, protocol: Protocol) -> Settings {
    let interval = Span(Duration::from_millis(250));
    Settings { url, protocol, interval, ..Settings::default() }
}

fn write(settings: Settings, ttl: Option<Duration>) -> (Handle, Arc<Registry>, TempDir) {
    let rules = Rules { ttl, ..Rules::default() };
    let registry = Arc::new(Registry::new(&Metrics::default(), rules, &[]));
    registry.ingest(LINES.as_bytes(), now(), &mut Batch::default());
    let own: OwnMetrics = Arc::new(|| {
        "# TYPE sightline_own_total counter\nsightline_own_total{lane=\"metrics\"} 7\n".to_owned()
    });
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(&dir.path().join("letters"), &dead_letters::Settings::default()).unwrap();
    let keep = Keep {
        queues: &dir.path().join("queue"),
        queue: &queue::Settings::default(),
        letters: Arc::new(letters),
    };
    (start(&[settings], &registry, &own, &keep).unwrap(), registry, dir)
}

/// The value of an instant query; an error while there is none.
async fn query(url: &str, query: &str) -> Result<f64, String> {
    let escaped: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
    let answer: Value = get_json(&format!("{url}/api/v1/query?query={escaped}")).await?;
    let value = answer["data"]["result"][0]["value"][1].as_str().ok_or_else(|| answer.to_string())?;
    value.parse().map_err(|_| value.to_owned())
}

async fn comes(url: &str, text: &str, expected: f64) {
    eventually(text, 20, async || match query(url, text).await {
        Ok(value) if (value - expected).abs() < 1e-9 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// Everything that both versions carry.
async fn everything_comes(url: &str) {
    for (text, expected) in [
        (r#"kitten_hits{site="a",job="sightline"}"#, 3.0),
        ("kitten_level", 1.5),
        ("foreign_time_count", 3.0),
        (r#"foreign_time{quantile="0.5"}"#, 0.2),
        (r#"instrument_timing_seconds_bucket{host="h1",le="0.25"}"#, 0.0),
        (r#"instrument_timing_seconds_bucket{host="h1",le="0.5"}"#, 1.0),
        ("instrument_timing_seconds_sum", 0.3),
        (r#"instrument_outcomes_total{outcome="success"}"#, 1.0),
        (r#"instrument_outcomes_total{outcome="failed"}"#, 0.0),
        (r#"sightline_own_total{lane="metrics"}"#, 7.0),
    ] {
        comes(url, text, expected).await;
    }
}

async fn end(handle: Handle) {
    let before = handle.balances()[0];
    assert!(before.rejected == 0, "{before:?}");
    assert!(handle.stop(Duration::from_secs(10)).await, "samples were left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_takes_it_and_sees_a_series_end() {
    let prometheus = Backend::prometheus("global: {}\n");
    let url = format!("{}/api/v1/write", prometheus.url);
    let (handle, registry, _dir) = write(settings(url, Protocol::V1), Some(Duration::from_secs(2)));
    everything_comes(&prometheus.url).await;
    // Without a marker the series would be answered for five minutes more.
    eventually("the end of the series", 30, async || {
        registry.sweep(now());
        match query(&prometheus.url, "count(kitten_level) or vector(0)").await {
            Ok(0.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    end(handle).await;
}

/// Prometheus 2.42 knows only 1.0 and answers a request of 2.0 as if all were well.
#[tokio::test(flavor = "multi_thread")]
async fn auto_finds_out_what_prometheus_speaks() {
    let prometheus = Backend::prometheus("global: {}\n");
    let url = format!("{}/api/v1/write", prometheus.url);
    let (handle, _registry, _dir) = write(settings(url, Protocol::Auto), None);
    everything_comes(&prometheus.url).await;
    end(handle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn victoriametrics_takes_it() {
    let victoria = Backend::victoriametrics();
    for protocol in [Protocol::V1, Protocol::Auto] {
        let url = format!("{}/api/v1/write", victoria.url);
        let (handle, _registry, _dir) = write(settings(url, protocol), None);
        everything_comes(&victoria.url).await;
        end(handle).await;
    }
}

fn line(ports: &Ports, line: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(line.as_bytes(), ("127.0.0.1", ports.statsd)).unwrap();
}

/// The real agent, the real Prometheus, a network that fails and a `kill -9` while it does: what was sampled in between
/// arrives with the times at which it was sampled.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_and_a_kill_leave_no_gap() {
    let prometheus = Backend::prometheus("global: {}\n");
    let network = Proxy::to(&prometheus.url).await;
    let ports = Ports::new();
    let more = format!(
        "remote_write: [{{url: '{}/api/v1/write', name: far, interval: 250ms, protocol: '1.0', max_backoff: 500ms}}]",
        network.url()
    );
    let process = ports.agent(&more).await;
    line(&ports, "outage_level:1|g");
    comes(&prometheus.url, "outage_level", 1.0).await;

    network.set(Weather::Down);
    line(&ports, "outage_level:2|g");
    let queued = async |least: f64| {
        eventually("samples wait on disk", 20, async || {
            let text = get_text(&ports.url("/metrics")).await?;
            let queued = sample(&text, "sightline_queued{lane=\"remote_write-far\"").unwrap_or(0.0);
            if queued >= least { Ok(text) } else { Err(format!("{queued} wait")) }
        })
        .await
    };
    queued(8.0).await;
    process.signal("-KILL");
    drop(process);

    let process = ports.agent(&more).await;
    let text = queued(4.0).await;
    assert!(
        sample(&text, "sightline_recovered_total{lane=\"remote_write-far\"").is_some_and(|n| n >= 4.0),
        "{text}"
    );
    line(&ports, "outage_level:3|g");
    network.set(Weather::Fair);
    comes(&prometheus.url, "outage_level", 3.0).await;
    // All three values, each over and over, and in this order: it was never away for longer than it was killed.
    let answer =
        get_json(&format!("{}/api/v1/query?query=outage_level%5B5m%5D", prometheus.url)).await.unwrap();
    let values: Vec<&str> = answer["data"]["result"][0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair[1].as_str().unwrap())
        .collect();
    assert!(values.is_sorted(), "{values:?}");
    assert!(values.iter().filter(|value| **value == "2").count() >= 6, "{values:?}");
    let text = get_text(&ports.url("/metrics")).await.unwrap();
    let of = |name: &str| sample(&text, &format!("{name}{{endpoint=\"far\"")).unwrap();
    assert_eq!(of("sightline_remote_write_rejected_samples_total"), 0.0);
    let off = sample(&text, "sightline_ledger_difference{lane=\"remote_write-far\"");
    assert_eq!(off, Some(0.0), "{text}");
    drop(process);
}
