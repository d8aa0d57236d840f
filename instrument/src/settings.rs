//! The settings: defaults, then the environment, then the builder. A wrong value is one warning and the
//! default, never a failed start.

use crate::http::source::Network;
use crate::propagation::Propagators;
use crate::wire;
use std::str::FromStr;
use std::time::Duration;
use tracing_subscriber::filter::Targets;

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
    /// `OTEL_EXPORTER_OTLP_HEADERS`: `name=value` pairs sent with the spans.
    pub otlp_headers: Vec<(String, String)>,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`: PEM file of the authorities that the collector's certificate is checked against,
    /// with the feature `tls`. Default: Mozilla's.
    pub otlp_certificate: Option<String>,
    /// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`. Default `parentbased_always_on`.
    pub sampler: Sampler,
    pub(crate) propagators: Propagators,
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
        let mut env = Env { read: &read, warnings: Vec::new() };
        let mut settings = Settings::new(service);
        settings.apply(&mut env);
        (settings, env.warnings)
    }

    fn apply(&mut self, env: &mut Env<'_>) {
        env.text("OTEL_SERVICE_NAME", &mut self.service);
        env.text("SERVICE_VERSION", &mut self.version);
        env.text("ENVIRONMENT", &mut self.environment);
        env.text("HOSTNAME", &mut self.host);
        env.text("RUST_LOG", &mut self.log_filter);
        if let Err(error) = Targets::from_str(&self.log_filter) {
            env.wrong("RUST_LOG", &self.log_filter, &format!("target=level pairs ({error})"));
            self.log_filter = "info".to_owned();
        }
        env.parse("STATSD", "host:port, unix:///path or off", &mut self.statsd, |v| match v {
            "off" => Some(None),
            v if v.starts_with("unix:///") => Some(Some(v.to_owned())),
            v => address(v.trim_start_matches("udp://")).map(Some),
        });
        env.parse("STATSD_STYLE", "tagged or long", &mut self.statsd_style, |v| match v {
            "tagged" => Some(StatsdStyle::Tagged),
            "long" => Some(StatsdStyle::Long),
            _ => None,
        });
        env.parse("LOGSTASH", "host:port, udp://host:port, stdout or off", &mut self.logs, log_target);
        self.console =
            (env.read)("LOGSTASH").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
        env.parse("LOG_CONSOLE", "on or off", &mut self.console, on_off);
        self.traces(env);
        env.parse("SLOW_REQUEST_MS", "milliseconds", &mut self.slow_request, |v| {
            v.parse().ok().map(Duration::from_millis)
        });
        const PATH: &str =
            if cfg!(feature = "pull") { "a path such as /metrics" } else { "the crate's feature pull" };
        env.parse("METRICS_PATH", PATH, &mut self.metrics_path, |v| {
            (cfg!(feature = "pull") && v.starts_with('/')).then(|| Some(v.to_owned()))
        });
        env.parse(
            "TRUSTED_PROXIES",
            "addresses or networks such as 10.0.0.0/8",
            &mut self.trusted_proxies,
            |v| v.split(',').map(|n| n.trim().parse().ok()).collect(),
        );
    }

    fn traces(&mut self, env: &mut Env<'_>) {
        let spoken =
            |v: &str| v.starts_with("http://") || (cfg!(feature = "tls") && v.starts_with("https://"));
        let base = |v: &str| spoken(v).then(|| v.trim_end_matches('/').to_owned());
        const WANTED: &str = if cfg!(feature = "tls") {
            "http://host:port or https://host:port"
        } else {
            "http://host:port (https:// needs the crate's feature tls, or an agent on this host)"
        };
        for name in ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"] {
            env.parse(name, "a path", &mut self.otlp_certificate, |v| Some(Some(v.to_owned())));
        }
        env.parse("OTEL_EXPORTER_OTLP_ENDPOINT", WANTED, &mut self.otlp_traces, |v| {
            base(v).map(|b| Some(format!("{b}/v1/traces")))
        });
        env.parse("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", WANTED, &mut self.otlp_traces, |v| base(v).map(Some));
        for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
            env.parse(name, "http/protobuf (the only one spoken)", &mut (), |v| {
                (v == "http/protobuf").then_some(())
            });
        }
        env.parse("OTEL_EXPORTER_OTLP_HEADERS", "name=value pairs", &mut self.otlp_headers, |v| {
            v.split(',')
                .filter(|p| !p.trim().is_empty())
                .map(|p| p.split_once('=').map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())))
                .collect()
        });
        let mut off = false;
        env.parse("OTEL_SDK_DISABLED", "true or false", &mut off, |v| v.parse().ok());
        let mut exporter_off = false;
        env.parse("OTEL_TRACES_EXPORTER", "otlp or none", &mut exporter_off, |v| match v {
            "none" => Some(true),
            "otlp" => Some(false),
            _ => None,
        });
        if off || exporter_off {
            self.otlp_traces = None;
        }
        if let Some(list) = env.get("OTEL_PROPAGATORS") {
            let (chosen, unknown) = Propagators::parse(&list);
            self.propagators = chosen;
            if !unknown.is_empty() {
                env.wrong(
                    "OTEL_PROPAGATORS",
                    &unknown.join(","),
                    "tracecontext, b3, b3multi, baggage or none",
                );
            }
        }
        let mut ratio = 1.0;
        env.parse("OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1", &mut ratio, |v| {
            v.parse().ok().filter(|r| (0.0..=1.0).contains(r))
        });
        const SAMPLERS: &str = "always_on, always_off, traceidratio, or one of these after parentbased_";
        env.parse("OTEL_TRACES_SAMPLER", SAMPLERS, &mut self.sampler, |v| {
            let (parent_based, rest) = match v.strip_prefix("parentbased_") {
                Some(rest) => (true, rest),
                None => (false, v),
            };
            let ratio = match rest {
                "always_on" => 1.0,
                "always_off" => 0.0,
                "traceidratio" => ratio,
                _ => return None,
            };
            Some(Sampler { parent_based, ratio })
        });
    }
}

/// The process's environment, with the kernel's word for a missing `HOSTNAME`.
pub(crate) fn process_env(name: &str) -> Option<String> {
    let value = std::env::var(name).ok().filter(|v| !v.is_empty());
    match name {
        "HOSTNAME" => value.or_else(|| {
            let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
            Some(text.trim().to_owned()).filter(|t| !t.is_empty())
        }),
        _ => value,
    }
}

struct Env<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

impl Env<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.read)(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    }

    fn text(&self, name: &str, into: &mut String) {
        if let Some(value) = self.get(name) {
            *into = value;
        }
    }

    fn parse<T>(&mut self, name: &str, wanted: &str, into: &mut T, parse: impl FnOnce(&str) -> Option<T>) {
        let Some(value) = self.get(name) else { return };
        match parse(&value) {
            Some(parsed) => *into = parsed,
            None => self.wrong(name, &value, wanted),
        }
    }

    fn wrong(&mut self, name: &str, value: &str, wanted: &str) {
        self.warnings.push(format!("{name}={value} is not understood, expected {wanted}; using the default"));
    }
}

fn address(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    (!host.is_empty() && port > 0 && !host.contains('/')).then(|| text.to_owned())
}

fn log_target(text: &str) -> Option<LogTarget> {
    match text {
        "stdout" => Some(LogTarget::Stdout),
        "off" => Some(LogTarget::Off),
        text => match text.strip_prefix("udp://") {
            Some(rest) => address(rest).map(LogTarget::Udp),
            None => address(text.strip_prefix("tcp://").unwrap_or(text)).map(LogTarget::Tcp),
        },
    }
}

fn on_off(text: &str) -> Option<bool> {
    match text {
        "on" | "true" | "1" => Some(true),
        "off" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// Who speaks, in the forms in which it is written over and over.
#[derive(Debug)]
pub(crate) struct Identity {
    /// `service.` or `environment.host.service.`
    pub(crate) metric_prefix: String,
    /// `environment:dev,host:web-1`, or nothing in the long style.
    pub(crate) metric_tags: String,
    /// The service as part of a dotted name.
    pub(crate) service: String,
    /// `,"service.name":…` to `"event.dataset":"service.`, as each log record has it.
    pub(crate) log_members: Vec<u8>,
}

impl Identity {
    pub(crate) fn new(settings: &Settings) -> Self {
        let service = wire::part(&settings.service);
        let (environment, host) = (wire::part(&settings.environment), wire::part(&settings.host));
        let (metric_prefix, metric_tags) = match settings.statsd_style {
            StatsdStyle::Tagged => (
                format!("{service}."),
                format!("{}:{environment},{}:{host}", wire::label::ENVIRONMENT, wire::label::HOST),
            ),
            StatsdStyle::Long => (format!("{environment}.{host}.{service}."), String::new()),
        };
        let mut log_members = Vec::with_capacity(160);
        for (key, value) in [
            (wire::field::SERVICE_NAME, &settings.service),
            (wire::field::SERVICE_VERSION, &settings.version),
            (wire::field::SERVICE_ENVIRONMENT, &settings.environment),
            (wire::field::HOST_NAME, &settings.host),
        ] {
            crate::json::member(&mut log_members, key, value);
        }
        crate::json::key(&mut log_members, wire::field::EVENT_DATASET);
        log_members.extend_from_slice(format!("\"{service}.").as_bytes());
        Identity { metric_prefix, metric_tags, service, log_members }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &'static [(&'static str, &'static str)]) -> (Settings, Vec<String>) {
        Settings::from_env("svc", |name| pairs.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn each_variable_is_read() {
        let (s, warnings) = read(&[
            ("OTEL_SERVICE_NAME", "kittens"),
            ("STATSD", "statsd:9125"),
            ("LOGSTASH", "udp://logstash:5000"),
            ("ENVIRONMENT", "prod"),
            ("HOSTNAME", "web-1"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
            ("OTEL_PROPAGATORS", "b3multi,baggage"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("SLOW_REQUEST_MS", "250"),
            ("TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8"),
        ]);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(s.service, "kittens");
        assert_eq!(s.logs, LogTarget::Udp("logstash:5000".into()));
        assert_eq!(s.otlp_traces.as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(s.propagators, Propagators { w3c: false, b3: false, b3_multi: true });
        assert_eq!(s.sampler, Sampler { parent_based: true, ratio: 0.25 });
        assert_eq!(s.slow_request, Duration::from_millis(250));
        assert_eq!(s.trusted_proxies.len(), 2);
    }

    #[test]
    fn a_wrong_value_is_one_warning_and_the_default() {
        let (s, warnings) = read(&[
            ("STATSD", "statsd"),
            ("LOGSTASH", "tcp://x:99999"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector:4318"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("RUST_LOG", "svc=loud"),
            ("SLOW_REQUEST_MS", "soon"),
        ]);
        assert_eq!(warnings.len(), 6, "{warnings:#?}");
        assert!(
            warnings.iter().any(|w| w.starts_with("STATSD=statsd is not understood, expected host:port"))
        );
        assert_eq!(s.statsd.as_deref(), Some("127.0.0.1:9125"));
        assert_eq!(s.logs, LogTarget::Tcp("127.0.0.1:5000".into()));
        assert_eq!(s.log_filter, "info");
    }

    #[test]
    fn the_long_style_puts_place_before_service() {
        let mut settings = Settings::new("kittenserver");
        settings.statsd_style = StatsdStyle::Long;
        settings.environment = "prod".into();
        settings.host = "server1.example.org".into();
        let identity = Identity::new(&settings);
        assert_eq!(identity.metric_prefix, "prod.server1_example_org.kittenserver.");
        assert_eq!(identity.metric_tags, "");
    }
}
