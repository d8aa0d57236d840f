//! The service's own load, from two atomic additions a request: response time, requests in flight, share of errors.

use super::ewma::Ewma;
use super::{Status, Thresholds};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Fresh figures are taken in this often, at most.
const FOLD_NS: u64 = 100_000_000;
/// It recovers when it is this far below the threshold.
const RECOVER: f64 = 0.8;

#[derive(Debug)]
pub(crate) struct Load {
    in_flight: AtomicI64,
    requests: AtomicU64,
    errors: AtomicU64,
    duration_ns: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    thresholds: Thresholds,
    folded_ns: u64,
    response_time: Ewma,
    error_share: Ewma,
    degraded: [bool; 3],
}

impl Default for Load {
    fn default() -> Self {
        Load {
            in_flight: AtomicI64::new(0),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            duration_ns: AtomicU64::new(0),
            state: Mutex::new(State {
                thresholds: Thresholds::default(),
                folded_ns: 0,
                response_time: Ewma::new(),
                error_share: Ewma::new(),
                degraded: [false; 3],
            }),
        }
    }
}

/// One of the figures, as of now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    pub(crate) threshold: f64,
    pub(crate) status: Status,
}

impl Load {
    pub(super) fn configure(&self, thresholds: Thresholds) {
        self.state.lock().thresholds = thresholds;
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, duration_ns: u64, error: bool) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.duration_ns.fetch_add(duration_ns, Ordering::Relaxed);
        if error {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The three figures.
    pub(crate) fn look(&self, now_ns: u64) -> [Measure; 3] {
        let mut state = self.state.lock();
        state.fold(self, now_ns);
        let State { thresholds, response_time, error_share, degraded, .. } = &mut *state;
        let seconds = response_time.at(now_ns, thresholds.window) / 1e9;
        let in_flight = self.in_flight.load(Ordering::Relaxed).max(0) as f64;
        let errors = error_share.at(now_ns, thresholds.window);
        let mut at = 0;
        let mut measure = |name, unit, value: f64, threshold: f64| {
            let limit = if degraded[at] { threshold * RECOVER } else { threshold };
            degraded[at] = value > limit;
            let status = if degraded[at] { Status::Degraded } else { Status::Ok };
            at += 1;
            Measure { name, unit, value, threshold, status }
        };
        [
            measure("response_time", "seconds", seconds, thresholds.response_time.as_secs_f64()),
            measure("in_flight", "requests", in_flight, thresholds.in_flight as f64),
            measure("errors", "share", errors, thresholds.errors),
        ]
    }
}

impl State {
    fn fold(&mut self, load: &Load, now_ns: u64) {
        if now_ns < self.folded_ns + FOLD_NS && self.folded_ns != 0 {
            return;
        }
        let requests = load.requests.swap(0, Ordering::Relaxed);
        let errors = load.errors.swap(0, Ordering::Relaxed);
        let duration = load.duration_ns.swap(0, Ordering::Relaxed);
        if requests == 0 {
            return;
        }
        self.folded_ns = now_ns;
        let window = self.thresholds.window;
        self.response_time.add(duration as f64 / requests as f64, now_ns, window);
        self.error_share.add(errors as f64 / requests as f64, now_ns, window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn load() -> Load {
        let load = Load::default();
        load.configure(Thresholds {
            response_time: Duration::from_secs(1),
            window: Duration::from_secs(10),
            in_flight: 10,
            errors: 0.5,
        });
        load
    }

    #[test]
    fn it_degrades_over_the_threshold_and_recovers_below_it() {
        let load = load();
        for _ in 0..11 {
            load.begin();
        }
        assert_eq!(load.look(SECOND)[1].status, Status::Degraded);
        for left in [10, 9] {
            load.end(0, false);
            assert_eq!(load.look(SECOND)[1].status, Status::Degraded, "{left} is not a fifth below 10");
        }
        load.end(0, false);
        assert_eq!(load.look(SECOND)[1].status, Status::Ok);
    }

    #[test]
    fn slow_answers_and_errors_degrade_and_time_heals() {
        let load = load();
        load.begin();
        load.end(3 * SECOND, true);
        let [time, _, errors] = load.look(5 * SECOND);
        assert_eq!((time.status, errors.status), (Status::Degraded, Status::Degraded));
        let [time, _, errors] = load.look(60 * SECOND);
        assert_eq!((time.status, errors.status), (Status::Ok, Status::Ok));
    }
}
