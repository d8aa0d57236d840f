//! The person's side: `sightline tap logs|spans|metrics` prints what a running agent lets pass.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;

use super::{BadFilter, Filter};
use crate::client::Target;

/// What the command line says.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which lane
    #[arg(value_enum)]
    lane: Lane,
    /// Show only what matches: FIELD=VALUE, FIELD=BEGINNING*, or a text that occurs in it; may be given several times
    #[arg(long, short, value_name = "CONDITION")]
    filter: Vec<String>,
    /// Stop after so many lines
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lane {
    /// Records as they went into the queue, one JSON object a line
    Logs,
    /// Spans in Zipkin's form, one JSON object a line
    Spans,
    /// Series whose value has changed, once a second
    Metrics,
}

/// How often changed series are looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// What has been asked for has been printed, or nobody reads on.
#[derive(Debug, thiserror::Error)]
#[error("done")]
struct Done;

/// Prints to `out` until the count is reached, `out` is closed, or the agent goes. Words about what was missed go to
/// `aside`.
pub async fn main(args: &Args, out: &mut dyn Write, aside: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    // A mistake is told before anybody is asked.
    let filter = Filter::parse(args.filter.iter().map(String::as_str)).map_err(crate::config::Error::from)?;
    let mut printer = Printer { out, left: args.count };
    let ended = match args.lane {
        Lane::Logs => stream(args, "/-/tap/logs", &mut printer, aside).await,
        Lane::Spans => stream(args, "/-/tap/spans", &mut printer, aside).await,
        Lane::Metrics => series(args, &filter, &mut printer).await,
    };
    match ended {
        Err(error) if error.is::<Done>() => Ok(()),
        other => other,
    }
}

struct Printer<'o> {
    out: &'o mut dyn Write,
    left: Option<u64>,
}

impl Printer<'_> {
    fn line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        if self.left == Some(0) {
            return Err(Done.into());
        }
        let written = self.out.write_all(line).and_then(|()| self.out.write_all(b"\n"));
        written.and_then(|()| self.out.flush()).map_err(closed)?;
        self.left = self.left.map(|left| left - 1);
        if self.left == Some(0) { Err(Done.into()) } else { Ok(()) }
    }
}

/// A pipe that was closed is how `head` says that it has enough.
fn closed(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { Done.into() } else { error.into() }
}

async fn stream(
    args: &Args,
    path: &str,
    printer: &mut Printer<'_>,
    aside: &mut dyn FnMut(&str),
) -> anyhow::Result<()> {
    let query: Vec<String> = args.filter.iter().map(|c| format!("filter={}", encode(c))).collect();
    let mut carry = Vec::new();
    let each = |piece: &[u8]| {
        carry.extend_from_slice(piece);
        let mut from = 0;
        while let Some(length) = memchr::memchr(b'\n', &carry[from..]) {
            let line = &carry[from..from + length];
            match missed(line) {
                Some(missed) => aside(&format!("{missed} records came too fast to be shown\n")),
                None => printer.line(line)?,
            }
            from += length + 1;
        }
        carry.drain(..from);
        Ok(())
    };
    args.target.stream(&format!("{path}?{}", query.join("&")), each).await?;
    aside("the agent has ended the stream\n");
    Ok(())
}

fn missed(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"{\"sightline.skipped\":")?.strip_suffix(b"}")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Looks at `/metrics` once a second and prints the samples that have changed.
async fn series(args: &Args, filter: &Filter, printer: &mut Printer<'_>) -> anyhow::Result<()> {
    let mut known: Option<HashMap<String, String>> = None;
    loop {
        let (status, body) = args.target.get("/metrics").await?;
        anyhow::ensure!(status == 200, "{}/metrics: the agent answered {status}", args.target.url);
        let now = samples(&String::from_utf8_lossy(&body));
        if let Some(before) = &known {
            for line in changed(before, &now) {
                if filter.matches_sample(&line) {
                    printer.line(line.as_bytes())?;
                }
            }
        }
        known = Some(now);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Value by series, without the agent's own.
fn samples(exposition: &str) -> HashMap<String, String> {
    exposition
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("sightline_"))
        .filter_map(|line| {
            let line = line.split(" # ").next()?;
            let (series, value) = match line.rfind('}') {
                Some(end) => (&line[..=end], line[end + 1..].trim()),
                None => line.split_once(' ')?,
            };
            Some((series.to_owned(), value.to_owned()))
        })
        .collect()
}

fn changed(before: &HashMap<String, String>, now: &HashMap<String, String>) -> Vec<String> {
    let mut lines: Vec<String> = now
        .iter()
        .filter(|(series, value)| before.get(*series) != Some(value))
        .map(|(series, value)| format!("{series} {value}"))
        .collect();
    lines.sort_unstable();
    lines
}

impl Filter {
    /// The same conditions on a line of an exposition: a text anywhere, or `label=value`.
    fn matches_sample(&self, line: &str) -> bool {
        let labels = line.split_once('{').and_then(|(_, rest)| Some(rest.rsplit_once('}')?.0)).unwrap_or("");
        let members: Vec<String> = labels
            .split("\",")
            .filter_map(|label| label.split_once("=\""))
            .map(|(name, value)| {
                let value = serde_json::Value::from(value.trim_end_matches('"'));
                format!("{}:{value}", serde_json::Value::from(name))
            })
            .collect();
        let text = serde_json::Value::from(line);
        let mut record = format!("{{{}", members.join(","));
        record.push_str(if members.is_empty() { "" } else { "," });
        // The whole line as one more member, so that texts are found in it as well.
        record.push_str(&format!("\"\":{text}}}"));
        self.matches(record.as_bytes())
    }
}

/// Percent-encodes what a query string cannot hold as it is.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl From<BadFilter> for crate::config::Error {
    fn from(error: BadFilter) -> Self {
        crate::config::Error { place: "--filter".into(), reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Done, Filter, Printer, changed, missed, samples};

    #[test]
    fn only_series_that_changed_are_shown() {
        let before = samples("# TYPE a counter\na 1\nb{x=\"1 }\"} 2\nsightline_up 1\n");
        let now =
            samples("a 1\nb{x=\"1 }\"} 3 # {trace_id=\"t\"} 1\nc_bucket{le=\"+Inf\"} 7\nsightline_up 2\n");
        assert_eq!(changed(&before, &now), ["b{x=\"1 }\"} 3", "c_bucket{le=\"+Inf\"} 7"]);
    }

    #[test]
    fn samples_are_filtered_by_labels_and_texts() {
        let line = r#"instrument_calls_total{service="kittenserver",segment="list"} 3"#;
        for (condition, wanted) in
            [("service=kitten*", true), ("segment=lis", false), ("calls_total", true), ("nothing", false)]
        {
            assert_eq!(Filter::parse([condition]).unwrap().matches_sample(line), wanted, "{condition}");
        }
        assert!(Filter::parse(["up"]).unwrap().matches_sample("up 1"));
    }

    #[test]
    fn stops_at_the_count() {
        let mut out = Vec::new();
        let mut printer = Printer { out: &mut out, left: Some(2) };
        assert!(printer.line(b"one").is_ok());
        assert!(printer.line(b"two").unwrap_err().is::<Done>());
        assert!(printer.line(b"three").is_err());
        assert_eq!(out, b"one\ntwo\n");
        assert_eq!(missed(b"{\"sightline.skipped\":12}"), Some(12));
        assert_eq!(missed(b"{\"n\":12}"), None);
    }
}
