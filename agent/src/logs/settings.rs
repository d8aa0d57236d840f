//! Settings of the logs lane.

use serde::{Deserialize, Serialize};

use super::redact;
use super::rules::Rule;
use crate::receive::access::Access;
use crate::receive::address::Address;
use crate::receive::settings::{Limits, Tls};
use crate::units::{Bytes, Span};

/// The logs lane: where lines come in and what is made of them.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// JSON lines (or syslog, or plain lines) over TCP.
    pub tcp: Tcp,
    /// The same over UDP: one or more lines a datagram.
    pub udp: Udp,
    /// `POST /logs` and Elasticsearch's `_bulk` over HTTP.
    pub http: Http,
    /// `service.environment` of records that do not say; part of their data stream's name.
    pub environment: String,
    /// The longest line; a longer one is counted and passed over.
    pub max_line: Bytes,
    /// The most members of one record; the rest is kept as one text in `labels.overflow`.
    pub max_fields: usize,
    /// The most pairs of service and environment with data streams of their own; later ones share `logs-other.…`.
    pub max_streams: usize,
    /// Takes lines that begin with a syslog priority (`<34>…`, RFC 5424 and 3164) apart. Off: kept as plain lines.
    pub syslog: bool,
    /// Secrets that are removed before anything is kept.
    pub redact: redact::Settings,
    /// What to do to records, in order; applied before they are understood.
    pub rules: Vec<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            tcp: Tcp::default(),
            udp: Udp::default(),
            http: Http::default(),
            environment: "dev".into(),
            max_line: Bytes(1 << 20),
            max_fields: 500,
            max_streams: 2000,
            syslog: true,
            redact: redact::Settings::default(),
            rules: Vec::new(),
        }
    }
}

/// Lines over TCP.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tcp {
    /// Where to listen.
    pub listen: Address,
    /// Certificates; without them lines come in the clear.
    pub tls: Tls,
    /// Who may connect. Tokens mean nothing here: lines carry none.
    pub access: Access,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Tcp {
    fn default() -> Self {
        // Services keep their connection open and may be silent for long.
        let limits = Limits { idle: Span::secs(3600), ..Limits::default() };
        Tcp { listen: Address::loopback(5000), tls: Tls::default(), access: Access::default(), limits }
    }
}

/// Lines over UDP.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Udp {
    /// Where to listen.
    pub listen: Address,
    /// Who may send. Tokens mean nothing here.
    pub access: Access,
    /// The kernel's buffer for datagrams that were not read yet.
    pub buffer: Bytes,
}

impl Default for Udp {
    fn default() -> Self {
        Udp { listen: Address::loopback(5000), access: Access::default(), buffer: Bytes(4 << 20) }
    }
}

/// Logs over HTTP.
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

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: Address::loopback(5001),
            tls: Tls::default(),
            access: Access::default(),
            limits: Limits::default(),
        }
    }
}
