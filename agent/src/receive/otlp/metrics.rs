//! OTLP metrics: decoded here, applied by whoever `run` wires in (the registry, which keeps its own state).

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;

use super::{Refusal, Signal, Taken};
use crate::hooks::OtlpMetricsHook;
use crate::queue::Broken;
use crate::receive::sink::{Ticket, Wait};

/// The signal in front of the registry.
pub struct Metrics(pub OtlpMetricsHook);

impl Metrics {
    fn apply(&self, request: ExportMetricsServiceRequest) -> Taken {
        let outcome = (self.0)(request);
        Taken { ticket: Ticket::default(), rejected: outcome.rejected, message: outcome.message }
    }
}

impl Signal for Metrics {
    fn protobuf(&self, request: &[u8]) -> Result<Taken, Refusal> {
        let request =
            ExportMetricsServiceRequest::decode(request).map_err(|e| Refusal::Malformed(e.to_string()))?;
        Ok(self.apply(request))
    }

    fn json(&self, request: &[u8]) -> Result<Taken, Refusal> {
        let request = serde_json::from_slice(request).map_err(|e| Refusal::Malformed(e.to_string()))?;
        Ok(self.apply(request))
    }

    fn durable(&self, _: Ticket) -> Wait<'_, Result<(), Broken>> {
        // A sample is where it belongs once it is applied; the registry is no queue.
        Box::pin(std::future::ready(Ok(())))
    }

    fn lane(&self) -> &'static str {
        "metrics"
    }
}
