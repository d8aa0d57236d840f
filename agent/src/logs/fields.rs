//! The keys that loggers use and what each of them means in the Elastic Common Schema.

use std::sync::LazyLock;

/// What a record can say of itself that the agent understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    /// `@timestamp`
    Timestamp,
    /// `message`
    Message,
    /// `log.level`
    Level,
    /// `log.logger`
    Logger,
    /// `service.name`
    Service,
    /// `service.version`
    Version,
    /// `service.environment`
    Environment,
    /// `host.name`
    Host,
    /// `trace.id`
    Trace,
    /// `span.id`
    Span,
    /// W3C `traceparent`: both ids in one
    Traceparent,
    /// `http.request.id`
    RequestId,
    /// `http.request.method`
    Method,
    /// `http.response.status_code`
    Status,
    /// `url.path`
    Path,
    /// `url.query`
    Query,
    /// `event.duration`
    Duration,
    /// `source.ip`
    SourceIp,
    /// `user.name`
    User,
    /// `user_agent.original`
    UserAgent,
    /// `error.type`
    ErrorType,
    /// `error.message`
    ErrorMessage,
    /// `error.stack_trace`
    ErrorStack,
    /// `event.dataset`
    Dataset,
    /// `event.category`
    Category,
    /// `event.outcome`
    Outcome,
    /// `process.pid`
    Pid,
    /// `process.thread.name`
    Thread,
    /// `handler`, which ECS has no field for
    Handler,
    /// log4j's `instant.nanoOfSecond`, which goes with its seconds
    InstantNanos,
    /// `labels`, whose values are flattened to strings
    Labels,
    /// Nothing by itself
    None,
}

/// The number of slots.
pub const SLOTS: usize = Slot::None as usize;

/// How the value of a key is to be read where that is not plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As it is.
    Plain,
    /// A number on Python's scale of levels.
    PythonLevel,
    /// On logback's.
    LogbackLevel,
    /// On syslog's.
    SyslogLevel,
    /// On OpenTelemetry's.
    OtelLevel,
    /// A duration; so many nanoseconds make one of it.
    Times(u64),
    /// A decimal 64-bit id.
    DecimalId,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// As it stands in a record; dotted for members of objects.
    pub key: &'static str,
    /// What it says.
    pub slot: Slot,
    /// 0 is the ECS field itself; of several keys for one slot the lowest rank counts.
    pub rank: u8,
    /// How to read it.
    pub reading: Reading,
    /// Where a plain value moves, because ECS has an object of this name.
    pub object: Option<&'static str>,
}

/// The ECS name of a slot.
pub fn name(slot: Slot) -> &'static str {
    FIELDS.iter().find(|f| f.slot == slot && f.rank == 0).map_or("", |f| f.key)
}

const fn ecs(key: &'static str, slot: Slot) -> Field {
    Field { key, slot, rank: 0, reading: Reading::Plain, object: None }
}

const fn alias(key: &'static str, slot: Slot, rank: u8) -> Field {
    Field { key, slot, rank, reading: Reading::Plain, object: None }
}

const fn read(key: &'static str, slot: Slot, rank: u8, reading: Reading) -> Field {
    Field { key, slot, rank, reading, object: None }
}

/// A name that is an object in ECS; a plain value of it moves to `to`, and may be a source for `slot` from there.
const fn object(key: &'static str, to: &'static str, slot: Slot, rank: u8) -> Field {
    Field { key, slot, rank, reading: Reading::Plain, object: Some(to) }
}

use Reading::{DecimalId, LogbackLevel, OtelLevel, PythonLevel, SyslogLevel, Times};
use Slot::{
    Category, Dataset, Duration, Environment, ErrorMessage, ErrorStack, ErrorType, Handler, Host,
    InstantNanos, Labels, Level, Logger, Message, Method, Outcome, Path, Pid, Query, RequestId, Service,
    SourceIp, Span, Status, Thread, Timestamp, Trace, Traceparent, User, UserAgent, Version,
};
use sightline_instrument::wire::field as f;

/// Every key that means something.
pub const FIELDS: &[Field] = &[
    ecs(f::TIMESTAMP, Timestamp),
    alias("timestamp", Timestamp, 1),
    alias("time", Timestamp, 2),
    alias("ts", Timestamp, 3),
    alias("@t", Timestamp, 3),
    alias("Timestamp", Timestamp, 3),
    alias("asctime", Timestamp, 4),
    alias("datetime", Timestamp, 4),
    alias("time_iso8601", Timestamp, 4),
    alias("eventTime", Timestamp, 4),
    alias("event_time", Timestamp, 4),
    alias("created_at", Timestamp, 8),
    alias("created", Timestamp, 6),
    alias("timeMillis", Timestamp, 5),
    alias("instant.epochSecond", Timestamp, 5),
    alias("instant.nanoOfSecond", InstantNanos, 1),
    alias("timestamp_ms", Timestamp, 5),
    alias("timestampMs", Timestamp, 5),
    alias("time_local", Timestamp, 6),
    alias("msec", Timestamp, 7),
    alias("_time", Timestamp, 7),
    alias("date", Timestamp, 8),
    alias("__REALTIME_TIMESTAMP", Timestamp, 5),
    ecs(f::MESSAGE, Message),
    alias("msg", Message, 1),
    alias("@m", Message, 1),
    alias("RenderedMessage", Message, 2),
    alias("short_message", Message, 2),
    alias("fields.message", Message, 2),
    alias("body", Message, 6),
    alias("MESSAGE", Message, 2),
    alias("text", Message, 5),
    alias("@mt", Message, 3),
    alias("MessageTemplate", Message, 3),
    ecs(f::LEVEL, Level),
    alias("level", Level, 1),
    alias("severity", Level, 2),
    alias("levelname", Level, 2),
    alias("loglevel", Level, 2),
    alias("log_level", Level, 2),
    alias("logLevel", Level, 2),
    alias("level_name", Level, 2),
    alias("lvl", Level, 2),
    alias("@l", Level, 2),
    alias("Level", Level, 2),
    alias("LogLevel", Level, 2),
    alias("severity_text", Level, 2),
    alias("severityText", Level, 2),
    alias("SeverityText", Level, 2),
    read("severity_number", Level, 3, OtelLevel),
    read("severityNumber", Level, 3, OtelLevel),
    read("SeverityNumber", Level, 3, OtelLevel),
    read("levelno", Level, 4, PythonLevel),
    read("level_value", Level, 4, LogbackLevel),
    read("PRIORITY", Level, 4, SyslogLevel),
    read("syslog_severity", Level, 4, SyslogLevel),
    read("syslog_severity_code", Level, 4, SyslogLevel),
    ecs(f::LOGGER, Logger),
    alias("logger", Logger, 1),
    alias("logger_name", Logger, 1),
    alias("loggerName", Logger, 1),
    alias("SourceContext", Logger, 2),
    alias("Properties.SourceContext", Logger, 3),
    alias("target", Logger, 3),
    alias("name", Logger, 5),
    ecs(f::SERVICE_NAME, Service),
    object("service", f::SERVICE_NAME, Service, 1),
    alias("service_name", Service, 2),
    alias("serviceName", Service, 2),
    alias("dd.service", Service, 2),
    alias("resource.service.name", Service, 2),
    alias("application", Service, 3),
    alias("app", Service, 3),
    alias("app_name", Service, 3),
    alias("appName", Service, 3),
    alias("application_name", Service, 3),
    alias("Application", Service, 3),
    alias("Properties.Application", Service, 4),
    alias("syslog_appname", Service, 4),
    alias("programname", Service, 4),
    alias("SYSLOG_IDENTIFIER", Service, 4),
    alias("kubernetes.container.name", Service, 5),
    alias("kubernetes.container_name", Service, 5),
    alias("container_name", Service, 6),
    ecs(f::SERVICE_VERSION, Version),
    alias("service_version", Version, 1),
    alias("serviceVersion", Version, 1),
    alias("app_version", Version, 2),
    alias("appVersion", Version, 2),
    alias("dd.version", Version, 2),
    ecs(f::SERVICE_ENVIRONMENT, Environment),
    alias("environment", Environment, 1),
    alias("env", Environment, 2),
    alias("deployment.environment", Environment, 2),
    alias("deployment.environment.name", Environment, 2),
    alias("deployment_environment", Environment, 2),
    alias("dd.env", Environment, 3),
    alias("EnvironmentName", Environment, 3),
    ecs(f::HOST_NAME, Host),
    object("host", f::HOST_NAME, Host, 1),
    alias("hostname", Host, 2),
    alias("host_name", Host, 2),
    alias("hostName", Host, 2),
    alias("HOSTNAME", Host, 2),
    alias("_HOSTNAME", Host, 2),
    alias("MachineName", Host, 3),
    alias("Properties.MachineName", Host, 3),
    alias("host.hostname", Host, 3),
    alias("source_host", Host, 4),
    alias("logsource", Host, 4),
    ecs(f::TRACE_ID, Trace),
    alias("trace_id", Trace, 1),
    alias("traceId", Trace, 1),
    alias("traceID", Trace, 1),
    alias("TraceId", Trace, 1),
    alias("traceid", Trace, 1),
    alias("@tr", Trace, 1),
    alias("otelTraceID", Trace, 2),
    alias("mdc.trace_id", Trace, 2),
    alias("X-B3-TraceId", Trace, 2),
    object("trace", f::TRACE_ID, Trace, 3),
    read("dd.trace_id", Trace, 4, DecimalId),
    ecs(f::SPAN_ID, Span),
    alias("span_id", Span, 1),
    alias("spanId", Span, 1),
    alias("spanID", Span, 1),
    alias("SpanId", Span, 1),
    alias("spanid", Span, 1),
    alias("@sp", Span, 1),
    alias("otelSpanID", Span, 2),
    alias("mdc.span_id", Span, 2),
    alias("X-B3-SpanId", Span, 2),
    object("span", "span.name", Slot::None, 9),
    read("dd.span_id", Span, 4, DecimalId),
    alias("traceparent", Traceparent, 1),
    ecs(f::HTTP_REQUEST_ID, RequestId),
    alias(f::REQUEST_ID, RequestId, 1),
    alias("requestId", RequestId, 2),
    alias("requestID", RequestId, 2),
    alias("RequestId", RequestId, 2),
    alias("req_id", RequestId, 2),
    alias("reqId", RequestId, 2),
    alias("req.id", RequestId, 2),
    alias("x_request_id", RequestId, 2),
    alias("x-request-id", RequestId, 2),
    alias("X-Request-ID", RequestId, 2),
    alias("correlation_id", RequestId, 3),
    alias("correlationId", RequestId, 3),
    alias("CorrelationId", RequestId, 3),
    ecs(f::HTTP_METHOD, Method),
    alias(f::METHOD, Method, 1),
    alias("request_method", Method, 2),
    alias("http_method", Method, 2),
    alias("httpMethod", Method, 2),
    alias("http.method", Method, 2),
    alias("RequestMethod", Method, 2),
    alias("req.method", Method, 3),
    alias("request.method", Method, 3),
    ecs(f::HTTP_STATUS, Status),
    alias(f::STATUS, Status, 1),
    alias("status_code", Status, 2),
    alias("statusCode", Status, 2),
    alias("StatusCode", Status, 2),
    alias("http_status", Status, 2),
    alias("http_status_code", Status, 2),
    alias("http.status_code", Status, 2),
    alias("response_status", Status, 2),
    alias("res.statusCode", Status, 3),
    alias("response.status", Status, 3),
    ecs(f::URL_PATH, Path),
    alias("path", Path, 1),
    alias("request_path", Path, 2),
    alias("RequestPath", Path, 2),
    alias("http.target", Path, 2),
    alias("uri", Path, 3),
    alias("request_uri", Path, 3),
    alias("req.url", Path, 3),
    object("url", "url.original", Path, 4),
    ecs(f::URL_QUERY, Query),
    alias("query_string", Query, 2),
    ecs(f::EVENT_DURATION, Duration),
    read("duration_ns", Duration, 1, Times(1)),
    read("duration_us", Duration, 1, Times(1_000)),
    read("duration_ms", Duration, 1, Times(1_000_000)),
    read("elapsed_ms", Duration, 2, Times(1_000_000)),
    read("latency_ms", Duration, 2, Times(1_000_000)),
    read("elapsedMilliseconds", Duration, 2, Times(1_000_000)),
    read("Elapsed", Duration, 3, Times(1_000_000)),
    read("responseTime", Duration, 3, Times(1_000_000)),
    read("response_time_ms", Duration, 3, Times(1_000_000)),
    read("request_time", Duration, 3, Times(1_000_000_000)),
    ecs(f::SOURCE_IP, SourceIp),
    alias("client.ip", SourceIp, 1),
    alias("client_ip", SourceIp, 2),
    alias("clientIp", SourceIp, 2),
    alias("remote_addr", SourceIp, 2),
    alias("remoteAddr", SourceIp, 2),
    alias("remote_ip", SourceIp, 2),
    alias("RemoteIpAddress", SourceIp, 2),
    alias("req.remoteAddress", SourceIp, 3),
    object("source", "source.address", SourceIp, 4),
    object("client", "client.address", SourceIp, 4),
    ecs(f::USER_NAME, User),
    object("user", f::USER_NAME, User, 1),
    alias("username", User, 2),
    alias("user_name", User, 2),
    alias("userName", User, 2),
    alias("UserName", User, 2),
    alias("remote_user", User, 3),
    ecs("user_agent.original", UserAgent),
    object("user_agent", "user_agent.original", UserAgent, 1),
    alias("http_user_agent", UserAgent, 2),
    alias("userAgent", UserAgent, 2),
    ecs(f::ERROR_TYPE, ErrorType),
    alias("err.type", ErrorType, 1),
    alias("err.name", ErrorType, 2),
    alias("error.name", ErrorType, 2),
    alias("error.kind", ErrorType, 2),
    alias("exception.type", ErrorType, 2),
    alias("exception.class", ErrorType, 2),
    alias("exception.exception_class", ErrorType, 2),
    alias("thrown.name", ErrorType, 2),
    ecs(f::ERROR_MESSAGE, ErrorMessage),
    object("error", f::ERROR_MESSAGE, ErrorMessage, 1),
    alias("err.message", ErrorMessage, 2),
    alias("err", ErrorMessage, 2),
    alias("exception.message", ErrorMessage, 2),
    alias("exception.exception_message", ErrorMessage, 2),
    alias("thrown.message", ErrorMessage, 2),
    alias("error_message", ErrorMessage, 3),
    alias("errorMessage", ErrorMessage, 3),
    ecs(f::ERROR_STACK, ErrorStack),
    alias("error.stack", ErrorStack, 1),
    alias("err.stack", ErrorStack, 1),
    alias("exception.stacktrace", ErrorStack, 1),
    alias("stack_trace", ErrorStack, 1),
    alias("stacktrace", ErrorStack, 1),
    alias("stackTrace", ErrorStack, 1),
    alias("exc_info", ErrorStack, 1),
    alias("exception", ErrorStack, 2),
    alias("Exception", ErrorStack, 2),
    alias("@x", ErrorStack, 2),
    alias("exc_text", ErrorStack, 2),
    alias("thrown.extendedStackTrace", ErrorStack, 2),
    alias("stack", ErrorStack, 3),
    alias("traceback", ErrorStack, 3),
    ecs(f::EVENT_DATASET, Dataset),
    ecs(f::EVENT_CATEGORY, Category),
    ecs(f::EVENT_OUTCOME, Outcome),
    ecs("process.pid", Pid),
    alias("pid", Pid, 1),
    alias("process_id", Pid, 2),
    alias("ProcessId", Pid, 2),
    ecs("process.thread.name", Thread),
    alias("thread_name", Thread, 1),
    alias("threadName", Thread, 1),
    alias("thread", Thread, 2),
    ecs(f::HANDLER, Handler),
    ecs(f::LABELS, Labels),
    // The rest of the names that ECS keeps for objects.
    object("log", "log.original", Message, 7),
    object("event", "event.action", Message, 4),
    object("process", "process.name", Slot::None, 9),
    object("http", "http.value", Slot::None, 9),
    object("file", "log.origin.file.name", Slot::None, 9),
    object("agent", "agent.name", Slot::None, 9),
    object("server", "server.address", Slot::None, 9),
    object("destination", "destination.address", Slot::None, 9),
    object("container", "container.name", Slot::None, 9),
    object("cloud", "cloud.provider", Slot::None, 9),
    object("device", "device.id", Slot::None, 9),
    object("dns", "dns.question.name", Slot::None, 9),
    object("ecs", "ecs.version", Slot::None, 9),
    object("faas", "faas.name", Slot::None, 9),
    object("geo", "geo.name", Slot::None, 9),
    object("kubernetes", "kubernetes.name", Slot::None, 9),
    object("network", "network.name", Slot::None, 9),
    object("observer", "observer.name", Slot::None, 9),
    object("orchestrator", "orchestrator.type", Slot::None, 9),
    object("organization", "organization.name", Slot::None, 9),
    object("os", "os.name", Slot::None, 9),
    object("package", "package.name", Slot::None, 9),
    object("registry", "registry.path", Slot::None, 9),
    object("rule", "rule.name", Slot::None, 9),
    object("threat", "threat.framework", Slot::None, 9),
    object("tls", "tls.version", Slot::None, 9),
    object("transaction", "transaction.name", Slot::None, 9),
    object("vulnerability", "vulnerability.id", Slot::None, 9),
    object("data_stream", "data_stream.value", Slot::None, 9),
];

/// Objects of foreign loggers that are worth looking into, besides those of ECS.
pub fn opens(key: &[u8]) -> bool {
    matches!(
        key,
        b"fields"
            | b"err"
            | b"exception"
            | b"thrown"
            | b"req"
            | b"res"
            | b"request"
            | b"response"
            | b"resource"
            | b"mdc"
            | b"dd"
            | b"instant"
            | b"Properties"
            | b"deployment"
            | b"log.origin"
            | b"http.request"
            | b"http.response"
            | b"process.thread"
            | b"kubernetes.container"
            | b"resource.service"
            | b"deployment.environment"
    )
}

const BUCKETS: usize = 1024;

/// Open addressing over [`FIELDS`]; twice as fast as a `match` on so many strings, and it is asked for every key.
static TABLE: LazyLock<[u16; BUCKETS]> = LazyLock::new(|| {
    let mut table = [u16::MAX; BUCKETS];
    for (index, field) in FIELDS.iter().enumerate() {
        let mut at = hash(field.key.as_bytes());
        while table[at] != u16::MAX {
            at = (at + 1) % BUCKETS;
        }
        table[at] = index as u16;
    }
    table
});

/// The meaning of a key, if it has one.
#[inline]
pub fn find(key: &[u8]) -> Option<&'static Field> {
    let table = &*TABLE;
    let mut at = hash(key);
    loop {
        let field = FIELDS.get(usize::from(table[at]))?;
        if field.key.as_bytes() == key {
            return Some(field);
        }
        at = (at + 1) % BUCKETS;
    }
}

#[inline]
fn hash(key: &[u8]) -> usize {
    let n = key.len();
    let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (key.iter().fold(0, |all, &b| all << 8 | u64::from(b)), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 54) as usize
}

#[cfg(test)]
mod tests {
    use super::{FIELDS, SLOTS, Slot, find, name};

    #[test]
    fn finds_each_key_and_nothing_else() {
        for field in FIELDS {
            assert_eq!(find(field.key.as_bytes()).map(|f| f.key), Some(field.key));
        }
        for other in ["", "x", "kittens", "servicename", "log.levels", "a.very.long.key.that.nobody.has"] {
            assert!(find(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn keys_are_unique_and_slots_have_names() {
        let mut keys: Vec<_> = FIELDS.iter().map(|f| f.key).collect();
        keys.sort_unstable();
        let before = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), before);
        assert_eq!(name(Slot::Service), "service.name");
        assert_eq!(name(Slot::UserAgent), "user_agent.original");
        const { assert!(SLOTS < 64) };
    }
}
