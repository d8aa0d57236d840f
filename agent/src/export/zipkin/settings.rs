//! What can be set about Zipkin.

use serde::{Deserialize, Serialize};

use crate::export::{http, pump};
use crate::units::Span;

/// Where spans go.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Addresses of its nodes, `http://` or `https://`; each gets its share, one that fails is passed over.
    pub urls: Vec<String>,
    /// Credentials.
    pub auth: http::Auth,
    /// TLS beyond the public certificate authorities.
    pub tls: http::Tls,
    /// Compress what is sent: less network, more processor.
    pub gzip: bool,
    /// How long one request may take, from connecting to the last byte of the answer.
    pub timeout: Span,
    /// Where it takes spans.
    pub path: String,
    /// How the queue is moved into it.
    pub delivery: pump::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            urls: Vec::new(),
            auth: http::Auth::default(),
            tls: http::Tls::default(),
            gzip: false,
            timeout: Span::secs(30),
            path: "/api/v2/spans".into(),
            delivery: pump::Settings::default(),
        }
    }
}

impl Settings {
    pub(super) fn connection(&self) -> http::Settings {
        http::Settings {
            urls: self.urls.clone(),
            auth: self.auth.clone(),
            tls: self.tls.clone(),
            gzip: self.gzip,
            timeout: self.timeout.0,
        }
    }
}
