//! OTLP metrics: decoded here, applied by whoever `run` wires in (the registry, which keeps its own state).

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;

use super::{Refusal, Signal, Taken, mend};
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
        let (request, mended) = mend::decode(request, &mend::METRICS)?;
        if mended > 0 {
            metrics::counter!("sightline_metrics_noted_total", "what" => "invalid_utf8").increment(mended);
        }
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
