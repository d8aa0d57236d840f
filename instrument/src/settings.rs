//! The settings: defaults, then the environment, then the builder. A wrong value is one warning and the
//! default, never a failed start.

use crate::environment::Env;
use crate::http::method::Methods;
use crate::http::source::Network;
use crate::propagation::Propagators;
use std::time::Duration;

/// How dotted names carry where they come from.
///
/// ```
/// let mut settings = sightline_instrument::Settings::new("kittens");
/// settings.statsd_style = sightline_instrument::StatsdStyle::Long;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatsdStyle {
    /// `service.group.segment.outcome:1|c|#environment:dev,host:web-1` (DogStatsD tags, packed values).
    Tagged,
    /// `environment.host.service.group.segment.outcome:1|c`, for collectors without tags. Tags of single
    /// metrics are left out.
    Long,
}

/// Where log records go.
///
/// ```
/// let mut settings = sightline_instrument::Settings::new("kittens");
/// settings.logs = sightline_instrument::LogTarget::Stdout;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogTarget {
    /// JSON lines over TCP to `host:port`: reconnects, keeps what the peer's machine has not acknowledged.
    Tcp(String),
    /// A datagram for each record to `host:port`: faster and lossy.
    Udp(String),
    /// JSON lines on standard output, for a container runtime that collects them.
    Stdout,
    /// Nowhere.
    Off,
}

/// Which traces are recorded. Ids are passed on and written into logs whatever is chosen.
///
/// ```
/// let mut settings = sightline_instrument::Settings::new("kittens");
/// settings.sampler.ratio = 0.1;
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Sampler {
    /// Follow the caller's decision if there is one.
    pub parent_based: bool,
    /// Share of the traces to record otherwise, 0 to 1.
    pub ratio: f64,
}

/// Everything that can be set. Start from [`Settings::new`] or [`Settings::from_env`].
///
/// ```
/// use sightline_instrument::Settings;
/// let settings = Settings::new("kittens");
/// assert_eq!(settings.max_series, 10_000);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Name of the service: the first part of each metric. `OTEL_SERVICE_NAME` overrides it.
    pub service: String,
    /// Version of the service (`SERVICE_VERSION`): a new one makes a deploy mark. Default `unknown`.
    pub version: String,
    /// `ENVIRONMENT`: dev, test, staging, prod, … Default `dev`.
    pub environment: String,
    /// `HOSTNAME`, else what the kernel says.
    pub host: String,
    /// `OTEL_RESOURCE_ATTRIBUTES`: more attributes of the resource that the spans are of. Its `service.name`,
    /// `service.version`, `deployment.environment.name` and `host.name` become the settings above; the variables named there
    /// go before the first three.
    pub resource: Vec<(String, String)>,
    /// `STATSD`: `host:port` of the StatsD collector (UDP), `unix:///path` of its socket of datagrams, or `off`. Default
    /// `127.0.0.1:9125`.
    pub statsd: Option<String>,
    /// `STATSD_STYLE`: `tagged` (default) or `long`.
    pub statsd_style: StatsdStyle,
    /// `LOGSTASH`: `host:port` or `tcp://host:port`, `udp://host:port`, `stdout`, or `off`. Default `127.0.0.1:5000`.
    pub logs: LogTarget,
    /// `RUST_LOG` as `target=level` pairs. Default `info`. Spans are not switched by it.
    pub log_filter: String,
    /// People's text on standard error beside the records. `LOG_CONSOLE` `on` or `off`; by default on when
    /// `LOGSTASH` is not set and standard error is a terminal.
    pub console: bool,
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` (to which `/v1/traces` is added):
    /// where spans go, as `http://host:port/path`, or `https://` with the feature `tls`. Default `http://127.0.0.1:4318/v1/traces`. `None` after
    /// `OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none`.
    pub otlp_traces: Option<String>,
    /// `OTEL_EXPORTER_OTLP_TRACES_HEADERS` or `OTEL_EXPORTER_OTLP_HEADERS`: `name=value` pairs sent with the spans, values
    /// escaped as in a URL.
    pub otlp_headers: Vec<(String, String)>,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`: PEM file of the authorities that the collector's certificate is checked against,
    /// with the feature `tls`. Default: Mozilla's.
    pub otlp_certificate: Option<String>,
    /// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`. Default `parentbased_always_on`.
    pub sampler: Sampler,
    pub(crate) propagators: Propagators,
    pub(crate) methods: Methods,
    /// `SLOW_REQUEST_MS`: a request that takes longer is logged as a warning. Default one second.
    pub slow_request: Duration,
    /// `TRUSTED_PROXIES`: addresses or networks whose `X-Forwarded-For` is believed. Default none.
    pub trusted_proxies: Vec<Network>,
    /// Where `serve` answers for itself, or `None`. Default `/health` (with `/live` and `/ready` below it).
    pub health_path: Option<String>,
    /// `METRICS_PATH`: where the service shows its metrics to a Prometheus that scrapes it (feature `pull`), beside sending
    /// them. Default nowhere.
    pub metrics_path: Option<String>,
    /// Write the request's headers (secrets blanked) into its record. Default true.
    pub log_headers: bool,
    /// One record for each request. Default true. Metrics and spans do not depend on it.
    pub access_log: bool,
    /// How often metrics leave the process. Default one second.
    pub metrics_interval: Duration,
    /// Bytes of log records that wait for the collector at most. Default 8 MiB.
    pub log_buffer_bytes: usize,
    /// Bytes of one log record at most; longer text is cut. Default 64 KiB.
    pub log_record_bytes: usize,
    /// Records a second from one call site at most. Default 1,000. Access records are not limited.
    pub log_rate_limit: u32,
    /// Spans that wait for the collector at most. Default 4,096.
    pub span_queue: usize,
    /// Distinct series at most; later ones are counted as dropped. Default 10,000.
    pub max_series: usize,
    /// Samples kept of one timer between two flushes; beyond it they are sampled evenly and the rate is
    /// sent along. Default 4,096.
    pub timer_samples: usize,
    /// How long a shutdown may take to finish requests, and again to send what is left. Default 5 seconds.
    pub shutdown: Duration,
    /// What makes the service say that it is degraded.
    pub health: crate::health::Thresholds,
}

impl Settings {
    /// The defaults.
    ///
    /// ```
    /// let settings = sightline_instrument::Settings::new("kittenserver");
    /// assert_eq!(settings.statsd.as_deref(), Some("127.0.0.1:9125"));
    /// ```
    pub fn new(service: &str) -> Self {
        Settings {
            service: service.to_owned(),
            version: "unknown".to_owned(),
            environment: "dev".to_owned(),
            host: "localhost".to_owned(),
            resource: Vec::new(),
            statsd: Some("127.0.0.1:9125".to_owned()),
            statsd_style: StatsdStyle::Tagged,
            logs: LogTarget::Tcp("127.0.0.1:5000".to_owned()),
            log_filter: "info".to_owned(),
            console: false,
            otlp_traces: Some("http://127.0.0.1:4318/v1/traces".to_owned()),
            otlp_headers: Vec::new(),
            otlp_certificate: None,
            sampler: Sampler { parent_based: true, ratio: 1.0 },
            propagators: Propagators::default(),
            methods: Methods::default(),
            slow_request: Duration::from_secs(1),
            trusted_proxies: Vec::new(),
            health_path: Some("/health".to_owned()),
            metrics_path: None,
            log_headers: true,
            access_log: true,
            metrics_interval: Duration::from_secs(1),
            log_buffer_bytes: 8 << 20,
            log_record_bytes: 64 << 10,
            log_rate_limit: 1_000,
            span_queue: 4_096,
            max_series: 10_000,
            timer_samples: 4_096,
            shutdown: Duration::from_secs(5),
            health: crate::health::Thresholds::default(),
        }
    }

    /// The defaults, then what `read` says of each variable; and one warning for each wrong value.
    ///
    /// ```
    /// use sightline_instrument::Settings;
    /// let env = |name: &str| (name == "STATSD").then(|| "statsd:9125".to_owned());
    /// let (settings, warnings) = Settings::from_env("kittenserver", env);
    /// assert_eq!(settings.statsd.as_deref(), Some("statsd:9125"));
    /// assert!(warnings.is_empty());
    /// ```
    pub fn from_env(service: &str, read: impl Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        let mut env = Env::new(&read);
        let mut settings = Settings::new(service);
        settings.apply(&mut env);
        (settings, env.warnings())
    }
}
