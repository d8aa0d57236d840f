//! Health: checks of what the service depends on, and its own load, as one answer that a balancer understands.

pub(crate) mod body;
pub(crate) mod ewma;
pub(crate) mod load;

use crate::instrument::Instrument;
use crate::wire::{group, outcome};
use load::Load;
use parking_lot::Mutex;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

/// How long one check may take before it has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// How often checks run by themselves.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// State of a check or of the service.
///
/// ```
/// use sightline_instrument::Status;
/// assert!(Status::Ok < Status::Degraded && Status::Degraded < Status::Failed);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// All is well.
    Ok,
    /// It works, but a balancer should let it rest.
    Degraded,
    /// It does not work.
    Failed,
}

impl Status {
    /// 0, 1, 2: the value of the gauge.
    fn number(self) -> u8 {
        self as u8
    }

    fn from_number(n: u8) -> Self {
        match n {
            0 => Status::Ok,
            1 => Status::Degraded,
            _ => Status::Failed,
        }
    }
}

/// From when on the service says that it is degraded. It recovers when it is a fifth below again, so that it does not
/// flap.
///
/// ```
/// let mut settings = sightline_instrument::Settings::new("kittens");
/// settings.health.in_flight = 500;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Thresholds {
    /// Moving average of the response time. Default 2 seconds.
    pub response_time: Duration,
    /// Over how long the average is taken. Default 30 seconds.
    pub window: Duration,
    /// Requests being answered at one time. Default 10,000.
    pub in_flight: u64,
    /// Share of requests that end in a 5xx or a panic, 0 to 1. Default 0.5.
    pub errors: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds {
            response_time: Duration::from_secs(2),
            window: Duration::from_secs(30),
            in_flight: 10_000,
            errors: 0.5,
        }
    }
}

type CheckFn = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

struct Check {
    name: String,
    run: CheckFn,
    status: AtomicU8,
    /// What it said last, and how long it took.
    last: Mutex<(String, Duration)>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The checks and the load of a service.
///
/// ```
/// use sightline_instrument::testing::Capture;
/// let capture = Capture::new("kittens");
/// let health: &sightline_instrument::Health = capture.service().health();
/// health.check("sqlite", || async { Ok(()) });
/// ```
#[derive(Debug, Default, Clone)]
pub struct Health {
    checks: Arc<Mutex<Vec<Arc<Check>>>>,
    pub(crate) load: Arc<Load>,
    draining: Arc<AtomicBool>,
    running: Arc<AtomicBool>,
}

impl Health {
    /// Adds a check of something that the service depends on. It is run every ten seconds, and may take five; its
    /// failure makes the service answer 503. The gauge is `service.health.<name>.status`: 0 ok, 2 failed.
    ///
    /// ```
    /// let health = sightline_instrument::Health::default();
    /// health.check("sqlite", || async { Ok(()) });
    /// ```
    pub fn check<F, Fut>(&self, name: &str, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.lock().push(Arc::new(Check {
            name: crate::wire::part(name),
            run: Box::new(move || Box::pin(check())),
            status: AtomicU8::new(Status::Ok.number()),
            last: Mutex::new((String::new(), Duration::ZERO)),
        }));
    }

    pub(crate) fn configure(&self, thresholds: Thresholds) {
        self.load.configure(thresholds);
    }

    /// The service is about to end: it is alive, but not ready.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Runs each check once.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let health = sightline_instrument::Health::default();
    /// health.check("sqlite", || async { Err("locked".to_owned()) });
    /// health.run_checks().await;
    /// # });
    /// ```
    pub async fn run_checks(&self) {
        let checks = self.checks.lock().clone();
        for check in checks {
            let started = std::time::Instant::now();
            // On a task of its own: a check that panics has failed, and the others go on.
            let running = tokio::spawn((check.run)());
            let abort = running.abort_handle();
            let result = match tokio::time::timeout(CHECK_TIMEOUT, running).await {
                Ok(Ok(result)) => result,
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => {
                    abort.abort();
                    Err(format!("no answer within {CHECK_TIMEOUT:?}"))
                }
            };
            let status = if result.is_ok() { Status::Ok } else { Status::Failed };
            *check.last.lock() = (result.err().unwrap_or_default(), started.elapsed());
            check.status.store(status.number(), Ordering::Relaxed);
        }
    }

    /// Runs the checks now and then for as long as the runtime lives; a second call does nothing.
    pub(crate) fn keep_checking(&self) {
        if self.running.swap(true, Ordering::Relaxed) {
            return;
        }
        let health = self.clone();
        tokio::spawn(async move {
            loop {
                health.run_checks().await;
                tokio::time::sleep(CHECK_INTERVAL).await;
            }
        });
    }

    /// The worst of the checks and the load.
    pub(crate) fn status(&self, mono_ns: u64) -> Status {
        let load = self.load.look(mono_ns).into_iter().map(|m| m.status).max().unwrap_or(Status::Ok);
        self.checks
            .lock()
            .iter()
            .map(|c| Status::from_number(c.status.load(Ordering::Relaxed)))
            .max()
            .unwrap_or(Status::Ok)
            .max(load)
    }

    /// Sets the gauges.
    pub(crate) fn publish(&self, instrument: &Instrument, mono_ns: u64) {
        let set = |name: &str, status: Status| {
            instrument
                .0
                .metrics
                .gauge_of(&[group::HEALTH, name, outcome::STATUS])
                .set(f64::from(status.number()));
        };
        for check in self.checks.lock().iter() {
            set(&check.name, Status::from_number(check.status.load(Ordering::Relaxed)));
        }
        for measure in self.load.look(mono_ns) {
            set(measure.name, measure.status);
            instrument.0.metrics.gauge_of(&[group::HEALTH, measure.name, measure.unit]).set(measure.value);
        }
    }
}
