//! How much is sent at once: batch size and concurrency rise slowly while all goes well and halve when it does not.

use std::time::{Duration, Instant};

/// A batch that takes longer than this is not made larger.
const SLOW: Duration = Duration::from_secs(2);
const MIN_RECORDS: f64 = 64.0;

#[derive(Debug)]
pub(super) struct Flow {
    max_records: f64,
    max_concurrency: f64,
    records: f64,
    concurrency: f64,
    last_cut: Option<Instant>,
}

impl Flow {
    pub(super) fn new(max_records: usize, max_concurrency: usize) -> Self {
        let max_records = max_records.max(1) as f64;
        Flow {
            max_records,
            max_concurrency: max_concurrency.max(1) as f64,
            records: max_records.min(1024.0),
            concurrency: 1.0,
            last_cut: None,
        }
    }

    /// Records to a batch now.
    pub(super) fn records(&self) -> usize {
        self.records as usize
    }

    /// Batches at once now.
    pub(super) fn concurrency(&self) -> usize {
        self.concurrency as usize
    }

    /// A batch went through.
    pub(super) fn went_well(&mut self, records: usize, took: Duration) {
        self.concurrency = (self.concurrency + 1.0 / self.concurrency).min(self.max_concurrency);
        if took < SLOW && records as f64 >= self.records * 0.9 {
            self.records = (self.records * 1.25).min(self.max_records);
        }
    }

    /// The back end could not take a batch that was sent at `sent`. Batches that were on their way together
    /// count as one failure.
    pub(super) fn went_badly(&mut self, sent: Instant, now: Instant) {
        if self.last_cut.is_some_and(|cut| sent < cut) {
            return;
        }
        self.last_cut = Some(now);
        self.concurrency = (self.concurrency / 2.0).max(1.0);
        self.records = (self.records / 2.0).max(MIN_RECORDS.min(self.max_records));
    }
}

#[cfg(test)]
mod tests {
    use super::Flow;
    use std::time::{Duration, Instant};

    #[test]
    fn rises_slowly_and_halves_once_for_one_round_of_failures() {
        let mut flow = Flow::new(8192, 4);
        assert_eq!((flow.records(), flow.concurrency()), (1024, 1));
        for _ in 0..50 {
            flow.went_well(8192, Duration::from_millis(5));
        }
        assert_eq!((flow.records(), flow.concurrency()), (8192, 4));
        let sent = Instant::now();
        for _ in 0..4 {
            flow.went_badly(sent, sent + Duration::from_secs(1));
        }
        assert_eq!((flow.records(), flow.concurrency()), (4096, 2));
        for n in 2..40 {
            flow.went_badly(sent + Duration::from_secs(n), sent + Duration::from_secs(n));
        }
        assert_eq!((flow.records(), flow.concurrency()), (64, 1));
        flow.went_well(64, Duration::from_secs(9));
        assert_eq!(flow.records(), 64, "a slow answer is no reason for more");
    }
}
