//! The agent's own metrics, which come as text 0.0.4, in the format of the scrape.

use std::collections::BTreeMap;

use super::Format;
use super::protobuf::proto::{Counter, Kind, LabelPair, Metric, MetricFamily, Number};
use super::protobuf::write;
use crate::metrics::registry::series::{read_labels, unescape};

/// Converts text 0.0.4 and ends the exposition.
pub fn convert(text: &str, format: Format) -> Vec<u8> {
    match format {
        Format::Text => text.as_bytes().to_vec(),
        Format::OpenMetrics => open_metrics(text),
        Format::Protobuf => protobuf(text),
    }
}

/// Counters are named without `_total` in their head, or are of unknown type if their name has none; empty lines go.
fn open_metrics(text: &str) -> Vec<u8> {
    let mut out = String::with_capacity(text.len() + 64);
    let counters: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let head = line.strip_prefix("# ").and_then(|rest| {
            let (word, rest) = rest.split_once(' ')?;
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            counters.contains(&name).then_some((word, name, rest))
        });
        match head {
            Some((word, name, rest)) => {
                let (base, known) = name.strip_suffix("_total").map_or((name, false), |base| (base, true));
                let rest = if word == "TYPE" && !known { "unknown" } else { rest };
                out.push_str(&format!("# {word} {base} {rest}\n"));
            }
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out.push_str("# EOF\n");
    out.into_bytes()
}

/// Counters and gauges as such, all else without a type, each sample under its own name.
fn protobuf(text: &str) -> Vec<u8> {
    let types: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let mut families: BTreeMap<&str, Vec<Metric>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.trim().rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let label = read_labels(labels.trim_end_matches('}'))
            .map(|(k, v)| LabelPair { name: Some(k.to_owned()), value: Some(unescape(v).into_owned()) });
        let mut metric = Metric { label: label.collect(), ..Metric::default() };
        match types.get(name) {
            Some(&"counter") => metric.counter = Some(Counter { value: Some(value), created: None }),
            Some(&"gauge") => metric.gauge = Some(Number { value: Some(value) }),
            _ => metric.untyped = Some(Number { value: Some(value) }),
        }
        families.entry(name).or_default().push(metric);
    }
    let mut out = Vec::new();
    for (name, metric) in families {
        let kind = match types.get(name) {
            Some(&"counter") => Kind::Counter,
            Some(&"gauge") => Kind::Gauge,
            _ => Kind::Untyped,
        };
        let family =
            MetricFamily { name: Some(name.to_owned()), help: None, kind: Some(kind.into()), metric };
        write(&mut out, &family);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_lose_their_suffix_in_the_head_only() {
        let text = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\"} 2\n\n# TYPE b counter\nb 1\n# TYPE c gauge\nc 1\n";
        assert_eq!(
            String::from_utf8(convert(text, Format::OpenMetrics)).unwrap(),
            "# HELP a A.\n# TYPE a counter\na_total{x=\"1\"} 2\n# TYPE b unknown\nb 1\n# TYPE c gauge\nc 1\n# EOF\n"
        );
    }
}
