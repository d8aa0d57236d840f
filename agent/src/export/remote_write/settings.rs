//! Settings of one remote-write endpoint, each with its default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::export::http;
use crate::units::{Bytes, Span};

/// One endpoint that takes Prometheus remote write: Mimir, Thanos, VictoriaMetrics, Prometheus itself.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where to write, for example `https://mimir.example/api/v1/push`.
    pub url: String,
    /// What the agent's own metrics call this endpoint; the host of the URL when empty.
    pub name: String,
    /// Which protocol to speak. `auto` tries 2.0 and falls back to 1.0 when the endpoint does not know it.
    pub protocol: Protocol,
    /// How often samples are taken and sent.
    pub interval: Span,
    /// How long one request may take.
    pub timeout: Span,
    /// Credentials that stand in the configuration.
    pub auth: http::Auth,
    /// A file with the password for `auth.username`, read for each request so that it can be rotated.
    pub password_file: PathBuf,
    /// A file with a bearer token, read for each request.
    pub token_file: PathBuf,
    /// Further headers, such as `X-Scope-OrgID`.
    pub headers: BTreeMap<String, String>,
    /// TLS beyond the public certificate authorities.
    pub tls: http::Tls,
    /// Labels added to every series that does not have them, such as `cluster`. `job` is `sightline` and `instance`
    /// the host's name unless they are set here; an empty value leaves a label out.
    pub labels: BTreeMap<String, String>,
    /// Samples in one request at most.
    pub max_samples: usize,
    /// What may wait on disk while the endpoint is away. Beyond it new samples are dropped and counted.
    pub buffer: Bytes,
    /// First pause after a failure; it doubles up to `max_backoff`.
    pub min_backoff: Span,
    /// Longest pause between two tries, unless the endpoint asks for more.
    pub max_backoff: Span,
    /// Sends native histograms beside the classic buckets, where the protocol can.
    pub native_histograms: bool,
}

/// Which version of the protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// 2.0, and 1.0 for an endpoint that answers 415.
    Auto,
    /// Remote write 1.0.
    #[serde(rename = "1.0")]
    V1,
    /// Remote write 2.0.
    #[serde(rename = "2.0")]
    V2,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            url: String::new(),
            name: String::new(),
            protocol: Protocol::Auto,
            interval: Span::secs(15),
            timeout: Span::secs(30),
            auth: http::Auth::default(),
            password_file: PathBuf::new(),
            token_file: PathBuf::new(),
            headers: BTreeMap::new(),
            tls: http::Tls::default(),
            labels: BTreeMap::new(),
            max_samples: 2000,
            buffer: Bytes(1 << 30),
            min_backoff: Span(std::time::Duration::from_millis(100)),
            max_backoff: Span::secs(30),
            native_histograms: true,
        }
    }
}
