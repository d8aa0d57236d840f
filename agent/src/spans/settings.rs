//! Settings of the spans lane. OTLP has a section of its own, because it serves all lanes.

use serde::{Deserialize, Serialize};

use super::sample::Sampling;
use crate::receive::access::Access;
use crate::receive::address::Address;
use crate::receive::settings::{Limits, Tls};

/// The spans lane.
#[derive(Debug, Clone, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Zipkin's own protocol, on Zipkin's own port.
    pub zipkin: Zipkin,
    /// Which spans are kept.
    pub sampling: Sampling,
}

/// Zipkin v2 spans over HTTP, JSON or proto3.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Zipkin {
    /// Where to listen.
    pub listen: Address,
    /// Certificates.
    pub tls: Tls,
    /// Who may send.
    pub access: Access,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Zipkin {
    fn default() -> Self {
        Zipkin {
            listen: Address::loopback(9411),
            tls: Tls::default(),
            access: Access::default(),
            limits: Limits::default(),
        }
    }
}
