//! Which `instrument_build_info` still holds: a version that was replaced has no series any more, or a rollback to it would be no news.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;

use sightline_instrument::wire::label;

use super::series::{Series, read_labels};

/// A service tells its build once a minute. Whoever was silent for three of them while another build of the same service
/// spoke is gone. A service that is silent altogether keeps what it had.
const SILENCE: u32 = 180;

/// When each service last told a build, in seconds since the epoch.
#[derive(Debug)]
pub(super) struct Latest(HashMap<(String, String), u32>);

impl Latest {
    /// Of the series of [`sightline_instrument::wire::metric::BUILD_INFO`].
    pub(super) fn of<'a>(all: impl Iterator<Item = &'a Series>) -> Self {
        let mut latest = HashMap::new();
        for series in all {
            let touched = series.touched.load(Relaxed);
            let last = latest.entry(service(series)).or_insert(touched);
            *last = touched.max(*last);
        }
        Latest(latest)
    }

    /// Whether another build of the same service took its place.
    pub(super) fn replaced(&self, series: &Series) -> bool {
        let latest = self.0.get(&service(series)).copied().unwrap_or_default();
        latest.saturating_sub(series.touched.load(Relaxed)) >= SILENCE
    }
}

/// Environment and service, escaped as they are.
fn service(series: &Series) -> (String, String) {
    let mut found = (String::new(), String::new());
    for (key, value) in read_labels(&series.labels) {
        match key {
            label::ENVIRONMENT => value.clone_into(&mut found.0),
            label::SERVICE => value.clone_into(&mut found.1),
            _ => {}
        }
    }
    found
}
