//! What a process has used, from the kernel's own files.

/// Processor time in seconds, with that of its finished children left out.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields 14 and 15, in ticks of 10 ms; the second may hold spaces, so count from its ')'.
    let mut fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks() + ticks()) / 100.0
}

/// A line of /proc/PID/status in MiB: `VmHWM` (the peak), `VmRSS`, `RssAnon`.
pub(crate) fn mebibytes(pid: u32, what: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(what)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}
