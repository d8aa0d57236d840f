//! The handle to one instrumented service: its settings, its buffers, and the threads that empty them.

use crate::clock::Clock;
use crate::current;
use crate::drops::Drops;
use crate::environment::process_env;
use crate::health::Health;
use crate::identity::Identity;
use crate::ids::IdSource;
use crate::logs::layer::{LogFilter, RateLimit};
use crate::metrics::recorder::Recorder;
use crate::metrics::registry::Registry;
use crate::metrics::sink::Sink;
use crate::panics;
use crate::pipe::Pipe;
use crate::settings::{LogTarget, Settings};
use crate::traces::queue::Queue;
use crate::workers::Workers;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// An instrumented service. Cloning gives another handle to the same.
///
/// ```
/// use sightline_instrument::testing::Capture;
/// let capture = Capture::new("kittens");
/// let service: &sightline_instrument::Instrument = capture.service();
/// assert_eq!(service.settings().service, "kittens");
/// ```
#[derive(Debug, Clone)]
pub struct Instrument(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) id_source: IdSource,
    pub(crate) drops: Arc<Drops>,
    pub(crate) metrics: Arc<Registry>,
    pub(crate) recorder: Recorder,
    pub(crate) sink: Sink,
    pub(crate) logs: Arc<Pipe>,
    pub(crate) log_filter: LogFilter,
    pub(crate) rate_limit: RateLimit,
    pub(crate) spans: Arc<Queue>,
    pub(crate) panics: panics::Reports,
    pub(crate) health: Health,
    /// The runtime whose figures are published.
    pub(crate) runtime: OnceLock<tokio::runtime::Handle>,
    pub(crate) workers: Mutex<Option<Workers>>,
}

/// Settings on their way to an [`Instrument`].
///
/// ```
/// let builder: sightline_instrument::Builder = sightline_instrument::Instrument::builder("kittens");
/// # let _ = builder;
/// ```
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    warnings: Vec<String>,
    health: Health,
}

impl Instrument {
    /// Starts from the process's environment. Wrong values become warnings in the log.
    ///
    /// ```no_run
    /// let instrument = sightline_instrument::Instrument::builder("kittenserver")
    ///     .version(env!("CARGO_PKG_VERSION"))
    ///     .install();
    /// ```
    pub fn builder(service: &str) -> Builder {
        let (settings, warnings) = Settings::from_env(service, process_env);
        Builder { settings, warnings, health: Health::default() }
    }

    /// The settings in force.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// assert_eq!(Capture::new("kittens").service().settings().service, "kittens");
    /// ```
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The service's health: add checks to it.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::new("kittens");
    /// capture.service().health().check("sqlite", || async { Ok(()) });
    /// ```
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// A layer for any tower service that answers HTTP requests.
    ///
    /// The client's address, in records and sign-ins, is the one in axum's extension `ConnectInfo<SocketAddr>`: serve the router with
    /// `into_make_service_with_connect_info`, or insert it where you accept connections.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// use axum::{Router, routing::get};
    /// let capture = Capture::new("kittens");
    /// let app: Router = Router::new().route("/list", get(|| async { "Felix" })).layer(capture.service().layer());
    /// # let _ = app;
    /// ```
    pub fn layer(&self) -> crate::InstrumentLayer {
        crate::InstrumentLayer::new(self.clone())
    }

    /// Registers the outcomes of these route patterns at 0, so that their first failure shows as a rise.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::new("kittens");
    /// capture.service().register_routes(["/users/{id}"]);
    /// assert_eq!(capture.counter("handlers.users_id.failed"), Some(0));
    /// ```
    pub fn register_routes<'a>(&self, patterns: impl IntoIterator<Item = &'a str>) {
        for pattern in patterns {
            self.0.metrics.route(pattern);
        }
    }

    /// A cadence client whose metrics leave through the same buffer: for code that speaks cadence already. Names get
    /// the service as prefix.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// use cadence::Counted;
    /// let capture = Capture::new("kittens");
    /// capture.service().statsd().count("jobs.sync.done", 2).unwrap();
    /// assert_eq!(capture.counter("jobs.sync.done"), Some(2));
    /// ```
    pub fn statsd(&self) -> cadence::StatsdClient {
        let prefix = self.0.identity.metric_prefix.trim_end_matches('.');
        let mut builder = cadence::StatsdClient::builder(prefix, self.0.sink.clone());
        for tag in self.0.identity.metric_tags.split(',') {
            if let Some((key, value)) = tag.split_once(':') {
                builder = builder.with_tag(key, value);
            }
        }
        builder.build()
    }

    /// Changes what is logged while the service runs, in the form of `RUST_LOG`.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::new("kittens");
    /// capture.service().set_log_filter("info,kittens::store=debug").unwrap();
    /// assert!(capture.service().set_log_filter("kittens=loud").is_err());
    /// ```
    ///
    /// # Errors
    /// What is wrong with the text; the filter stays as it was.
    pub fn set_log_filter(&self, filter: &str) -> Result<(), String> {
        self.0.log_filter.set(filter)
    }

    /// What was lost so far: lane (`metrics`, `logs`, `spans`), reason, count.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// assert_eq!(Capture::new("kittens").service().dropped(), []);
    /// ```
    pub fn dropped(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.0.metrics.settle();
        self.0.drops.all().collect()
    }

    /// Sends what waits, for at most `deadline`, and ends the threads that send. What could not be sent is counted.
    /// Records made afterwards stay in their buffers.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// use std::time::Duration;
    /// Capture::new("kittens").service().shutdown(Duration::from_secs(5));
    /// ```
    pub fn shutdown(&self, deadline: Duration) {
        let workers = self.0.workers.lock().take();
        if let Some(workers) = workers {
            workers.stop(deadline);
        }
    }

    pub(crate) fn build(
        settings: Settings,
        health: Health,
        clock: Clock,
        id_source: IdSource,
        traces: bool,
    ) -> Self {
        let identity = Identity::new(&settings);
        let drops = Arc::new(Drops::default());
        let metrics = Arc::new(Registry::new(&settings, &identity, drops.clone()));
        health.configure(settings.health.clone());
        Instrument(Arc::new(Inner {
            recorder: Recorder::new(metrics.clone()),
            sink: Sink::new(drops.clone()),
            logs: Arc::new(Pipe::of_records(settings.log_buffer_bytes, drops.clone())),
            log_filter: LogFilter::new(&settings.log_filter),
            rate_limit: RateLimit::new(settings.log_rate_limit),
            spans: Arc::new(Queue::new(settings.span_queue, traces, drops.clone())),
            panics: panics::Reports::default(),
            runtime: OnceLock::new(),
            workers: Mutex::new(None),
            identity,
            clock,
            id_source,
            metrics,
            health,
            drops,
            settings,
        }))
    }
}

impl Builder {
    /// The service's version: a new one makes a deploy mark.
    ///
    /// ```
    /// let builder = sightline_instrument::Instrument::builder("kittens").version(env!("CARGO_PKG_VERSION"));
    /// # let _ = builder;
    /// ```
    pub fn version(mut self, version: &str) -> Self {
        if self.settings.version == "unknown" {
            self.settings.version = version.to_owned();
        }
        self
    }

    /// Changes any setting.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// let builder = sightline_instrument::Instrument::builder("kittenserver")
    ///     .settings(|s| s.slow_request = Duration::from_millis(250));
    /// ```
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Adds a check of something that the service depends on; see [`Health::check`].
    ///
    /// ```
    /// let builder = sightline_instrument::Instrument::builder("kittens")
    ///     .check("upstream", || async { Err("it does not answer".to_owned()) });
    /// # let _ = builder;
    /// ```
    pub fn check<F, Fut>(self, name: &str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.health.check(name, check);
        self
    }

    /// Makes it the process's service: starts the threads that send, sets the panic hook, the `tracing` subscriber, the
    /// `log` bridge and the `metrics` recorder. Where one of these is set already it is left alone, and a warning in
    /// the log says so. A second call returns a handle to the first service.
    ///
    /// ```
    /// # // Nothing listens there, and nothing needs to.
    /// use sightline_instrument::Instrument;
    /// let service = Instrument::builder("kittens").settings(|s| s.console = false).install();
    /// sightline_instrument::counter("cache", "kittens", "hit").increment(1);
    /// service.shutdown(std::time::Duration::from_millis(100));
    /// ```
    pub fn install(self) -> Instrument {
        let mut warnings = self.warnings;
        if let Some(first) = current::installed() {
            first.note_warnings(&[
                "the service is instrumented already; the second installation was ignored".to_owned(),
            ]);
            return first.clone();
        }
        let traces = cfg!(feature = "otlp") && self.settings.otlp_traces.is_some();
        let instrument =
            Instrument::build(self.settings, self.health, Clock::system(), IdSource::Random, traces);
        if !current::install(instrument.clone()) {
            return current::installed().cloned().unwrap_or(instrument);
        }
        instrument.note_runtime();
        panics::install_hook();
        if crate::subscriber::install(&instrument).is_err() {
            warnings.push(
                "a tracing subscriber is set already: its events are not collected, requests are".to_owned(),
            );
        }
        if metrics::set_global_recorder(instrument.0.recorder.clone()).is_err() {
            warnings
                .push("a metrics recorder is set already: the facade's metrics are not collected".to_owned());
        }
        *instrument.0.workers.lock() = Some(Workers::start(&instrument, &mut warnings));
        instrument.note_warnings(&warnings);
        instrument
    }
}

impl Instrument {
    /// Remembers the runtime that this is called in, if any, for its figures.
    pub(crate) fn note_runtime(&self) {
        if let Ok(handle) = tokio::runtime::Handle::try_current() {
            let _ = self.0.runtime.set(handle);
        }
    }

    /// A record of the crate's own. It does not pass through `tracing`, so that no filter hides it.
    pub(crate) fn note(&self, level: &str, message: &str) {
        use crate::logs::record;
        record::with_buffer(|out| {
            let now = self.0.clock.now().unix_ns;
            record::begin(out, now, level, crate::wire::kind::APP, &self.0.identity);
            crate::json::member(out, crate::wire::field::MESSAGE, message);
            crate::json::member(out, crate::wire::field::LOGGER, "sightline_instrument");
            record::end(out);
            self.0.logs.push(out);
        });
    }

    fn note_warnings(&self, warnings: &[String]) {
        for warning in warnings {
            self.note("warn", warning);
            if self.0.settings.console || self.0.settings.logs == LogTarget::Off {
                crate::subscriber::to_console(warning);
            }
        }
    }
}
