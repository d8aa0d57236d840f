//! How long alerts had waited before the agent started anew: read from the series that each round carried.

use std::collections::HashMap;

use super::alerts::SINCE;
use crate::store::metrics::Store;
use crate::store::metrics::labels::Labels;
use crate::store::metrics::matcher::Matcher;
use crate::store::promql::{Hints, Samples, Source, is_stale};

/// An agent that was away for longer knows nothing of what is now, milliseconds.
const TOLERATED: i64 = 3_600_000;

/// By an alert's labels, milliseconds. The time without an agent does not count: nobody looked.
#[derive(Debug, Default)]
pub(super) struct Waited(HashMap<Labels, i64>);

impl Waited {
    /// Of all alerts of one name, as the store knows them at `now`.
    pub(super) fn read(store: &Store, alert: &str, now: i64) -> Self {
        let from = now - TOLERATED;
        let matchers = [Matcher::equal("__name__", SINCE), Matcher::equal("alertname", alert)];
        let mut out = HashMap::new();
        let mut samples = Samples::default();
        // A series that cannot be read is one that was not there: the alert then waits anew.
        for found in store.find(&matchers, from, now).unwrap_or_default() {
            if store.read(found.id, from, now, Hints::default(), &mut samples).is_err() {
                continue;
            }
            // The first round after the start has ended the series already.
            let values = samples.times.iter().zip(&samples.floats);
            if let Some((time, since)) = values.rev().find(|(_, since)| !is_stale(**since)) {
                let waited = time - (since * 1000.0) as i64;
                out.insert(found.labels.without_name(), waited.max(0));
            }
        }
        Waited(out)
    }

    pub(super) fn of(&self, labels: &Labels) -> i64 {
        self.0.get(labels).copied().unwrap_or(0)
    }
}
