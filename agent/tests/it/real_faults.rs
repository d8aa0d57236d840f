//! The real agent and the real Elasticsearch with trouble between them: numbered records go in by `_bulk` over four
//! connections, each sent until it is acknowledged, and each has to be in the index, once.
//!
//! `SIGHTLINE_TEST_RECORDS` sets how many (default 4,000; `just faults-real` takes 200,000).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::agent::Ports;
use super::support::backends::Backend;
use super::support::proxy::{Proxy, Weather};
use super::support::{eventually, get_text, sample};

const CONNECTIONS: u64 = 4;

fn count() -> u64 {
    std::env::var("SIGHTLINE_TEST_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4_000)
}

/// How much of the records has been acknowledged.
#[derive(Debug, Default)]
struct Progress(AtomicU64);

/// Sends records `from..to` of `service` in groups, each until it is acknowledged. What was not acknowledged is sent
/// again under the same `_id`, as a shipper does.
async fn send(port: u16, service: &str, from: u64, to: u64, progress: &Progress) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let group = (count() / 400).clamp(10, 250);
    let deadline = Instant::now() + Duration::from_secs(600);
    let mut first = from;
    while first < to {
        let last = (first + group).min(to);
        let mut body = String::new();
        for n in first..last {
            let _ = writeln!(
                body,
                "{{\"create\":{{\"_id\":\"{service}-{n}\"}}}}\n\
                 {{\"service\":\"{service}\",\"environment\":\"faults\",\"n\":{n},\"message\":\"record {n:0>320}\"}}"
            );
        }
        let url = format!("http://127.0.0.1:{port}/_bulk");
        let request = client.post(url).header("content-type", "application/x-ndjson").body(body);
        match request.send().await {
            Ok(answer) if answer.status() == 200 => {
                let answer: Result<Value, _> = answer.json().await;
                if answer.is_ok_and(|answer| answer["errors"] == json!(false)) {
                    progress.0.fetch_add(last - first, Ordering::Relaxed);
                    first = last;
                    continue;
                }
            }
            // The agent is away, or asks for patience.
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        assert!(Instant::now() < deadline, "records {first}..{last} were never taken");
    }
}

/// All records over all connections, while `trouble` happens.
async fn send_all(ports: &Ports, service: &str, trouble: impl AsyncFnOnce(&Progress)) {
    let progress = Progress::default();
    let share = count().div_ceil(CONNECTIONS);
    let part = |n: u64| send(ports.bulk, service, n * share, ((n + 1) * share).min(count()), &progress);
    tokio::join!(part(0), part(1), part(2), part(3), trouble(&progress));
}

/// How often each number is in the index, from its documents themselves.
async fn indexed(url: &str, service: &str) -> Result<HashMap<u64, u64>, String> {
    let client = reqwest::Client::new();
    let index = format!("logs-{service}.app-faults");
    let post = async |path: String, body: Value| -> Result<Value, String> {
        let answer = client.post(format!("{url}/{path}")).json(&body).send().await;
        answer.map_err(|e| e.to_string())?.json::<Value>().await.map_err(|e| e.to_string())
    };
    let refreshed = client.post(format!("{url}/{index}/_refresh")).send().await.map_err(|e| e.to_string())?;
    assert!(refreshed.status().is_success(), "{}", refreshed.text().await.unwrap_or_default());
    let mut page = post(
        format!("{index}/_search?scroll=1m"),
        json!({ "size": 5000, "sort": ["_doc"], "_source": ["n"] }),
    )
    .await?;
    let mut found = HashMap::new();
    loop {
        let hits = page["hits"]["hits"].as_array().cloned().ok_or_else(|| format!("no hits: {page}"))?;
        if hits.is_empty() {
            return Ok(found);
        }
        for hit in &hits {
            *found.entry(hit["_source"]["n"].as_u64().ok_or_else(|| format!("no n: {hit}"))?).or_insert(0) +=
                1;
        }
        page = post("_search/scroll".to_owned(), json!({ "scroll": "1m", "scroll_id": page["_scroll_id"] }))
            .await?;
    }
}

/// Waits until all are there, then until the books say that nothing waits, and looks at what is there.
async fn each_is_there_once(elasticsearch: &str, ports: &Ports, service: &str) {
    eventually("the queue is empty", 300, async || {
        let text = get_text(&ports.url("/metrics")).await?;
        let waiting = sample(&text, "sightline_queued{lane=\"logs\"");
        if waiting == Some(0.0) { Ok(()) } else { Err(format!("{waiting:?} records wait")) }
    })
    .await;
    let found = indexed(elasticsearch, service).await.unwrap();
    let lost: Vec<u64> = (0..count()).filter(|n| !found.contains_key(n)).collect();
    let doubled = found.values().filter(|times| **times > 1).count();
    assert_eq!((lost.len(), doubled), (0, 0), "lost and doubled; lost: {:?}", &lost[..lost.len().min(20)]);
}

/// A name that no other run has used.
fn service(row: &str) -> String {
    format!(
        "faults{row}{:x}{:x}",
        std::process::id(),
        std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()
    )
}

/// Small batches, so that there are enough exchanges for faults to hit.
fn to(url: &str) -> String {
    let batch = (count() / 100).clamp(40, 2000);
    format!(
        "elasticsearch: {{urls: ['{url}'], timeout: 2s, \
         delivery: {{max_records: {batch}, backoff: 20ms, max_backoff: 500ms}}}}\n\
         queue: {{min_free: 0}}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_ten_times_loses_and_doubles_nothing() {
    let elasticsearch = Backend::elasticsearch();
    let ports = Ports::new();
    let service = service("kill");
    let settings = to(&elasticsearch.url);
    let mut agent = Some(ports.agent(&settings).await);
    send_all(&ports, &service, async |progress| {
        for kill in 1..=10 {
            // At ten places over the run, each somewhere within its share.
            let place = count() * kill / 11 + fastrand::u64(0..count() / 40);
            eventually("the next kill's place", 300, async || {
                let done = progress.0.load(Ordering::Relaxed);
                if done >= place.min(count()) { Ok(()) } else { Err(format!("{done} of {place}")) }
            })
            .await;
            let mut running = agent.take().unwrap();
            running.signal("-KILL");
            running.ended(10).await;
            agent = Some(ports.agent(&settings).await);
        }
    })
    .await;
    each_is_there_once(&elasticsearch.url, &ports, &service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_network_before_elasticsearch_loses_and_doubles_nothing() {
    let elasticsearch = Backend::elasticsearch();
    for (row, weather) in [
        ("down", Weather::Down),
        ("question", Weather::LoseQuestion { every: 5 }),
        ("answer", Weather::LoseAnswer { every: 5 }),
        ("stall", Weather::Stall { every: 20 }),
    ] {
        let (ports, service) = (Ports::new(), service(row));
        let proxy = Proxy::to(&elasticsearch.url).await;
        // Down at the start already; the others from the first record on.
        proxy.set(weather);
        let agent = ports.agent(&to(&proxy.url())).await;
        send_all(&ports, &service, async |progress| {
            eventually("half of the records", 300, async || {
                let done = progress.0.load(Ordering::Relaxed);
                if done >= count() / 2 { Ok(()) } else { Err(format!("{done}")) }
            })
            .await;
            if weather == Weather::Down {
                proxy.set(Weather::Fair);
            }
        })
        .await;
        each_is_there_once(&elasticsearch.url, &ports, &service).await;
        assert!(proxy.hits() > 0, "{row}: the fault was never met");
        drop(agent);
    }
}
