//! Settings that all receivers share: transport security and the limits that keep a peer from holding the agent up.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Span};

/// Certificates of a receiver. Without `certificate` the receiver speaks plain text. Files that change are read again while the
/// agent runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file with the certificate chain.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key.
    pub key: Option<PathBuf>,
    /// PEM file with the authorities whose client certificates are asked for and required.
    pub client_ca: Option<PathBuf>,
}

/// Bounds on what one peer, and all of them together, may hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once; one more is closed at once and counted.
    pub connections: usize,
    /// A connection on which nothing came for so long is closed.
    pub idle: Span,
    /// The TLS handshake must be done by then.
    pub handshake: Span,
    /// The header of a request must be there by then; also how long an HTTP/1 connection is kept between requests.
    pub header: Span,
    /// The body of a request must be there by then; on a port for lines, the end of a line that has begun.
    pub body: Span,
    /// The largest body, and the largest one after decompression.
    pub size: Bytes,
    /// Bytes of bodies that all requests being read may hold together; beyond it the answer is 429. On a port for
    /// lines, bytes of all lines that are not finished; beyond it such a line is refused.
    pub in_flight: Bytes,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 1024,
            idle: Span::secs(300),
            handshake: Span::secs(10),
            header: Span::secs(60),
            body: Span::secs(30),
            size: Bytes(20 << 20),
            in_flight: Bytes(64 << 20),
        }
    }
}
