//! `sightline store …` as a person types it, beside a running agent, and the start after somebody's disk turned bits.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::support::agent::Ports;
use super::support::{eventually, get_json, get_text, sample};

/// Exit code, standard output, standard error.
fn sightline(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sightline")).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

async fn found(ports: &Ports, query: &str) -> Result<u64, String> {
    let body = json!({ "query": { "query_string": { "query": query } } });
    let answer = reqwest::Client::new().post(ports.url("/logs-*/_count")).json(&body).send().await;
    let answer: Value = answer.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
    answer["count"].as_u64().ok_or_else(|| answer.to_string())
}

async fn send(ports: &Ports, text: &str) {
    use tokio::io::AsyncWriteExt;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", ports.logs)).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// Files below `dir` whose names end so, the newest part's last.
fn files(dir: &Path, end: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            all.push(path);
        }
    }
    all.sort();
    all
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x20;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_is_looked_at_beside_its_agent_and_survives_bits_that_turn() {
    let ports = Ports::new();
    let settings = "store: {min_free: 0B, metrics: {interval: 1s}}";
    let mut agent = ports.agent(settings).await;
    let config = ports.dir.path().join("sightline.yaml");
    let store = |args: &[&str]| sightline(&[&["store", "--config", config.to_str().unwrap()], args].concat());
    for round in 1..=3_u64 {
        let lines: String = (0..5)
            .map(|n| {
                json!({"message": format!("line {round}-{n}"), "service": "user", "round": round}).to_string()
            })
            .map(|line| line + "\n")
            .collect();
        send(&ports, &lines).await;
        eventually("a round is stored", 20, async || match found(&ports, "service:user").await? {
            n if n == round * 5 => Ok(()),
            n => Err(format!("{n} records")),
        })
        .await;
    }

    let (code, out, err) = store(&["stats"]);
    assert!(code == 0 && out.contains("logs: 15 records") && out.contains("spans: 0 records"), "{out}{err}");
    let (code, out, err) = store(&["stats", "--json"]);
    let stats: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    assert_eq!((code, &stats["logs"]["records"]), (0, &json!(15)));
    let (code, out, err) =
        store(&["export", "--query", "round:2 AND message:line", "--csv", "message,round"]);
    assert!(code == 0 && out.lines().count() == 6 && out.contains("line 2-4,2"), "{out}{err}");
    for (args, says) in [
        (&["prune", "--before", "now"][..], "an agent is writing this store"),
        (&["prune", "--before", "someday"], "`someday` is not a time"),
        (&["export", "--query", "round:[1 TO"], "at column"),
        (&["export", "bananas"], "bananas"),
        (&["stats", "--nonsense"], "--nonsense"),
        (&[], "Usage"),
    ] {
        let (code, out, err) = store(args);
        assert!(code != 0 && err.contains(says), "{args:?}: {code}\n{out}{err}");
    }

    agent.signal("-TERM");
    assert_eq!(agent.ended(30).await, Some(0), "{}", agent.log());
    let data = ports.dir.path().join("data");
    let segments = files(&data.join("store/logs"), ".store");
    assert!(segments.len() >= 3, "each round is a commit: {segments:?}");
    flip(&segments[0], 0);
    let logs = files(&data.join("metrics"), ".log");
    let head = logs.iter().find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("head-")));
    let head = head.unwrap_or_else(|| panic!("{logs:?}"));
    let length = std::fs::metadata(head).unwrap().len() as usize;
    flip(head, length - 3);

    let agent = ports.agent(settings).await;
    // The damaged text is found by whoever reads it, at the latest by the daily check.
    eventually("two rounds of three answer, and the loss is counted", 60, async || {
        let read = get_text(&ports.url("/logs-*/_search?q=message:/line.*/&size=50")).await?;
        let text = get_text(&ports.url("/metrics")).await?;
        let lost = sample(&text, "sightline_store_lost_records_total{lane=\"logs\"").unwrap_or_default();
        match (found(&ports, "service:user").await?, lost) {
            (10, 5.0) => Ok(()),
            other => Err(format!("{other:?} {read}")),
        }
    })
    .await;
    assert!(agent.log().contains("damaged segments of the store were set aside"), "{}", agent.log());
    assert!(agent.log().contains("the tail of the log of samples was damaged"), "{}", agent.log());
    let up = get_json(&ports.url("/api/v1/query?query=sightline_build_info")).await.unwrap();
    assert_eq!(up["status"], "success");
    let (code, out, err) = store(&["stats"]);
    assert!(code == 0 && out.contains("1 damaged parts were set aside"), "{out}{err}");
}
