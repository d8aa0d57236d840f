//! What the throughput programs of the logs and spans lanes share: a cheap back end and the figures of a process.
#![allow(dead_code, reason = "each program uses its part")]

pub(crate) mod agent;
pub(crate) mod backlog;
pub(crate) mod child;
pub(crate) mod lines;
pub(crate) mod otlp;
pub(crate) mod process;
pub(crate) mod round;
pub(crate) mod sink;

/// The value of `--name VALUE` on the command line, or `default`.
pub(crate) fn argument<T: std::str::FromStr>(name: &str, default: T) -> T {
    let mut args = std::env::args();
    while let Some(arg) = args.next() {
        if arg == format!("--{name}")
            && let Some(value) = args.next().and_then(|text| text.parse().ok())
        {
            return value;
        }
    }
    default
}

/// Whether `--name` is on the command line.
pub(crate) fn flag(name: &str) -> bool {
    std::env::args().any(|arg| arg == format!("--{name}"))
}
