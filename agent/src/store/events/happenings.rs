//! What happens in the store, each as a counter and, where a person should know, a log line.

use std::path::Path;

use metrics::{counter, gauge, histogram};

use super::schema::Kind;

pub(crate) fn committed(kind: Kind, records: u64, seconds: f64) {
    counter!("sightline_store_records_total", "lane" => kind.name()).increment(records);
    histogram!("sightline_store_commit_seconds", "lane" => kind.name()).record(seconds);
}

pub(crate) fn commit_failed(kind: Kind, records: u64, error: &dyn std::fmt::Display) {
    counter!("sightline_store_commit_failures_total", "lane" => kind.name()).increment(1);
    tracing::warn!(lane = kind.name(), records, %error, "store could not commit; the queue keeps the records and tries again");
}

pub(crate) fn repeated(kind: Kind, records: u64) {
    counter!("sightline_store_repeated_records_total", "lane" => kind.name()).increment(records);
}

pub(crate) fn fields_full(kind: Kind, most: usize) {
    counter!("sightline_store_fields_over_limit_total", "lane" => kind.name()).increment(1);
    tracing::warn!(
        lane = kind.name(),
        most,
        "an index has as many field names as it may; further ones are found by word only"
    );
}

pub(crate) fn dropped(kind: Kind, part: &str, reason: &'static str, records: u64, bytes: u64) {
    counter!("sightline_store_expired_records_total", "lane" => kind.name(), "reason" => reason)
        .increment(records);
    tracing::info!(lane = kind.name(), part, reason, records, bytes, "dropped an old part of the store");
}

/// A whole part, with so many records as its list names; 0 if the list cannot be read.
pub(crate) fn set_aside(kind: Kind, dir: &Path, records: u64, error: &dyn std::fmt::Display) {
    counter!("sightline_store_parts_set_aside_total", "lane" => kind.name()).increment(1);
    counter!("sightline_store_lost_records_total", "lane" => kind.name()).increment(records);
    tracing::error!(
        lane = kind.name(), kept_as = %dir.display(), records, %error,
        "a part of the store cannot be read and was set aside; its records are missing from searches"
    );
}

/// Segments of a part, with all their records.
pub(crate) fn segments_lost(
    kind: Kind,
    dir: &Path,
    segments: usize,
    records: u64,
    error: &dyn std::fmt::Display,
) {
    counter!("sightline_store_segments_set_aside_total", "lane" => kind.name()).increment(segments as u64);
    counter!("sightline_store_lost_records_total", "lane" => kind.name()).increment(records);
    tracing::error!(
        lane = kind.name(), kept_as = %dir.display(), segments, records, %error,
        "damaged segments of the store were set aside; their records are lost, the rest of the part answers"
    );
}

pub(crate) fn refused_for_space(kind: Kind, free: u64, floor: u64) {
    counter!("sightline_store_refused_batches_total", "lane" => kind.name(), "reason" => "disk").increment(1);
    tracing::warn!(
        lane = kind.name(),
        free,
        floor,
        "too little free disk: the store takes nothing until there is more; free some space or lower store.min_free"
    );
}

pub(crate) fn part_failed(kind: Kind, part: &str, error: &dyn std::fmt::Display) {
    counter!("sightline_store_search_failures_total", "lane" => kind.name()).increment(1);
    tracing::warn!(lane = kind.name(), part, %error, "a part of the store could not be searched; results are incomplete");
}

pub(crate) fn searched(kind: Kind, seconds: f64) {
    histogram!("sightline_store_search_seconds", "lane" => kind.name()).record(seconds);
}

pub(crate) fn size(kind: Kind, records: u64, bytes: u64, parts: usize) {
    gauge!("sightline_store_records", "lane" => kind.name()).set(records as f64);
    gauge!("sightline_store_bytes", "lane" => kind.name()).set(bytes as f64);
    gauge!("sightline_store_parts", "lane" => kind.name()).set(parts as f64);
}
