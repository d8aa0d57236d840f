//! A sender that missed the answer sends again: what it had named itself is stored once, whatever happened between.

use reqwest::Client;
use serde_json::{Value, json};

use super::support::agent::Ports;
use super::support::{eventually, get_json, get_text};

/// Twenty documents under the sender's own ids, and twenty spans in each of the two protocols.
async fn send(ports: &Ports) {
    let client = Client::new();
    let bulk: String = (0..20)
        .map(|n| format!("{{\"create\":{{\"_id\":\"mine-{n}\"}}}}\n{{\"message\":\"number {n}\"}}\n"))
        .collect();
    let url = format!("http://127.0.0.1:{}/_bulk", ports.bulk);
    let answer = client.post(url).header("content-type", "application/x-ndjson").body(bulk);
    let answer: Value = answer.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["errors"], false, "{answer}");

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64;
    // The same minute in both rounds: a span that is sent again is the same span.
    let start = now - now % 3_600_000_000;
    let zipkin: Vec<Value> = (0..20)
        .map(|n| {
            json!({ "traceId": format!("{:032x}", 1), "id": format!("{:016x}", n + 1), "name": "zipkin",
                    "timestamp": start, "duration": 1000, "localEndpoint": { "serviceName": "twice" } })
        })
        .collect();
    let url = format!("http://127.0.0.1:{}/api/v2/spans", ports.zipkin);
    assert!(client.post(url).json(&zipkin).send().await.unwrap().status().is_success());
    let otlp: Vec<Value> = (0..20)
        .map(|n| {
            json!({ "traceId": format!("{:032x}", 1), "spanId": format!("{:016x}", n + 101), "name": "otlp",
                    "startTimeUnixNano": (start * 1000).to_string(), "endTimeUnixNano": (start * 1000 + 1).to_string() })
        })
        .collect();
    let otlp = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": otlp }] }] });
    let url = format!("http://127.0.0.1:{}/v1/traces", ports.otlp);
    assert!(client.post(url).json(&otlp).send().await.unwrap().status().is_success());
}

/// Records and spans that are stored, and those that were recognised.
async fn stored(ports: &Ports) -> Result<(u64, usize, f64), String> {
    let logs = get_json(&ports.url("/logs-*/_search?size=0&track_total_hits=true&q=message:number")).await?;
    let spans = get_json(&ports.url(&format!("/api/v2/trace/{:032x}", 1))).await?;
    let metrics = get_text(&ports.url("/metrics")).await?;
    let repeated = metrics.lines().filter(|l| l.starts_with("sightline_store_repeated_records_total"));
    let repeated = repeated.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    Ok((logs["hits"]["total"]["value"].as_u64().unwrap_or(0), spans.as_array().map_or(0, Vec::len), repeated))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_again_is_stored_once() {
    let ports = Ports::new();
    let agent = ports.agent("").await;
    send(&ports).await;
    send(&ports).await;
    eventually("all is stored once", 30, async || {
        let now = stored(&ports).await?;
        if now == (20, 40, 60.0) { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    agent.signal("-KILL");
    drop(agent);
    let _agent = ports.agent("").await;
    send(&ports).await;
    eventually("what an agent had stored before it was killed is recognised", 30, async || {
        let now = stored(&ports).await?;
        // Counted from the new start; the queue may hand a record out again as well.
        if now.0 == 20 && now.1 == 40 && now.2 >= 60.0 { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
}
