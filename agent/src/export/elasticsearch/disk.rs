//! How full the disks of Elasticsearch's nodes are, for the alert that comes before it stops taking records.
//!
//! Elasticsearch has no exposition of its own, and the agent may ask it already (the privilege `monitor`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Deserialize;

use crate::export::http::Client;
use crate::metrics::registry::series::render_labels;

/// Between two looks.
pub const INTERVAL: Duration = Duration::from_secs(30);
/// An answer older than this is not shown any more: an old figure looks like a good one.
const STALE: Duration = Duration::from_secs(300);
/// Nodes beyond this many are left out; a name is cut after so many characters.
const MOST: usize = 200;
const NAME: usize = 128;
const PATH: &str = "/_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total";

static SEEN: Mutex<Option<(Instant, Vec<Disk>)>> = Mutex::new(None);

/// The disk of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Disk {
    node: String,
    total: u64,
    available: u64,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    name: String,
    fs: Fs,
}

#[derive(Debug, Deserialize)]
struct Fs {
    total: Total,
}

#[derive(Debug, Deserialize)]
struct Total {
    total_in_bytes: u64,
    available_in_bytes: u64,
}

/// Looks each `interval`, for as long as the server answers such questions.
pub(super) async fn watch(client: Arc<Client>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        ticks.tick().await;
        match look(&client).await {
            Ok(Some(disks)) => {
                told = false;
                *SEEN.lock() = Some((Instant::now(), disks));
            }
            // A gateway, or a service that keeps its nodes to itself.
            Ok(None) => {
                tracing::debug!("what takes the records does not say how full its disks are");
                return;
            }
            Err(reason) => {
                metrics::counter!("sightline_elasticsearch_disk_failures_total").increment(1);
                if !told {
                    tracing::warn!(reason, "elasticsearch does not say how full its disks are");
                }
                told = true;
            }
        }
    }
}

/// The disks; `None` from a server that has no such question.
async fn look(client: &Client) -> Result<Option<Vec<Disk>>, String> {
    let reply = client.get(PATH).await.map_err(|error| error.to_string())?;
    match reply.status.as_u16() {
        200..300 => read(&reply.body).map(Some),
        404 | 405 | 410 => Ok(None),
        _ => Err(reply.reason()),
    }
}

fn read(body: &[u8]) -> Result<Vec<Disk>, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| format!("reply: {error}"))?;
    let disk = |node: Node| Disk {
        node: node.name.chars().take(NAME).collect(),
        total: node.fs.total.total_in_bytes,
        available: node.fs.total.available_in_bytes,
    };
    Ok(answer.nodes.into_values().take(MOST).map(disk).collect())
}

/// What a scrape shows; empty without a recent answer.
pub fn render() -> String {
    match &*SEEN.lock() {
        Some((when, disks)) if when.elapsed() < STALE => text(disks),
        _ => String::new(),
    }
}

fn text(disks: &[Disk]) -> String {
    let mut out = String::new();
    for (name, help, value) in [
        (
            "sightline_elasticsearch_disk_bytes",
            "Size of the disk of a node of Elasticsearch.",
            (|disk| disk.total) as fn(&Disk) -> u64,
        ),
        (
            "sightline_elasticsearch_disk_available_bytes",
            "What is left of the disk of a node of Elasticsearch.",
            |disk| disk.available,
        ),
    ] {
        // Writing to a string does not fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for disk in disks {
            let _ =
                writeln!(out, "{name}{{{}}} {}", render_labels([("node", disk.node.as_str())]), value(disk));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{read, text};

    #[test]
    fn shows_what_the_nodes_say() {
        let body = br#"{"nodes":{"x1":{"name":"es-1","fs":{"total":{"total_in_bytes":100,"free_in_bytes":12,"available_in_bytes":7}}}}}"#;
        let shown = text(&read(body).unwrap());
        assert!(shown.contains("sightline_elasticsearch_disk_bytes{node=\"es-1\"} 100\n"), "{shown}");
        assert!(shown.contains("sightline_elasticsearch_disk_available_bytes{node=\"es-1\"} 7\n"), "{shown}");
        assert_eq!(read(b"{}").unwrap(), []);
        assert!(read(b"<html>").unwrap_err().starts_with("reply: "));
    }
}
