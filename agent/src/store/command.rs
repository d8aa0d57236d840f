//! `sightline store stats|prune|export`: the store from the command line, also while an agent is writing it.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Settings;
use super::csv::{cell, row};
use super::events::{Dropped, EventStore, Kind, Lane, Search, Sort};
use super::query::{Operator, dates, parse};
use crate::units::Bytes;

/// Arguments of `sightline store`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what is stored: parts, records, bytes, times
    Stats {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Drop old days. The agent must not be running: it expires what its settings say by itself
    Prune {
        /// What ended before this moment goes: 2026-11-24, now-7d. Days are dropped whole
        #[arg(long, value_name = "TIME")]
        before: Option<String>,
        /// Only these; default both
        #[arg(long, value_enum)]
        only: Option<What>,
    },
    /// Write records to standard output
    Export {
        /// What to write
        #[arg(value_enum, default_value = "logs")]
        what: What,
        /// A query as on the page: `level:error AND service:kittenserver`
        #[arg(long, short, default_value = "*")]
        query: String,
        /// From this moment: 2026-11-24T10:00:00Z, now-1h
        #[arg(long)]
        from: Option<String>,
        /// To this moment, included
        #[arg(long)]
        to: Option<String>,
        /// Columns, separated by commas: writes CSV instead of a JSON object on each line
        #[arg(long, value_delimiter = ',')]
        csv: Vec<String>,
        /// At most so many records, oldest first
        #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
        limit: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    Logs,
    Spans,
}

impl What {
    fn kind(self) -> Kind {
        match self {
            What::Logs => Kind::Logs,
            What::Spans => Kind::Spans,
        }
    }
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is stored there, or it cannot be read.
    #[error("the store in {dir} cannot be read: {error}")]
    Open { dir: String, error: std::io::Error },
    /// The query cannot be read.
    #[error("the query is wrong {0}")]
    Query(#[from] super::query::QueryError),
    /// The query asks for what cannot be done.
    #[error(transparent)]
    Search(#[from] super::events::SearchError),
    /// A time cannot be read.
    #[error("`{0}` is not a time: write 2026-11-24, 2026-11-24T10:00:00Z or now-7d")]
    Time(String),
    /// Pruning beside a running agent.
    #[error(
        "an agent is writing this store; stop it, or lower store.logs.age and store.spans.age in its configuration"
    )]
    InUse,
    /// Standard output is closed or full.
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
}

/// Runs a command over the store below `dir`. Times are relative to `now_ms`.
///
/// # Errors
/// See [`Error`].
pub fn main(
    args: &Args,
    dir: &Path,
    settings: &Settings,
    now_ms: i64,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match &args.command {
        Command::Stats { json } => stats(dir, settings, *json, out),
        Command::Prune { before, only } => {
            let before = before.as_deref().map(|text| time(text, now_ms)).transpose()?;
            for kind in [What::Logs, What::Spans] {
                if only.is_none_or(|only| only == kind) {
                    prune(dir, settings, kind.kind(), before.map(|(from, _)| from), out)?;
                }
            }
            Ok(())
        }
        Command::Export { what, query, from, to, csv, limit } => {
            let lane = look(dir, settings, what.kind())?;
            let from = from.as_deref().map(|text| time(text, now_ms)).transpose()?.map(|(from, _)| from);
            let to = to.as_deref().map(|text| time(text, now_ms)).transpose()?.map(|(_, end)| end);
            let mut selection = lane.select(&parse(query, Operator::Or)?, from, to)?;
            selection.budget = super::query::scan::Budget::until(None);
            export(&lane, selection, csv, *limit, out)
        }
    }
}

fn time(text: &str, now_ms: i64) -> Result<(i64, i64), Error> {
    dates::interval(text, now_ms).ok_or_else(|| Error::Time(text.to_owned()))
}

fn look(dir: &Path, settings: &Settings, kind: Kind) -> Result<Lane, Error> {
    Lane::look(dir, kind, settings).map_err(|error| Error::Open { dir: dir.display().to_string(), error })
}

fn stats(dir: &Path, settings: &Settings, as_json: bool, out: &mut dyn Write) -> Result<(), Error> {
    let mut all = Map::new();
    for kind in [Kind::Logs, Kind::Spans] {
        let lane = look(dir, settings, kind)?;
        let (records, bytes) = lane.totals();
        if as_json {
            all.insert(
                kind.name().to_owned(),
                json!({ "records": records, "bytes": bytes, "damaged_parts": lane.damaged_parts(), "parts": lane.stats() }),
            );
            continue;
        }
        let keep = lane.keep();
        writeln!(
            out,
            "{}: {records} records, {} (kept {}, at most {})",
            kind.name(),
            size(bytes),
            keep.age,
            keep.size
        )?;
        for part in lane.stats() {
            let at =
                |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), super::api::elasticsearch::aggs::iso);
            writeln!(
                out,
                "  {:<16} {:>12} {:>10}  {}  {}",
                part.name,
                part.records,
                size(part.bytes),
                at(part.first_ms),
                at(part.last_ms)
            )?;
        }
        let damaged = lane.damaged_parts();
        if damaged > 0 {
            writeln!(
                out,
                "  {damaged} damaged parts were set aside in {}; delete them when nobody needs them",
                lane.dir().display()
            )?;
        }
    }
    if as_json {
        writeln!(out, "{}", Value::Object(all))?;
    }
    Ok(())
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

fn prune(
    dir: &Path,
    settings: &Settings,
    kind: Kind,
    before: Option<i64>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let lane = look(dir, settings, kind)?;
    if lane.in_use() {
        return Err(Error::InUse);
    }
    let dropped: Dropped = match before {
        Some(before) => lane.drop_before(before),
        None => lane.expire(),
    };
    writeln!(
        out,
        "{}: dropped {} parts with {} records, {}",
        kind.name(),
        dropped.parts,
        dropped.records,
        Bytes(dropped.bytes)
    )?;
    Ok(())
}

fn export(
    lane: &Lane,
    selection: super::events::Selection,
    columns: &[String],
    limit: usize,
    out: &mut dyn Write,
) -> Result<(), Error> {
    const PAGE: usize = 2000;
    let mut line = String::new();
    if !columns.is_empty() {
        row(&mut line, columns.iter().map(String::as_str));
        out.write_all(line.as_bytes())?;
    }
    let (mut left, mut after) = (limit, None);
    loop {
        let sort = Sort::Time { descending: false };
        let hits = lane
            .search(&Search { selection: selection.clone(), limit: PAGE.min(left), offset: 0, sort, after })
            .value;
        let Some(last) = hits.last() else { return Ok(()) };
        after = Some((last.at_ms, Some(last.order)));
        left -= hits.len();
        for hit in &hits {
            if columns.is_empty() {
                out.write_all(&hit.source)?;
                out.write_all(b"\n")?;
                continue;
            }
            let source: Map<String, Value> = serde_json::from_slice(&hit.source).unwrap_or_default();
            let values: Vec<String> = columns.iter().map(|name| cell(&source, name)).collect();
            line.clear();
            row(&mut line, values.iter().map(String::as_str));
            out.write_all(line.as_bytes())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::export::Entry;
    use crate::logs::envelope::Envelope;
    use crate::store::events::Events;

    const NOW: i64 = 1_763_985_600_000; // 2025-11-24T12:00:00Z

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn fill(dir: &Path) -> std::sync::Arc<Events> {
        let settings = Settings { min_free: Bytes(0), ..Settings::default() };
        let events = Events::open_at(dir, &settings, std::sync::Arc::new(|| NOW)).unwrap();
        let batch: Vec<Entry> = (1..=3)
            .map(|n| {
                let document =
                    json!({ "@timestamp": NOW - n * 1000, "message": format!("m{n}"), "n": n }).to_string();
                let mut payload = Vec::new();
                Envelope { stream: "logs-a.app-x", id: &n.to_string(), document: document.as_bytes() }
                    .encode(&mut payload);
                Entry { seq: n as u64, payload: payload.into() }
            })
            .collect();
        events.logs.append(&batch);
        events
    }

    fn run(dir: &Path, args: &[&str]) -> Result<String, Error> {
        let cli = Cli::try_parse_from(["store"].iter().chain(args)).unwrap();
        let mut out = Vec::new();
        main(&cli.args, dir, &Settings::default(), NOW, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_store_is_shown_and_exported_while_it_is_written_and_pruned_only_after() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(run(dir.path(), &["stats"]), Err(Error::Open { .. })));
        let events = fill(dir.path());
        assert!(run(dir.path(), &["stats"]).unwrap().starts_with("logs: 3 records"));
        let stats: Value = serde_json::from_str(&run(dir.path(), &["stats", "--json"]).unwrap()).unwrap();
        assert_eq!(stats["logs"]["parts"][0]["name"], "2025-11-24.000");
        let lines = run(dir.path(), &["export", "--query", "n:>1"]).unwrap();
        let messages: Vec<Value> =
            lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["message"].clone()).collect();
        assert_eq!(messages, ["m3", "m2"]);
        assert_eq!(
            run(dir.path(), &["export", "--csv", "n,message", "--limit", "1"]).unwrap(),
            "n,message\r\n3,m3\r\n"
        );
        assert_eq!(run(dir.path(), &["export", "--from", "now-1s"]).unwrap().lines().count(), 1);
        assert!(matches!(run(dir.path(), &["export", "--query", "n:"]), Err(Error::Query(_))));
        assert!(matches!(run(dir.path(), &["prune", "--before", "soon"]), Err(Error::Time(_))));
        assert!(matches!(run(dir.path(), &["prune", "--before", "now+1d"]), Err(Error::InUse)));
        drop(events);
        assert!(
            run(dir.path(), &["prune", "--before", "2025-11-24"]).unwrap().contains("logs: dropped 0 parts")
        );
        assert!(
            run(dir.path(), &["prune", "--before", "2025-11-25", "--only", "logs"])
                .unwrap()
                .contains("logs: dropped 1 parts with 3 records")
        );
        assert!(run(dir.path(), &["stats"]).unwrap().starts_with("logs: 0 records"));
    }
}
