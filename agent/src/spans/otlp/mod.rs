//! OTLP traces in: protobuf is translated as it stands, JSON takes the way over protobuf.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::Intake;
use crate::queue::Broken;
use crate::receive::otlp::{Refusal, Signal, Taken};
use crate::receive::sink::{Ticket, Wait};

mod span;
pub mod translate;
pub mod value;

#[cfg(test)]
mod tests;

/// The signal in front of the spans lane.
pub struct Traces(pub Intake);

impl Signal for Traces {
    fn protobuf(&self, request: &[u8]) -> Result<Taken, Refusal> {
        self.0.otlp(request)
    }

    fn json(&self, request: &[u8]) -> Result<Taken, Refusal> {
        let request: ExportTraceServiceRequest =
            serde_json::from_slice(request).map_err(|e| Refusal::Malformed(e.to_string()))?;
        self.0.otlp(&request.encode_to_vec())
    }

    fn durable(&self, ticket: Ticket) -> Wait<'_, Result<(), Broken>> {
        Box::pin(self.0.durable(ticket))
    }

    fn lane(&self) -> &'static str {
        "spans"
    }
}
