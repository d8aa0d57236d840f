//! What a pump says of itself.

use std::time::Duration;

use metrics::{Histogram, counter, gauge, histogram};

pub(super) struct Events {
    exporter: &'static str,
    lane: &'static str,
    batch_records: Histogram,
    seconds: Histogram,
}

impl Events {
    pub(super) fn new(exporter: &'static str, lane: &'static str) -> Self {
        // There from the start, so that an alert on an increase sees the very first one.
        for name in ["sightline_exported_total", "sightline_dead_lettered_total"] {
            counter!(name, "lane" => lane, "exporter" => exporter).increment(0);
        }
        for outcome in ["ok", "partial", "failed"] {
            counter!("sightline_exporter_batches_total", "exporter" => exporter, "outcome" => outcome)
                .increment(0);
        }
        for reason in KNOWN.into_iter().chain(["other"]) {
            counter!("sightline_exporter_retries_total", "exporter" => exporter, "reason" => reason)
                .increment(0);
        }
        Events {
            exporter,
            lane,
            batch_records: histogram!("sightline_exporter_batch_records", "exporter" => exporter),
            seconds: histogram!("sightline_exporter_batch_seconds", "exporter" => exporter),
        }
    }

    /// A batch came back: `ok`, `partial` (some records of it must be tried again) or `failed` (all of them).
    pub(super) fn batch(&self, outcome: &'static str, records: usize, took: Duration) {
        counter!("sightline_exporter_batches_total", "exporter" => self.exporter, "outcome" => outcome)
            .increment(1);
        self.batch_records.record(records as f64);
        self.seconds.record(took.as_secs_f64());
    }

    pub(super) fn retried(&self, reason: &'static str, records: u64) {
        counter!("sightline_exporter_retries_total", "exporter" => self.exporter, "reason" => reason)
            .increment(records);
    }

    pub(super) fn in_flight(&self, batches: usize) {
        gauge!("sightline_exporter_in_flight", "exporter" => self.exporter).set(batches as f64);
    }

    pub(super) fn up(&self, up: bool) {
        gauge!("sightline_exporter_up", "exporter" => self.exporter).set(if up { 1.0 } else { 0.0 });
    }

    pub(super) fn reached(&self, recovered: bool) {
        self.up(true);
        if recovered {
            tracing::info!(exporter = self.exporter, lane = self.lane, "the back end takes records again");
        }
    }

    pub(super) fn unreachable(&self, reason: &str) {
        self.up(false);
        tracing::warn!(
            exporter = self.exporter,
            lane = self.lane,
            reason,
            "the back end does not take records; they wait in the queue"
        );
    }

    pub(super) fn dead_lettered(&self, records: usize, reason: &str) {
        tracing::warn!(
            exporter = self.exporter,
            lane = self.lane,
            records,
            reason,
            "the back end refused records for good; see `sightline dlq list`"
        );
    }

    pub(super) fn trouble(&self, what: &str, error: &dyn std::fmt::Display) {
        tracing::warn!(exporter = self.exporter, lane = self.lane, what, %error, "an exporter's step failed and will be tried again");
    }
}

/// What back ends say, as far as it is told apart.
const KNOWN: [&str; 15] = [
    "429",
    "503",
    "502",
    "504",
    "500",
    "401",
    "403",
    "404",
    "408",
    "connect",
    "timeout",
    "closed",
    "reply",
    "too_large",
    "dead_letters",
];

/// A reason as a label: one of a fixed set, whatever a back end says.
pub(super) fn label(reason: &str) -> &'static str {
    let word = reason.split([' ', ':']).next().unwrap_or_default();
    KNOWN.into_iter().find(|known| *known == word).unwrap_or("other")
}
