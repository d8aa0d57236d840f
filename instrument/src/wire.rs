//! The names that the crate, the agent, the dashboards and the rules share: one place, no I/O.
//!
//! A service emits `service.group.segment.outcome`, either with the tags [`label::ENVIRONMENT`] and
//! [`label::HOST`] or in the long form `environment.host.service.group.segment.outcome`.
//! The agent turns both into the metrics of [`metric`] with the labels of [`label`].

/// Names of the metrics that the convention becomes in Prometheus.
pub mod metric {
    /// Counter: requests or operations begun. Never part of a ratio's denominator.
    pub const CALLS: &str = "instrument_calls_total";
    /// Counter with the label `outcome`: how they ended.
    pub const OUTCOMES: &str = "instrument_outcomes_total";
    /// Histogram in seconds: how long they took.
    pub const TIMING: &str = "instrument_timing_seconds";
    /// Histogram with the label `measure`: any other distribution, unscaled (milliseconds become seconds).
    pub const DISTRIBUTION: &str = "instrument_distribution";
    /// Gauge with the label `measure`.
    pub const GAUGE: &str = "instrument_gauge";
    /// Gauge with the label `measure`: distinct members seen in a set.
    pub const SET_SIZE: &str = "instrument_set_size";
    /// Gauge with the label `check`: 0 ok, 1 degraded, 2 failed.
    pub const HEALTH: &str = "instrument_health_status";
    /// Gauge, always 1, with the label `version`: deploy marks come from it.
    pub const BUILD_INFO: &str = "instrument_build_info";
    /// Everything above starts with this; everything the agent says of itself starts with [`AGENT_PREFIX`].
    pub const PREFIX: &str = "instrument_";
    /// Reserved for the agent: no input can touch a metric of this prefix.
    pub const AGENT_PREFIX: &str = "sightline_";
}

/// Names of labels.
pub mod label {
    /// Where the service runs: dev, test, staging, prod, …
    pub const ENVIRONMENT: &str = "environment";
    /// The machine, dots written as `_`.
    pub const HOST: &str = "host";
    /// The service.
    pub const SERVICE: &str = "service";
    /// `handlers`, `mysql`, `http`, `cache`, `auth`, `health`, `process`, …
    pub const GROUP: &str = "group";
    /// The handler or operation within the group.
    pub const SEGMENT: &str = "segment";
    /// How a call ended, on [`super::metric::OUTCOMES`] only.
    pub const OUTCOME: &str = "outcome";
    /// What is measured, on gauges, distributions and sets.
    pub const MEASURE: &str = "measure";
    /// Which health check, on [`super::metric::HEALTH`] only.
    pub const CHECK: &str = "check";
    /// Version of the service, on [`super::metric::BUILD_INFO`] only.
    pub const VERSION: &str = "version";
    /// The exemplar label that leads from a timing to its trace.
    pub const TRACE_ID: &str = "trace_id";
}

/// The groups with a meaning of their own. Any other clean word is a group too.
pub mod group {
    /// Requests that the service answers.
    pub const HANDLERS: &str = "handlers";
    /// Authentication and authorisation.
    pub const AUTH: &str = "auth";
    /// Health checks: the segment is the check, the last part is [`super::outcome::STATUS`].
    pub const HEALTH: &str = "health";
    /// The process itself: CPU, memory, descriptors, build.
    pub const PROCESS: &str = "process";
    /// Input validation.
    pub const VALIDATION: &str = "validation";
}

/// The last part of a dotted name.
pub mod outcome {
    /// A call began.
    pub const CALLED: &str = "called";
    /// How long a call took, to the end of its body.
    pub const TIMING: &str = "timing";
    /// It ended well.
    pub const SUCCESS: &str = "success";
    /// It ended badly, by the service's fault or the client's; the status says which.
    pub const FAILED: &str = "failed";
    /// It ended in a panic.
    pub const PANIC: &str = "panic";
    /// The value of a health check: 0 ok, 1 degraded, 2 failed.
    pub const STATUS: &str = "status";
    /// `process.build.info` carries the version as the tag [`super::label::VERSION`].
    pub const INFO: &str = "info";
    /// The outcomes that each segment registers at 0 before its first use, so that a first failure shows.
    pub const REGISTERED: [&str; 3] = [SUCCESS, FAILED, PANIC];
    /// The outcomes that count as errors in ratios and alerts.
    pub const ERRORS: [&str; 3] = [FAILED, "error", PANIC];
}

/// The segment for requests that matched no route: never the raw path.
pub const UNMATCHED: &str = "unmatched";

/// Environments that make a six-part name the convention's, unless configured otherwise.
pub const ENVIRONMENTS: [&str; 5] = ["dev", "test", "staging", "prod", "production"];

/// Fields of a log record (Elastic Common Schema, flat dotted keys) and the four short names.
pub mod field {
    /// RFC 3339 in UTC with at least milliseconds.
    pub const TIMESTAMP: &str = "@timestamp";
    /// Full text.
    pub const MESSAGE: &str = "message";
    /// trace, debug, info, warn, error.
    pub const LEVEL: &str = "log.level";
    /// The module or logger that wrote it.
    pub const LOGGER: &str = "log.logger";
    /// The service.
    pub const SERVICE_NAME: &str = "service.name";
    /// Its version.
    pub const SERVICE_VERSION: &str = "service.version";
    /// Its environment.
    pub const SERVICE_ENVIRONMENT: &str = "service.environment";
    /// The machine.
    pub const HOST_NAME: &str = "host.name";
    /// 32 lower-case hexadecimal digits.
    pub const TRACE_ID: &str = "trace.id";
    /// 16 lower-case hexadecimal digits.
    pub const SPAN_ID: &str = "span.id";
    /// The correlation id.
    pub const HTTP_REQUEST_ID: &str = "http.request.id";
    /// GET, POST, …
    pub const HTTP_METHOD: &str = "http.request.method";
    /// The answer's status.
    pub const HTTP_STATUS: &str = "http.response.status_code";
    /// Path without the query.
    pub const URL_PATH: &str = "url.path";
    /// Query with secrets blanked.
    pub const URL_QUERY: &str = "url.query";
    /// `<service>.<app|audit|panic|unparsed>`: the middle of the data stream's name.
    pub const EVENT_DATASET: &str = "event.dataset";
    /// web, authentication, process, …
    pub const EVENT_CATEGORY: &str = "event.category";
    /// success, failure, unknown.
    pub const EVENT_OUTCOME: &str = "event.outcome";
    /// Nanoseconds.
    pub const EVENT_DURATION: &str = "event.duration";
    /// Address of the client.
    pub const SOURCE_IP: &str = "source.ip";
    /// Who tried.
    pub const USER_NAME: &str = "user.name";
    /// Type of an error; `panic` for panics.
    pub const ERROR_TYPE: &str = "error.type";
    /// What it said.
    pub const ERROR_MESSAGE: &str = "error.message";
    /// The symbolised stack.
    pub const ERROR_STACK: &str = "error.stack_trace";
    /// Groups panics: message with numbers and ids blanked, and the top in-app frames.
    pub const ERROR_FINGERPRINT: &str = "error.fingerprint";
    /// Free fields live below this object.
    pub const LABELS: &str = "labels";
    /// Short name: the handler (segment) of the request; `panic` in panic reports.
    pub const HANDLER: &str = "handler";
    /// Short name: the answer's status as a number.
    pub const STATUS: &str = "status";
    /// Short name: GET, POST, …
    pub const METHOD: &str = "method";
    /// Short name: the correlation id.
    pub const REQUEST_ID: &str = "request_id";
}

/// The kinds of log record; each is a data stream of its own.
pub mod kind {
    /// What services say.
    pub const APP: &str = "app";
    /// Who did what: sign-ins, refusals.
    pub const AUDIT: &str = "audit";
    /// Panic reports.
    pub const PANIC: &str = "panic";
    /// Lines that were not JSON objects.
    pub const UNPARSED: &str = "unparsed";
}

/// HTTP headers that carry ids.
pub mod header {
    /// The correlation id.
    pub const REQUEST_ID: &str = "x-request-id";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// W3C vendor state, passed on unchanged.
    pub const TRACESTATE: &str = "tracestate";
    /// B3 in one header.
    pub const B3: &str = "b3";
    /// B3 in several: the trace.
    pub const B3_TRACE_ID: &str = "x-b3-traceid";
    /// The caller's span.
    pub const B3_SPAN_ID: &str = "x-b3-spanid";
    /// Whether the trace is recorded.
    pub const B3_SAMPLED: &str = "x-b3-sampled";
    /// `1`: it is recorded whatever a sampler says.
    pub const B3_FLAGS: &str = "x-b3-flags";
    /// What services tell those further on (`baggage` among the propagators).
    pub const BAGGAGE: &str = "baggage";
}

/// Attributes that each span carries, so that a trace, a metric and a log can be joined.
pub mod attribute {
    /// The service (also the resource's `service.name`).
    pub const SERVICE: &str = "service";
    /// The group of the name.
    pub const GROUP: &str = "group";
    /// The segment of the name.
    pub const SEGMENT: &str = "segment";
    /// The correlation id.
    pub const REQUEST_ID: &str = "http.request.id";
}

/// One part of a dotted name made safe: anything but ASCII letters, digits, `-` and `_` becomes `_`;
/// empty becomes `_`; at most 128 bytes.
///
/// ```
/// use sightline_instrument::wire::part;
/// assert_eq!(part("web-1.example.org"), "web-1_example_org");
/// assert_eq!(part("a:b|c\nevil"), "a_b_c_evil");
/// assert_eq!(part(""), "_");
/// ```
pub fn part(text: &str) -> String {
    let clean: String =
        text.chars().take(128).map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    if clean.is_empty() { "_".to_owned() } else { clean }
}

/// A dotted name of the convention, taken apart.
///
/// ```
/// use sightline_instrument::wire::Name;
/// let name = Name::parse("kittens.handlers.list.success", |_| false).unwrap();
/// assert_eq!((name.service, name.segment, name.outcome), ("kittens", "list", "success"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// Only in the long form.
    pub environment: Option<&'a str>,
    /// Only in the long form.
    pub host: Option<&'a str>,
    /// First part of the short form.
    pub service: &'a str,
    /// Second part of the short form.
    pub group: &'a str,
    /// Third part of the short form.
    pub segment: &'a str,
    /// Last part: an outcome, `timing`, or what a gauge measures.
    pub outcome: &'a str,
}

impl<'a> Name<'a> {
    /// Takes a name of four parts, or of six whose first `is_environment` knows. Empty parts never match.
    ///
    /// ```
    /// use sightline_instrument::wire::Name;
    /// let name = Name::parse("prod.server1.kittenserver.handlers.list.ok", |e| e == "prod").unwrap();
    /// assert_eq!((name.host, name.segment, name.outcome), (Some("server1"), "list", "ok"));
    /// assert!(Name::parse("kittenserver.helloworld.success", |_| true).is_none());
    /// ```
    pub fn parse(name: &'a str, is_environment: impl Fn(&str) -> bool) -> Option<Self> {
        let mut parts = [""; 6];
        let mut n = 0;
        for piece in name.split('.') {
            if n == 6 || piece.is_empty() {
                return None;
            }
            parts[n] = piece;
            n += 1;
        }
        match n {
            4 => Some(Name {
                environment: None,
                host: None,
                service: parts[0],
                group: parts[1],
                segment: parts[2],
                outcome: parts[3],
            }),
            6 if is_environment(parts[0]) => Some(Name {
                environment: Some(parts[0]),
                host: Some(parts[1]),
                service: parts[2],
                group: parts[3],
                segment: parts[4],
                outcome: parts[5],
            }),
            _ => None,
        }
    }
}
