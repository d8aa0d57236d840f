//! The embedded store on a disk that is really full: small file systems of their own below the real binary's data folder.
//! It goes on, keeps what it acknowledged in the queue, starts again while there is no room, and stores all of it once
//! there is. Needs the right to mount; says so and ends where there is none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tokio::net::UdpSocket;

use super::support::agent::Ports;
use super::support::{eventually, get_json, get_text, sample};

const RECORDS: u64 = 6_000;
const EACH: u64 = 500;
const SERIES: u32 = 2_000;

/// A file system in memory that is as large as it is told to be, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "sightline-test"])
            .arg(&at)
            .output()
            .ok()?;
        done.status.success().then_some(Disk(at))
    }

    fn resize(&self, size: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,size={size}")])
            .arg(&self.0)
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the agent may still be ending.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Records with text that does not pack well.
fn logs(first: u64) -> Value {
    let records: Vec<Value> = (first..first + EACH)
        .map(|n| {
            let noise: Vec<String> = (1..30u64)
                .map(|i| format!("{:016x}", (n * 31 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
                .collect();
            json!({
                "body": { "stringValue": noise.join(" ") },
                "attributes": [{ "key": "n", "value": { "intValue": n.to_string() } }],
            })
        })
        .collect();
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "full" } }] });
    json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": records }] }] })
}

/// How often each number is stored.
fn stored(config: &Path) -> Result<BTreeMap<u64, u32>, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_sightline"))
        .args(["store", "--config", config.to_str().unwrap(), "export", "logs", "--query", "service:full"])
        .output()
        .unwrap();
    let mut times = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let record: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let number = record["labels.n"].as_str().and_then(|n| n.parse().ok()).ok_or("no number")?;
        *times.entry(number).or_default() += 1;
    }
    Ok(times)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_nothing_and_loses_nothing_that_was_acknowledged() {
    let ports = Ports::new();
    let data = ports.dir.path().join("data");
    let disks = (Disk::mount(data.join("store"), "3m"), Disk::mount(data.join("metrics"), "300k"));
    let (Some(events), Some(metrics)) = disks else {
        eprintln!("skipped: mounting a small file system needs the right to mount");
        return;
    };
    let settings = "store: {min_free: 0B, metrics: {interval: 1s}}";
    let mut agent = ports.agent(settings).await;
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{}/v1/logs", ports.otlp);
    for first in (0..RECORDS).step_by(EACH as usize) {
        let answer = client.post(&url).json(&logs(first)).send().await.unwrap();
        assert!(answer.status().is_success(), "the queue lies elsewhere and takes it: {}", answer.status());
    }
    let statsd = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for n in 0..SERIES {
        let line = format!("full_disk_gauge_{n}:{n}|g|#noise:{:08x}", n.wrapping_mul(0x9e37_79b9));
        statsd.send_to(line.as_bytes(), ("127.0.0.1", ports.statsd)).await.unwrap();
    }

    // Both stores hit the end of their disks, say so, and answer questions.
    eventually("the store cannot commit, and says so", 60, async || {
        let text = get_text(&ports.url("/metrics")).await?;
        let failed = sample(&text, r#"sightline_store_commit_failures_total{lane="logs"}"#).unwrap_or(0.0);
        let dropped =
            sample(&text, r#"sightline_store_metric_samples_dropped_total{reason="disk"}"#).unwrap_or(0.0);
        let told = dropped > 0.0 || agent.log().contains("their log cannot be written");
        if failed > 0.0 && told {
            Ok(())
        } else {
            Err(format!("{failed} commits failed, {dropped} samples dropped"))
        }
    })
    .await;
    get_json(&ports.url("/api/v1/query?query=count(full_disk_gauge_1)")).await.unwrap();
    get_json(&ports.url("/logs-*/_search?q=service.name:full&size=1")).await.unwrap();

    // A start without any room is a start.
    agent.signal("-KILL");
    agent.ended(10).await;
    let agent = ports.agent(settings).await;

    events.resize("200m");
    metrics.resize("50m");
    let config = ports.dir.path().join("sightline.yaml");
    eventually("everything acknowledged is there once", 60, async || {
        let found = stored(&config)?;
        let once = found.len() as u64 == RECORDS && found.values().all(|times| *times == 1);
        if once { Ok(()) } else { Err(format!("{} of {RECORDS}; log: {}", found.len(), agent.log())) }
    })
    .await;
    eventually("samples are written again", 30, async || {
        let answer = get_json(
            &ports.url("/api/v1/query?query=count_over_time(sightline_store_metric_samples_total%5B5s%5D)"),
        )
        .await?;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned).ok_or(answer.to_string())
    })
    .await;
    let text = get_text(&ports.url("/metrics")).await.unwrap();
    assert_eq!(sample(&text, r#"sightline_store_parts_set_aside_total{lane="logs"}"#).unwrap_or(0.0), 0.0);
}
