//! Named places where a test can make the process end as a crash would, to see what is left on disk.
//!
//! `SIGHTLINE_CRASH_POINT=cursor-written` ends it there the first time, `cursor-written:3` the third. Only test
//! builds and the feature `crash-points` have them.

/// Ends the process here if the environment asks for it.
#[cfg(feature = "crash-points")]
pub(crate) fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("SIGHTLINE_CRASH_POINT").ok()?;
        let (name, nth) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU64::new(nth.parse().ok()?)))
    });
    if let Some((wanted, left)) = wanted
        && wanted == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}

/// Nothing, in builds that people run.
#[cfg(not(feature = "crash-points"))]
pub(crate) fn point(_name: &str) {}
