//! What the store of metrics tells about itself.
use metrics::{counter, gauge};

/// A series that was refused because the cap is reached.
pub(crate) fn series_dropped(n: u64) {
    counter!("sightline_store_metric_series_dropped_total").increment(n);
}

/// Samples that were not kept, by reason: `series_limit`, `native_memory`, `time`, `disk`; of those that others wrote
/// also `old`, `future`, `order`, `conflict`, `invalid`.
pub(crate) fn samples_dropped(reason: &'static str, n: u64) {
    if n > 0 {
        counter!("sightline_store_metric_samples_dropped_total", "reason" => reason).increment(n);
    }
}

pub(crate) fn sampled(n: u64) {
    counter!("sightline_store_metric_samples_total").increment(n);
}

/// Of these, native histograms.
pub(crate) fn natives_sampled(n: u64) {
    if n > 0 {
        counter!("sightline_store_metric_native_samples_total").increment(n);
    }
}

/// A request of remote write, by what was answered: `ok`, `partial`, `invalid`, `busy`, `failed`.
pub(crate) fn write_answered(outcome: &'static str) {
    counter!("sightline_store_metric_writes_total", "outcome" => outcome).increment(1);
}

/// Something on disk was unreadable and has been left out.
pub(crate) fn damaged(what: &'static str, n: u64) {
    counter!("sightline_store_metric_damaged_total", "what" => what).increment(n);
}

/// Blocks that retention dropped, by reason: `age`, `size`, `disk`.
pub(crate) fn blocks_dropped(reason: &'static str, n: u64) {
    counter!("sightline_store_metric_blocks_dropped_total", "reason" => reason).increment(n);
}

pub(crate) fn size(series: usize, samples: usize, memory: usize, disk: u64) {
    gauge!("sightline_store_metric_series").set(series as f64);
    gauge!("sightline_store_metric_head_samples").set(samples as f64);
    gauge!("sightline_store_metric_memory_bytes").set(memory as f64);
    gauge!("sightline_store_metric_disk_bytes").set(disk as f64);
}
