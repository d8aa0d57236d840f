//! The agent's counts under the names that statsd_exporter gives its own.

use std::fmt::Write;

use crate::metrics::line::{Kind, Refusal};
use crate::metrics::registry::Registry;
use crate::metrics::tally::Lost;

/// What the registry does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Reloads that were good.
    pub reloads: u64,
    /// Reloads that left the rules as they were.
    pub failed_reloads: u64,
    /// Where lines are relayed to; empty for nowhere.
    pub relay: String,
}

/// The metrics as text 0.0.4.
///
/// Two differ from the original in kind: conflicts are not told apart by metric, because that label would grow with
/// the input, and nothing is ever queued between receiving and keeping, so nothing is flushed.
pub(super) fn render(registry: &Registry, facts: &Facts) -> String {
    let totals = registry.tally.totals();
    let mut out = Page::default();
    let refused = |reason: Refusal| totals.refused[reason as usize];
    let lost = |reason: Lost| totals.lost[reason as usize];
    let kind = |kind: Kind| totals.kinds[kind as usize];
    let refused_samples: u64 = Refusal::ALL.iter().map(|&reason| refused(reason)).sum();

    out.head("statsd_exporter_events_total", "counter", "The total number of StatsD events seen.");
    out.labelled("type", "counter", kind(Kind::Counter));
    out.labelled("type", "gauge", kind(Kind::Gauge));
    out.labelled("type", "observer", kind(Kind::Timer) + kind(Kind::Histogram) + kind(Kind::Distribution));
    out.one("event_queue_flushed_total", "Number of times events were flushed to exporter", 0);
    out.one("udp_packets_total", "The total number of StatsD packets received over UDP.", totals.udp_packets);
    out.one(
        "udp_packet_drops_total",
        "The total number of dropped StatsD packets which received over UDP.",
        lost(Lost::Kernel),
    );
    out.one("tcp_connections_total", "The total number of TCP connections handled.", totals.connections);
    out.one(
        "tcp_connection_errors_total",
        "The number of errors encountered reading from TCP.",
        totals.connection_errors,
    );
    out.one(
        "tcp_too_long_lines_total",
        "The number of lines discarded due to being too long.",
        refused(Refusal::TooLong),
    );
    out.one(
        "unixgram_packets_total",
        "The total number of StatsD packets received over Unixgram.",
        totals.unix_packets,
    );
    out.one("lines_total", "The total number of StatsD lines received.", totals.lines);
    out.one(
        "samples_total",
        "The total number of StatsD samples received.",
        (totals.received + refused_samples)
            .saturating_sub(lost(Lost::Kernel) + refused(Refusal::InvalidRate)),
    );
    out.head(
        "statsd_exporter_sample_errors_total",
        "counter",
        "The total number of errors parsing StatsD samples.",
    );
    out.labelled("reason", "illegal_event", refused(Refusal::UnknownType));
    out.labelled("reason", "invalid_sample_factor", refused(Refusal::InvalidRate));
    out.labelled("reason", "malformed_component", refused(Refusal::MalformedComponent));
    out.labelled(
        "reason",
        "malformed_line",
        refused(Refusal::MalformedLine) + refused(Refusal::MalformedEvent),
    );
    out.labelled("reason", "malformed_value", refused(Refusal::MalformedValue) + refused(Refusal::NotFinite));
    out.labelled("reason", "mixed_tagging_styles", refused(Refusal::MixedTags));
    out.one("tags_total", "The total number of DogStatsD tags processed.", totals.tagged);
    out.one("tag_errors_total", "The number of errors parsing DogStatsD tags.", totals.bad_tags);
    out.head("statsd_exporter_config_reloads_total", "counter", "The number of configuration reloads.");
    out.labelled("outcome", "success", facts.reloads);
    out.labelled("outcome", "failure", facts.failed_reloads);
    let rules = registry.rules().mapping.as_ref().map_or(0, |mapping| mapping.rules().len());
    out.head("statsd_exporter_loaded_mappings", "gauge", "The current number of configured metric mappings.");
    out.value(rules as u64);
    out.head(
        "statsd_exporter_events_conflict_total",
        "counter",
        "The total number of StatsD events with conflicting names.",
    );
    out.labelled("metric_name", "_other", lost(Lost::TypeConflict));
    out.head(
        "statsd_exporter_events_error_total",
        "counter",
        "The total number of StatsD events discarded due to errors.",
    );
    out.labelled("reason", "illegal_negative_counter", refused(Refusal::NegativeCounter));
    out.head(
        "statsd_exporter_events_actions_total",
        "counter",
        "The total number of StatsD events by action.",
    );
    out.labelled("action", "drop", lost(Lost::Rule));
    out.head("statsd_exporter_metrics_total", "gauge", "The total number of metrics.");
    let families = registry.all_families();
    for word in ["counter", "gauge", "histogram", "summary"] {
        out.labelled("type", word, families.iter().filter(|f| f.shape.type_word() == word).count() as u64);
    }
    if !facts.relay.is_empty() {
        out.head("statsd_exporter_relay_packets_total", "counter", "The number of StatsD packets relayed.");
        out.labelled("target", &facts.relay, totals.relay_packets);
        out.head(
            "statsd_exporter_relay_long_lines_total",
            "counter",
            "The number lines that were too long to relay.",
        );
        out.labelled("target", &facts.relay, totals.relay_long_lines);
        out.head(
            "statsd_exporter_relay_lines_relayed_total",
            "counter",
            "The number of lines that were buffered to be relayed.",
        );
        out.labelled("target", &facts.relay, totals.relay_lines);
    }
    out.head("statsd_metric_mapper_cache_gets_total", "counter", "The count of total metric cache gets.");
    out.value(totals.received);
    out.head("statsd_metric_mapper_cache_hits_total", "counter", "The count of total metric cache hits.");
    out.value(totals.cache_hits);
    out.head("statsd_exporter_build_info", "gauge", "What runs in the place of statsd_exporter.");
    out.labelled("version", env!("CARGO_PKG_VERSION"), 1);
    out.text
}

#[derive(Default)]
struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    fn head(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, value: u64) {
        let _ = writeln!(self.text, "{} {value}", self.name);
    }

    fn labelled(&mut self, key: &str, value: &str, count: u64) {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(self.text, "{}{{{key}=\"{value}\"}} {count}", self.name);
    }

    /// A counter without labels, its name without the program's.
    fn one(&mut self, name: &str, help: &str, value: u64) {
        let name = format!("statsd_exporter_{name}");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, render};
    use crate::metrics::exposition::Exposition;
    use crate::metrics::naming::Rules;
    use crate::metrics::registry::Registry;
    use crate::metrics::settings::Settings;
    use crate::metrics::tally::Batch;

    #[test]
    fn counts_under_the_known_names() {
        let mut settings = Settings::default();
        settings.dialect.sets = false;
        let registry = Registry::new(&settings, Rules::default(), &[]);
        let lines = "a:1|c\nb:2|g\nt:1:2|ms\nbad\nx:|c\ns:a|s\nneg:-1|c\nm,a=1:1|c|#b:2\nw:1|c|@x\na:1|g\n\
                     t:1|c|#novalue";
        let mut batch = Batch::default();
        registry.ingest(lines.as_bytes(), 1, &mut batch);
        registry.tally.flush(&mut batch);
        let facts = Facts { reloads: 2, failed_reloads: 1, relay: "h:1".to_owned() };
        let all = Exposition::parse(&render(&registry, &facts)).unwrap();
        let value = |series: &str| {
            all.samples.iter().find(|s| s.series() == series).unwrap_or_else(|| panic!("{series}")).value
        };
        for (series, expected) in [
            (r#"statsd_exporter_events_total{type="observer"}"#, 2.0),
            (r#"statsd_exporter_sample_errors_total{reason="malformed_line"}"#, 1.0),
            (r#"statsd_exporter_sample_errors_total{reason="malformed_value"}"#, 1.0),
            (r#"statsd_exporter_sample_errors_total{reason="illegal_event"}"#, 1.0),
            (r#"statsd_exporter_sample_errors_total{reason="invalid_sample_factor"}"#, 1.0),
            (r#"statsd_exporter_sample_errors_total{reason="mixed_tagging_styles"}"#, 1.0),
            (r#"statsd_exporter_events_error_total{reason="illegal_negative_counter"}"#, 1.0),
            (r#"statsd_exporter_events_conflict_total{metric_name="_other"}"#, 2.0),
            (r#"statsd_exporter_config_reloads_total{outcome="success"}"#, 2.0),
            (r#"statsd_exporter_metrics_total{type="counter"}"#, 2.0),
            ("statsd_exporter_lines_total", 11.0),
            ("statsd_exporter_tag_errors_total", 1.0),
            (r#"statsd_exporter_relay_packets_total{target="h:1"}"#, 0.0),
        ] {
            assert_eq!(value(series), expected, "{series}");
        }
        for sample in &all.samples {
            assert!(all.type_of(&sample.name).is_some(), "{sample} has no type");
        }
    }
}
