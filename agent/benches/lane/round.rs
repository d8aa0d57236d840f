//! One round of a throughput program: what is sent has arrived, and what that took.

use std::time::{Duration, Instant};

use super::process;
use super::sink::Sink;

/// How long nothing may happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The head of the table that [`round`] writes rows of.
pub(crate) fn head(unit: &str) {
    println!(
        "| round | {unit}/s | CPU s per million | peak RSS MiB | of it anonymous at the end | requests out |"
    );
    println!("|---|---|---|---|---|---|");
}

/// Sends, waits until `count` are in the sink, and prints the row of process `id`.
pub(crate) fn round(number: u32, id: u32, sink: &Sink, count: u64, send: impl FnOnce()) {
    let before = process::cpu_seconds(id);
    let begun = Instant::now();
    send();
    sink.wait(count, PATIENCE);
    let wall = begun.elapsed().as_secs_f64();
    let cpu = process::cpu_seconds(id) - before;
    println!(
        "| {number} | {:.0} | {:.2} | {:.0} | {:.0} | {} |",
        count as f64 / wall,
        cpu * 1e6 / count as f64,
        process::mebibytes(id, "VmHWM"),
        process::mebibytes(id, "RssAnon"),
        sink.requests()
    );
}
