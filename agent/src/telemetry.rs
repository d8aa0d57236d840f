//! What the agent says of itself: its own metrics, rendered beside the users', and its own log on stderr.

mod help;

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder for `metrics::counter!` and its kin. Later calls change nothing.
pub fn install_metrics() {
    METRICS.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!(
                "another metrics recorder was installed first: the agent's own metrics stay empty"
            );
        }
        help::describe();
        metrics::gauge!("sightline_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        handle
    });
}

/// The agent's own metrics as exposition text; empty before [`install_metrics`].
pub fn render() -> String {
    let Some(handle) = METRICS.get() else { return String::new() };
    handle.run_upkeep();
    crate::ledger::publish();
    process();
    let mut text = handle.render();
    // What comes and goes by itself is not kept by the recorder, which never forgets a series.
    text.push_str(&crate::logs::sign_ins::render());
    text.push_str(&crate::export::elasticsearch::disk::render());
    text
}

/// Refreshes the figures of the process itself, from the kernel's own files.
fn process() {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    if let Some(resident) = pages.as_deref().and_then(|t| t.split_whitespace().nth(1)?.parse::<f64>().ok()) {
        metrics::gauge!("sightline_process_resident_bytes").set(resident * 4096.0);
    }
    let stat = std::fs::read_to_string("/proc/self/stat").ok();
    // utime and stime are the 14th and 15th fields; the second may hold spaces, so count from its ')'.
    let ticks = stat.as_deref().and_then(|text| {
        let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
        Some(fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?)
    });
    if let Some(ticks) = ticks {
        metrics::gauge!("sightline_process_cpu_seconds").set(ticks / 100.0);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        metrics::gauge!("sightline_process_open_fds").set(open.count() as f64);
    }
}

/// Sends the agent's own log to stderr, filtered by `RUST_LOG` or else by `usual`.
pub fn install_log(usual: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    // A second call, as tests make, keeps the first subscriber.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
