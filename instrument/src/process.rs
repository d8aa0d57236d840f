//! The process looks at itself: CPU, memory, descriptors, threads, the tokio runtime, and which build it is.

use crate::instrument::Instrument;
use crate::metrics::sink::Sink;
use crate::wire::{group, label, outcome};
use cadence::prelude::*;
use std::time::Instant;

/// Figures of the kernel at one time.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    /// Of all threads, in user and system mode.
    pub(crate) cpu_seconds: f64,
    pub(crate) threads: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) virtual_bytes: u64,
}

/// Remembers the last look: CPU is shown as cores used since then.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    last: Option<(Instant, f64)>,
    /// Seconds that tokio's workers were at work, at the last look.
    busy: Option<(Instant, f64)>,
}

impl Watch {
    pub(crate) fn look(&mut self, instrument: &Instrument, now: Instant) {
        let set = |segment: &str, measure: &str, value: f64| {
            instrument.0.metrics.gauge_of(&[group::PROCESS, segment, measure]).set(value);
        };
        if let Some(figures) = std::fs::read_to_string("/proc/self/stat").ok().and_then(|t| parse(&t)) {
            set("memory", "resident_bytes", figures.resident_bytes as f64);
            set("memory", "virtual_bytes", figures.virtual_bytes as f64);
            set("threads", "count", figures.threads as f64);
            set("cpu", "seconds", figures.cpu_seconds);
            if let Some((at, before)) = self.last
                && now > at
            {
                set(
                    "cpu",
                    "cores",
                    (figures.cpu_seconds - before).max(0.0) / now.duration_since(at).as_secs_f64(),
                );
            }
            self.last = Some((now, figures.cpu_seconds));
        }
        if let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") {
            set("descriptors", "open", descriptors.count() as f64);
        }
        if let Some(runtime) = instrument.0.runtime.get() {
            let metrics = runtime.metrics();
            set("tokio", "workers", metrics.num_workers() as f64);
            set("tokio", "tasks", metrics.num_alive_tasks() as f64);
            set("tokio", "queued", metrics.global_queue_depth() as f64);
            let workers = 0..metrics.num_workers();
            let busy: f64 = workers.map(|w| metrics.worker_total_busy_duration(w).as_secs_f64()).sum();
            if let Some((at, before)) = self.busy
                && now > at
            {
                // Near the number of workers means that work waits for a thread.
                set("tokio", "busy", (busy - before).max(0.0) / now.duration_since(at).as_secs_f64());
            }
            self.busy = Some((now, busy));
        }
    }
}

/// Reads `/proc/self/stat`; the second field, the command, may contain anything.
pub(crate) fn parse(stat: &str) -> Option<Figures> {
    // Fixed by the kernel's interface on every architecture that Rust's tier 1 knows: USER_HZ and, all but always, the
    // page size.
    const TICKS: f64 = 100.0;
    const PAGE: u64 = 4_096;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Figures {
        cpu_seconds: (number(11)? + number(12)?) as f64 / TICKS,
        threads: number(17)?,
        virtual_bytes: number(20)?,
        resident_bytes: number(21)? * PAGE,
    })
}

/// `process.build.info`, a gauge of 1 with the version as tag: a new one is a deploy mark.
pub(crate) fn announce_build(instrument: &Instrument, sink: &Sink) {
    let prefix = instrument.0.identity.metric_prefix.trim_end_matches('.');
    let client = cadence::StatsdClient::from_sink(prefix, sink.clone());
    let name = format!("{}.build.{}", group::PROCESS, outcome::INFO);
    let version = crate::metrics::names::tag(&instrument.settings().version);
    let mut metric = client.gauge_with_tags(&name, 1u64);
    for tag in instrument.0.identity.metric_tags.split(',') {
        if let Some((key, value)) = tag.split_once(':') {
            metric = metric.with_tag(key, value);
        }
    }
    if !instrument.0.identity.metric_tags.is_empty() {
        metric = metric.with_tag(label::VERSION, &version);
    }
    // A full buffer counts its loss itself.
    let _ = metric.try_send();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read_whatever_the_name() {
        let line = "42 (a) b) c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 7 0 1000 1048576 256 184";
        assert_eq!(
            parse(line),
            Some(Figures { cpu_seconds: 2.0, threads: 7, virtual_bytes: 1 << 20, resident_bytes: 1 << 20 })
        );
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let figures = parse(&std::fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
        assert!(figures.threads >= 1 && figures.resident_bytes > 1 << 20);
    }
}
