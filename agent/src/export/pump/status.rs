//! How an exporter's back end does, in words for a person.

use std::time::SystemTime;

/// The state of one exporter.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Status {
    /// The exporter.
    pub exporter: &'static str,
    /// Whether the last batch got through; `None` before the first.
    pub reachable: Option<bool>,
    /// What the back end said last when it did not take records.
    pub last_error: Option<String>,
    /// Since when `reachable` has been what it is.
    pub since: SystemTime,
    /// Batches on their way.
    pub in_flight: usize,
    /// Records that wait for another try.
    pub retrying: usize,
}

impl Status {
    pub(super) fn new(exporter: &'static str) -> Self {
        let since = SystemTime::now();
        Status { exporter, reachable: None, last_error: None, since, in_flight: 0, retrying: 0 }
    }

    pub(super) fn reached(&mut self, now: SystemTime) -> bool {
        let changed = self.reachable != Some(true);
        if changed {
            (self.reachable, self.since) = (Some(true), now);
        }
        changed
    }

    pub(super) fn failed(&mut self, reason: &str, now: SystemTime) -> bool {
        let changed = self.reachable != Some(false);
        if changed {
            (self.reachable, self.since) = (Some(false), now);
        }
        self.last_error = Some(reason.to_owned());
        changed
    }
}
