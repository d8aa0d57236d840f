//! What happens in the logs lane, as counters.

use super::record::Batch;
use crate::receive::events as door;

const LANE: &str = "logs";

/// A batch went into the queue.
pub fn received(batch: &Batch) {
    super::sign_ins::note(&batch.failures);
    door::received(LANE, batch.payloads.len() as u64 + batch.dropped);
    if batch.dropped > 0 {
        door::dropped(LANE, "rule", batch.dropped);
    }
    for (what, count) in [
        ("unparsed", batch.unparsed),
        ("redacted", batch.redacted),
        ("repaired", batch.repaired),
        ("invalid_utf8", batch.invalid_utf8),
        ("too_deep", batch.too_deep),
        ("stream_overflow", batch.overflowed),
    ] {
        if count > 0 {
            metrics::counter!("sightline_logs_noted_total", "what" => what).increment(count);
        }
    }
}

/// Texts in a binary request that were not UTF-8.
pub fn mended(texts: u64) {
    if texts > 0 {
        metrics::counter!("sightline_logs_noted_total", "what" => "invalid_utf8").increment(texts);
    }
}

/// Shows at 0 what this lane may lose.
pub fn may_drop() {
    crate::ledger::lane(LANE).may_drop(&["rule", "queue_full", "kernel", "shutdown"]);
}

/// Records that could not be enqueued and whose sender cannot wait; they count as received too.
pub fn dropped(reason: &'static str, count: u64) {
    door::received(LANE, count);
    door::dropped(LANE, reason, count);
}

/// Input that never became a record.
pub fn rejected(reason: &'static str, count: u64) {
    if count > 0 {
        door::rejected(LANE, reason, count);
    }
}

/// Datagrams that the kernel threw away before they were read.
pub fn kernel_drops(count: u64) {
    if count > 0 {
        dropped("kernel", count);
        tracing::error!(count, "the kernel dropped log datagrams, they came faster than they were read");
    }
}

/// A sender is kept waiting because the queue is full.
pub fn waiting(receiver: &'static str) {
    metrics::counter!("sightline_backpressure_total", "receiver" => receiver).increment(1);
}
