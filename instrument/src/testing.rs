//! For the tests of a service: captures everything that it would send, with a clock that stands still.
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use sightline_instrument::{assert_metric, testing::Capture};
//! use tower::ServiceExt;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let capture = Capture::new("kittens");
//! let app = Router::new().route("/list", get(|| async { "Felix" })).layer(capture.service().layer());
//! let request = Request::get("/list").body(Body::empty()).unwrap();
//! let answer = capture.run(app.oneshot(request)).await.unwrap();
//! capture.run(axum::body::to_bytes(Body::new(answer.into_body()), 100)).await.unwrap();
//!
//! assert_metric!(capture, "handlers.list.success", 1);
//! assert_eq!(capture.logs()[0]["status"], 200);
//! assert_eq!(capture.spans()[0].name, "GET /list");
//! # });
//! ```

mod span;

pub use span::Span;

use crate::clock::Clock;
use crate::current::{self, Scope};
use crate::health::Health;
use crate::ids::IdSource;
use crate::instrument::Instrument;
use crate::metrics::{render, series::Samples};
use crate::settings::Settings;
use crate::traces::protobuf::fields;
use crate::{panics, subscriber};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tracing_core::Dispatch;
use tracing_subscriber::{Registry, layer::SubscriberExt};

/// A service whose telemetry goes nowhere but here. Ids count up from 1, and the clock starts at 2026-01-02T03:04:05Z and
/// moves by [`Capture::advance`] alone.
///
/// ```
/// use sightline_instrument::testing::Capture;
/// let capture = Capture::new("kittens");
/// capture.call(|| tracing::info!("meow"));
/// assert_eq!(capture.logs()[0]["message"], "meow");
/// ```
#[derive(Debug)]
pub struct Capture {
    instrument: Instrument,
    scope: Arc<Scope>,
    dispatch: Dispatch,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    lines: Vec<String>,
    counters: BTreeMap<String, u64>,
    gauges: BTreeMap<String, f64>,
    timings: BTreeMap<String, Vec<f64>>,
    logs: Vec<serde_json::Value>,
    spans: Vec<Span>,
}

impl Capture {
    /// A service of this name with the default settings.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// assert_eq!(Capture::new("kittens").metrics(), Vec::<String>::new());
    /// ```
    pub fn new(service: &str) -> Self {
        Capture::with(service, |_| {})
    }

    /// A service with settings of its own.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::with("kittens", |s| s.access_log = false);
    /// assert!(!capture.service().settings().access_log);
    /// ```
    pub fn with(service: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(service);
        settings.environment = "test".to_owned();
        settings.host = "testhost".to_owned();
        change(&mut settings);
        let ids = IdSource::Counting(AtomicU64::new(0));
        let instrument = Instrument::build(settings, Health::default(), Clock::stopped(), ids, true);
        panics::install_hook();
        let dispatch = Dispatch::new(Registry::default().with(subscriber::layers(&instrument)));
        let scope = Arc::new(Scope::new(instrument.clone(), None, None));
        Capture { instrument, scope, dispatch, seen: Mutex::default() }
    }

    /// The service: for its layer, its health, its settings.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let layer = Capture::new("kittens").service().layer();
    /// # let _ = layer;
    /// ```
    pub fn service(&self) -> &Instrument {
        &self.instrument
    }

    /// Runs a future whose telemetry is captured. Tasks that it spawns are captured if they are spawned by
    /// [`crate::spawn`] and [`crate::spawn_blocking`], as far as they use this crate.
    ///
    /// ```
    /// use sightline_instrument::{testing::Capture, timed};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let capture = Capture::new("kittens");
    /// let count = timed("mysql", "count", async { Ok::<_, std::fmt::Error>(3) });
    /// assert_eq!(capture.run(count).await, Ok(3));
    /// assert_eq!(capture.counter("mysql.count.success"), Some(1));
    /// # });
    /// ```
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        poll_fn(|cx| self.call(|| future.as_mut().poll(cx))).await
    }

    /// Runs a closure whose telemetry is captured.
    ///
    /// ```
    /// use sightline_instrument::{counter, testing::Capture};
    /// let capture = Capture::new("kittens");
    /// capture.call(|| counter("cache", "kittens", "hit").increment(1));
    /// assert_eq!(capture.counter("cache.kittens.hit"), Some(1));
    /// ```
    pub fn call<R>(&self, work: impl FnOnce() -> R) -> R {
        let _entered = current::enter(Some(self.scope.clone()));
        tracing::dispatcher::with_default(&self.dispatch, || {
            metrics::with_local_recorder(&self.instrument.0.recorder, work)
        })
    }

    /// Moves the clock on.
    ///
    /// ```
    /// use sightline_instrument::{testing::Capture, timed_blocking};
    /// use std::time::Duration;
    /// let capture = Capture::new("kittens");
    /// let slow = || { capture.advance(Duration::from_millis(2)); Ok::<_, std::fmt::Error>(()) };
    /// capture.call(|| timed_blocking("sqlite", "select", slow)).unwrap();
    /// assert_eq!(capture.timings("sqlite.select.timing"), [2.0]);
    /// ```
    pub fn advance(&self, by: Duration) {
        self.instrument.0.clock.advance(by);
    }

    /// All StatsD lines so far, sorted; a line is rendered each time this or another method looks.
    ///
    /// ```
    /// use sightline_instrument::{counter, testing::Capture};
    /// let capture = Capture::new("kittens");
    /// capture.call(|| counter("cache", "kittens", "hit").increment(1));
    /// assert!(capture.metrics()[0].starts_with("kittens.cache.kittens.hit:1|c"));
    /// ```
    pub fn metrics(&self) -> Vec<String> {
        let seen = self.look();
        let mut lines = seen.lines.clone();
        lines.sort();
        lines
    }

    /// The sum of a counter over all tags; `name` without the service: `handlers.list.success`. `None` if it was never
    /// named.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// assert_eq!(Capture::new("kittens").counter("cache.kittens.hit"), None, "never named");
    /// ```
    pub fn counter(&self, name: &str) -> Option<u64> {
        self.look().counters.get(name).copied()
    }

    /// The last value of a gauge.
    ///
    /// ```
    /// use sightline_instrument::{gauge, testing::Capture};
    /// let capture = Capture::new("kittens");
    /// capture.call(|| gauge("queue", "orders", "depth").set(3.0));
    /// assert_eq!(capture.gauge("queue.orders.depth"), Some(3.0));
    /// ```
    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.look().gauges.get(name).copied()
    }

    /// All values of a timer or histogram; timers in milliseconds.
    ///
    /// ```
    /// use sightline_instrument::{testing::Capture, timer};
    /// let capture = Capture::new("kittens");
    /// capture.call(|| timer("sqlite", "select").record(std::time::Duration::from_micros(750)));
    /// assert_eq!(capture.timings("sqlite.select.timing"), [0.75]);
    /// ```
    pub fn timings(&self, name: &str) -> Vec<f64> {
        self.look().timings.get(name).cloned().unwrap_or_default()
    }

    /// All log records, in the order of their writing as far as one thread is concerned; panic reports included.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::new("kittens");
    /// capture.call(|| tracing::warn!(breed = "tabby", "it scratched"));
    /// assert_eq!(capture.logs()[0]["labels.breed"], "tabby");
    /// ```
    pub fn logs(&self) -> Vec<serde_json::Value> {
        self.look().logs.clone()
    }

    /// All finished spans.
    ///
    /// ```
    /// use sightline_instrument::{query, testing::Capture};
    /// let capture = Capture::new("kittens");
    /// capture.call(|| query("sqlite", "count").run_blocking(|| Err::<(), _>("locked"))).unwrap_err();
    /// assert_eq!(capture.spans()[0].error.as_deref(), Some("locked"));
    /// ```
    pub fn spans(&self) -> Vec<Span> {
        self.look().spans.clone()
    }

    /// Forgets what waits in the buffers without reading it: for benchmarks.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::new("kittens");
    /// capture.call(|| tracing::info!("meow"));
    /// capture.empty();
    /// assert!(capture.logs().is_empty());
    /// ```
    pub fn empty(&self) {
        let (logs, spans) = (&self.instrument.0.logs, &self.instrument.0.spans.ours);
        logs.take(|batch| {
            logs.settle(batch.bytes.len());
            logs.recycle(batch);
        });
        spans.take(|batch| {
            spans.settle(batch.items as usize);
            spans.recycle(batch);
        });
    }

    /// The spans of ours that wait, each a field of OTLP's `ScopeSpans`.
    #[cfg(all(test, feature = "otlp"))]
    pub(crate) fn spans_as_sent(&self) -> Vec<u8> {
        let mut all = Vec::new();
        self.instrument.0.spans.ours.take(|batch| all.extend_from_slice(&batch.bytes));
        all
    }

    fn look(&self) -> parking_lot::MutexGuard<'_, Seen> {
        let mut seen = self.seen.lock();
        while panics::write_next(&self.instrument, None) {}
        let mut lines = Vec::new();
        render::flush(&self.instrument.0.metrics, &mut Samples::default(), &mut String::new(), |line| {
            lines.push(line.to_owned());
        });
        let mut direct = String::new();
        self.instrument.0.sink.take(&mut direct);
        lines.extend(direct.lines().map(str::to_owned));
        let prefix = &self.instrument.0.identity.metric_prefix;
        for line in lines {
            seen.metric(&line, prefix);
            seen.lines.push(line);
        }
        self.instrument.0.logs.take(|batch| {
            self.instrument.0.logs.settle(batch.bytes.len());
            for line in batch.bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                let record = serde_json::from_slice(line).unwrap_or_else(|_| {
                    serde_json::Value::String(String::from_utf8_lossy(line).into_owned())
                });
                seen.logs.push(record);
            }
        });
        let spans = &self.instrument.0.spans;
        spans.ours.take(|batch| {
            spans.ours.settle(batch.items as usize);
            seen.spans.extend(fields(&batch.bytes).map(|(_, span)| span::ours(span)));
        });
        #[cfg(feature = "otlp")]
        {
            let mut more = Vec::new();
            spans.take_theirs(&mut more);
            spans.ours.settle(more.len());
            seen.spans.extend(more.iter().map(span::theirs));
        }
        seen
    }
}

impl Seen {
    fn metric(&mut self, line: &str, prefix: &str) {
        let mut fields = line.split('|');
        let (Some(head), Some(letter)) = (fields.next(), fields.next()) else { return };
        let mut parts = head.split(':');
        let name = parts.next().unwrap_or_default();
        let name = name.strip_prefix(prefix).unwrap_or(name).to_owned();
        let values: Vec<f64> = parts.filter_map(|v| v.parse().ok()).collect();
        match letter {
            "c" => *self.counters.entry(name).or_default() += values.iter().sum::<f64>() as u64,
            "g" => {
                if let Some(last) = values.last() {
                    self.gauges.insert(name, *last);
                }
            }
            _ => self.timings.entry(name).or_default().extend(values),
        }
    }
}

/// Asserts what a counter of a [`Capture`] has come to, and shows all metrics if it has not.
///
/// ```
/// use sightline_instrument::{assert_metric, counter, testing::Capture};
/// let capture = Capture::new("kittens");
/// capture.call(|| counter("cache", "kittens", "hit").increment(2));
/// assert_metric!(capture, "cache.kittens.hit", 2);
/// ```
#[macro_export]
macro_rules! assert_metric {
    ($capture:expr, $name:expr, $value:expr) => {
        let found = $capture.counter($name);
        assert!(
            found == Some($value),
            "the counter {} is {found:?}, not {}; there are:\n{}",
            $name,
            $value,
            $capture.metrics().join("\n")
        );
    };
}
