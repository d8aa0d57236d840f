//! The collector is not there, goes away, comes back: services do not notice, and what was lost is said.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::agent::Ports;
use super::support::{eventually, get_text, sample};

/// Records in the embedded store that match.
async fn found(ports: &Ports, query: &str) -> Result<Vec<Value>, String> {
    let body = json!({ "size": 200, "query": { "query_string": { "query": query } } });
    let answer = reqwest::Client::new().post(ports.url("/logs-*/_search")).json(&body).send().await;
    let answer: Value = answer.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
    answer["hits"]["hits"].as_array().cloned().ok_or_else(|| answer.to_string())
}

async fn hello(url: &str, id: &str) -> u16 {
    let request = reqwest::Client::new()
        .post(format!("{url}/helloworld"))
        .header("x-request-id", id)
        .header("content-type", "application/json")
        .body(r#"{"name": "Nic"}"#);
    request.send().await.unwrap().status().as_u16()
}

/// A service that starts before its collector answers at once, and is seen as soon as the collector is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_starts_without_its_collector_and_finds_it_later() {
    let ports = Ports::new();
    let (_service, url) = ports.kittenserver(&[]).await;
    let began = Instant::now();
    for n in 0..50 {
        assert_eq!(hello(&url, &format!("early-{n}")).await, 200);
    }
    // Not a measure of speed: a call that waited for the collector would take its connect timeout each time.
    assert!(began.elapsed() < Duration::from_secs(20), "50 requests took {:?}", began.elapsed());
    // More spans than the crate holds back: the rest has to be dropped, and told.
    let burst = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move {
            let client = reqwest::Client::new();
            for _ in 0..700 {
                let answer = client.get(format!("{url}/kittens")).send().await.unwrap();
                assert_eq!(answer.status(), 200);
            }
        })
    });
    for task in burst.collect::<Vec<_>>() {
        task.await.unwrap();
    }

    let _agent = ports.agent("").await;
    eventually("new records arrive", 60, async || {
        let id = format!("late-{}", began.elapsed().as_millis());
        hello(&url, &id).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let hits = found(&ports, &format!("request_id:\"{id}\" AND status:200")).await?;
        if hits.is_empty() { Err(format!("nothing for {id}")) } else { Ok(()) }
    })
    .await;
    eventually("new metrics arrive", 30, async || {
        let text = get_text(&ports.url("/metrics")).await?;
        let count = text
            .lines()
            .find(|l| l.starts_with("instrument_calls_total{") && l.contains("segment=\"helloworld\""))
            .and_then(|l| l.rsplit(' ').next()?.parse::<f64>().ok());
        if count.is_some_and(|n| n >= 1.0) { Ok(()) } else { Err(text) }
    })
    .await;
    eventually("what was lost is told", 40, async || {
        let hits = found(&ports, "service.name:kittenserver AND message:\"of spans were dropped\"").await?;
        if hits.is_empty() { Err("nothing is told".to_owned()) } else { Ok(()) }
    })
    .await;
    // Counters were added up meanwhile, and records waited: neither is lost.
    let text = get_text(&ports.url("/metrics")).await.unwrap();
    let calls =
        text.lines().find(|l| l.starts_with("instrument_calls_total{") && l.contains("segment=\"kittens\""));
    let calls: f64 = calls.and_then(|l| l.rsplit(' ').next()?.parse().ok()).unwrap_or_default();
    assert!(calls >= 5600.0, "{calls} of 5600 calls before the collector came");
    let kept = found(&ports, "request_id:\"early-7\"").await.unwrap();
    assert_eq!(kept.len(), 1, "an early record waited for the collector: {kept:?}");
}

/// SIGTERM in the middle of traffic: the agent drains and ends by itself, and the next start goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drains_on_sigterm_and_goes_on_after_a_restart() {
    let ports = Ports::new();
    let mut agent = ports.agent("").await;
    let (_service, url) = ports.kittenserver(&["--traffic", "50"]).await;
    eventually("traffic is stored", 30, async || {
        let hits = found(&ports, "service.name:kittenserver").await?;
        if hits.len() > 20 { Ok(()) } else { Err(format!("{} records", hits.len())) }
    })
    .await;
    agent.signal("-TERM");
    assert_eq!(agent.ended(30).await, Some(0), "{}", agent.log());

    let _agent = ports.agent("").await;
    assert_eq!(hello(&url, "after-restart").await, 200);
    eventually("records flow again", 60, async || {
        hello(&url, "after-restart").await;
        let hits = found(&ports, "request_id:\"after-restart\"").await?;
        if hits.is_empty() { Err("none yet".to_owned()) } else { Ok(()) }
    })
    .await;
    let before = found(&ports, "service.name:kittenserver").await.unwrap().len();
    assert!(before > 20, "what was stored before the restart is still there: {before}");

    // The ledger balances when nothing is under way.
    eventually("the ledger balances", 30, async || {
        let text = get_text(&ports.url("/metrics")).await?;
        let sum = |name: &str, lane: &str| {
            text.lines()
                .filter(|l| l.starts_with(name) && l.contains(&format!("lane=\"{lane}\"")))
                .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
                .sum::<f64>()
        };
        for lane in ["logs", "spans"] {
            let inn = sum("sightline_received_total{", lane);
            let out = sum("sightline_exported_total{", lane)
                + sum("sightline_dead_lettered_total{", lane)
                + sum("sightline_dropped_total{", lane)
                + sum("sightline_queued{", lane);
            // What the last process left in its queue was received by it and is exported by this one.
            let carried = sum("sightline_recovered_total{", lane);
            if inn + carried != out {
                return Err(format!("{lane}: received {inn} + recovered {carried}, accounted {out}"));
            }
        }
        Ok(())
    })
    .await;
    assert!(sample(&get_text(&ports.url("/metrics")).await.unwrap(), "sightline_build_info").is_some());
}
