//! Where lanes meet without knowing each other: values that one lane offers and another takes, wired by `run`.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;

/// A finished span that names a timing of the convention: the trace behind a bucket.
#[derive(Debug, Clone, Copy)]
pub struct Exemplar<'a> {
    /// Label `environment`.
    pub environment: &'a str,
    /// Label `host`, dots already written as `_`.
    pub host: &'a str,
    /// Label `service`.
    pub service: &'a str,
    /// Label `group`.
    pub group: &'a str,
    /// Label `segment`.
    pub segment: &'a str,
    /// 32 lower-case hexadecimal digits.
    pub trace_id: &'a str,
    /// How long it took.
    pub seconds: f64,
    /// When it ended, milliseconds since the epoch.
    pub at_ms: i64,
}

/// From the spans lane to the registry.
pub type ExemplarHook = Arc<dyn Fn(&Exemplar<'_>) + Send + Sync>;

/// What became of one OTLP metrics request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtlpMetricsOutcome {
    /// Data points applied.
    pub accepted: u64,
    /// Data points refused; they go into the answer's `partial_success`.
    pub rejected: u64,
    /// Why, for the sender.
    pub message: String,
}

/// From the OTLP receivers to the registry.
pub type OtlpMetricsHook = Arc<dyn Fn(ExportMetricsServiceRequest) -> OtlpMetricsOutcome + Send + Sync>;

/// From the metrics lane (DogStatsD events and service checks) to the logs lane: one JSON line.
pub type LogLineHook = Arc<dyn Fn(&[u8]) + Send + Sync>;
