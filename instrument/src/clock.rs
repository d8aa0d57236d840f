//! The time as a value: the wall clock for records, a monotonic one for durations, and RFC 3339 text.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Nanoseconds since 1970.
    pub(crate) unix_ns: u64,
    /// Nanoseconds since the clock was made; never goes back.
    pub(crate) mono_ns: u64,
}

/// Where the time comes from. Tests stop it and move it by hand.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    System { base: Instant },
    Stopped(Arc<AtomicU64>),
}

/// 2026-01-02T03:04:05Z, where a stopped clock starts.
const STOPPED_AT_NS: u64 = 1_767_323_045_000_000_000;

impl Clock {
    pub(crate) fn system() -> Self {
        Clock::System { base: Instant::now() }
    }

    pub(crate) fn stopped() -> Self {
        Clock::Stopped(Arc::new(AtomicU64::new(0)))
    }

    pub(crate) fn now(&self) -> Moment {
        match self {
            Clock::System { base } => {
                Moment { unix_ns: unix_ns(SystemTime::now()), mono_ns: nanos(base.elapsed()) }
            }
            Clock::Stopped(at) => {
                let ns = at.load(Ordering::Relaxed);
                Moment { unix_ns: STOPPED_AT_NS + ns, mono_ns: ns }
            }
        }
    }

    pub(crate) fn mono_ns(&self) -> u64 {
        match self {
            Clock::System { base } => nanos(base.elapsed()),
            Clock::Stopped(at) => at.load(Ordering::Relaxed),
        }
    }

    /// Moves a stopped clock on; the system's clock cannot be moved.
    pub(crate) fn advance(&self, by: Duration) {
        if let Clock::Stopped(at) = self {
            at.fetch_add(nanos(by), Ordering::Relaxed);
        }
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

fn unix_ns(t: SystemTime) -> u64 {
    t.duration_since(UNIX_EPOCH).map_or(0, nanos)
}

thread_local! {
    /// The last second written and its text: most records of a second share it.
    static SECOND: Cell<(u64, [u8; 20])> = const { Cell::new((u64::MAX, [0; 20])) };
}

/// Appends `2026-01-02T03:04:05.000006Z`.
pub(crate) fn rfc3339(out: &mut Vec<u8>, unix_ns: u64) {
    let second = unix_ns / 1_000_000_000;
    let micros = (unix_ns % 1_000_000_000) / 1_000;
    let (cached, mut text) = SECOND.get();
    if cached != second {
        text = spell(second);
        SECOND.set((second, text));
    }
    out.extend_from_slice(&text);
    // With a digit in front, so that there are always six after it.
    out.extend_from_slice(&itoa::Buffer::new().format(micros + 1_000_000).as_bytes()[1..]);
    out.push(b'Z');
}

/// `2026-01-02T03:04:05.` of a second since 1970 (years up to 9999).
fn spell(second: u64) -> [u8; 20] {
    let (days, of_day) = (second / 86_400, second % 86_400);
    // Days to civil date, counting years from March so that the leap day is the last of its year.
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let mut out = *b"0000-00-00T00:00:00.";
    let mut put = |at: usize, width: usize, mut value: u64| {
        for i in (at..at + width).rev() {
            out[i] = b'0' + (value % 10) as u8;
            value /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, of_day / 3_600);
    put(14, 2, of_day / 60 % 60);
    put(17, 2, of_day % 60);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ns: u64) -> String {
        let mut out = Vec::new();
        rfc3339(&mut out, ns);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_around_leap_days_are_right() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(951_782_399_999_999_999), "2000-02-28T23:59:59.999999Z");
        assert_eq!(text(951_782_400_000_000_000), "2000-02-29T00:00:00.000000Z");
        assert_eq!(text(1_709_164_800_000_001_000), "2024-02-29T00:00:00.000001Z");
        assert_eq!(text(STOPPED_AT_NS), "2026-01-02T03:04:05.000000Z");
    }

    #[test]
    fn a_stopped_clock_moves_only_by_hand() {
        let clock = Clock::stopped();
        let before = clock.now();
        clock.advance(Duration::from_millis(2));
        assert_eq!(clock.now().mono_ns - before.mono_ns, 2_000_000);
        assert_eq!(clock.now().unix_ns - before.unix_ns, 2_000_000);
    }
}
