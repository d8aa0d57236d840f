//! Spans by OTLP over HTTP, for back ends that speak it: Jaeger, Tempo, a Collector. The queue holds the same
//! Zipkin spans; they are translated back as they leave.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::http::{Client, SettingsError};
use super::split::{self, Part, Sender};
use super::{Entry, Exporter, Verdict};

mod settings;
mod translate;

pub use settings::Settings;

/// The exporter.
#[derive(Debug)]
pub struct Otlp {
    client: Client,
    path: String,
}

impl Otlp {
    /// Checks the settings; connects to nothing.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Otlp { client: Client::new(&settings.connection())?, path: settings.path.clone() })
    }
}

impl Sender for Otlp {
    async fn send(&self, batch: &[Entry]) -> Part {
        let (request, readable) = translate::request(batch.iter().map(|entry| &entry.payload[..]));
        let verdicts = |readable: Vec<bool>| {
            let verdict = |readable| match readable {
                true => Verdict::Done,
                false => Verdict::Reject { reason: "not a span".into() },
            };
            Part::Verdicts(readable.into_iter().map(verdict).collect())
        };
        if request.resource_spans.is_empty() {
            return verdicts(readable);
        }
        let mut body = request.encode_to_vec();
        if self.client.gzip() {
            let mut out = GzEncoder::new(Vec::with_capacity(body.len() / 6), Compression::fast());
            body = match out.write_all(&body).and_then(|()| out.finish()) {
                Ok(body) => body,
                Err(error) => return Part::Later { after: None, reason: format!("other: {error}") },
            };
        }
        match self.client.post(&self.path, "application/x-protobuf", Bytes::from(body)).await {
            Ok(reply) if reply.status.is_success() => {
                match refused(&reply.body) {
                    // Which ones is not said; of a single span it is clear.
                    Some((_, reason)) if batch.len() == 1 => return Part::Objection(reason),
                    Some((spans, reason)) => {
                        metrics::counter!("sightline_exporter_unnamed_refusals_total", "exporter" => "otlp")
                            .increment(spans);
                        tracing::error!(spans, reason, "the back end refused spans without saying which");
                    }
                    None => {}
                }
                verdicts(readable)
            }
            Ok(reply) if reply.is_retryable() => {
                Part::Later { after: reply.retry_after, reason: reply.reason() }
            }
            Ok(reply) => Part::Objection(reply.reason()),
            Err(error) => Part::Later { after: None, reason: error.to_string() },
        }
    }
}

impl Exporter for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    async fn export(&self, batch: &[Entry]) -> Vec<Verdict> {
        split::send(batch, self).await
    }
}

/// How many spans an otherwise good answer says were refused, and why.
fn refused(body: &[u8]) -> Option<(u64, String)> {
    let partial = ExportTraceServiceResponse::decode(body).ok()?.partial_success?;
    let spans = u64::try_from(partial.rejected_spans).ok().filter(|spans| *spans > 0)?;
    Some((spans, partial.error_message))
}
