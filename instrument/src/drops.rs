//! What was lost and why: one counter for each lane and reason, so that nothing is lost silently.

use std::sync::atomic::{AtomicU64, Ordering};

/// A kind of signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Metrics,
    Logs,
    Spans,
}

/// Why a record did not leave the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The buffer was full.
    BufferFull,
    /// It is larger than what the transport or the settings allow.
    TooLarge,
    /// A call site spoke too often.
    RateLimited,
    /// Its call site asked for a share of its records only.
    Sampled,
    /// The collector refused it.
    Refused,
    /// The deadline of the shutdown passed.
    Shutdown,
    /// There were more series than the settings allow, or the name was taken by another kind; counted per update.
    TooManySeries,
}

const LANES: [(Lane, &str); 3] = [(Lane::Metrics, "metrics"), (Lane::Logs, "logs"), (Lane::Spans, "spans")];
const REASONS: [(Reason, &str); 7] = [
    (Reason::BufferFull, "buffer_full"),
    (Reason::TooLarge, "too_large"),
    (Reason::RateLimited, "rate_limited"),
    (Reason::Sampled, "sampled"),
    (Reason::Refused, "refused"),
    (Reason::Shutdown, "shutdown"),
    (Reason::TooManySeries, "too_many_series"),
];

/// The counters, and how much of each has been told.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    count: [[AtomicU64; REASONS.len()]; LANES.len()],
    told: [[AtomicU64; REASONS.len()]; LANES.len()],
}

impl Drops {
    pub(crate) fn add(&self, lane: Lane, reason: Reason, n: u64) {
        self.count[lane as usize][reason as usize].fetch_add(n, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn total(&self, lane: Lane) -> u64 {
        self.count[lane as usize].iter().map(|c| c.load(Ordering::Relaxed)).sum()
    }

    /// Each counter that is not zero: lane, reason, count.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        LANES.iter().flat_map(move |(lane, lane_name)| {
            REASONS.iter().filter_map(move |(reason, name)| {
                let n = self.count[*lane as usize][*reason as usize].load(Ordering::Relaxed);
                (n > 0).then_some((*lane_name, *name, n))
            })
        })
    }

    /// Calls `tell` with what was lost since the last time it was told: lane, reason, count.
    pub(crate) fn untold(&self, mut tell: impl FnMut(&'static str, &'static str, u64)) {
        for (lane, lane_name) in LANES {
            for (reason, name) in REASONS {
                let now = self.count[lane as usize][reason as usize].load(Ordering::Relaxed);
                let before = self.told[lane as usize][reason as usize].swap(now, Ordering::Relaxed);
                if now > before {
                    tell(lane_name, name, now - before);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_once() {
        let drops = Drops::default();
        drops.add(Lane::Logs, Reason::BufferFull, 3);
        drops.add(Lane::Spans, Reason::Refused, 1);
        let mut told = Vec::new();
        drops.untold(|lane, reason, n| told.push((lane, reason, n)));
        assert_eq!(told, [("logs", "buffer_full", 3), ("spans", "refused", 1)]);
        told.clear();
        drops.add(Lane::Logs, Reason::BufferFull, 2);
        drops.untold(|lane, reason, n| told.push((lane, reason, n)));
        assert_eq!(told, [("logs", "buffer_full", 2)]);
        assert_eq!(drops.total(Lane::Logs), 5);
        assert_eq!(drops.all().count(), 2);
    }
}
