//! Settings of the OTLP receivers.

use serde::{Deserialize, Serialize};

use crate::receive::access::Access;
use crate::receive::address::Address;
use crate::receive::settings::{Limits, Tls};

/// OpenTelemetry's protocol for traces, logs and metrics.
#[derive(Debug, Clone, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Protobuf and JSON over HTTP, on 4318.
    pub http: Http,
    /// Over gRPC, on 4317.
    pub grpc: Grpc,
}

/// OTLP over HTTP.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where to listen.
    pub listen: Address,
    /// Certificates.
    pub tls: Tls,
    /// Who may send.
    pub access: Access,
    /// Bounds.
    pub limits: Limits,
}

/// OTLP over gRPC.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grpc {
    /// Where to listen.
    pub listen: Address,
    /// Certificates.
    pub tls: Tls,
    /// Who may send.
    pub access: Access,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: Address::loopback(4318),
            tls: Tls::default(),
            access: Access::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Grpc {
    fn default() -> Self {
        Grpc {
            listen: Address::loopback(4317),
            tls: Tls::default(),
            access: Access::default(),
            limits: Limits::default(),
        }
    }
}
