//! Where a back end is and how to speak with it.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::SettingsError;
use crate::export::secret::Secret;

/// The connection to one back end, from the settings of its exporter.
#[derive(Debug, Clone)]
pub struct Settings {
    pub urls: Vec<String>,
    pub auth: Auth,
    pub tls: Tls,
    pub gzip: bool,
    pub timeout: Duration,
}

/// At most one of: a key, a user with a password, a token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Elasticsearch API key, encoded (`id:key` in base64).
    pub api_key: Secret,
    /// User for basic authentication.
    pub username: String,
    /// Password for basic authentication.
    pub password: Secret,
    /// Bearer token.
    pub token: Secret,
}

/// What to trust and what to show.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file with the certificate authorities to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// PEM file with our certificate chain, where the back end asks for one.
    pub cert_file: Option<PathBuf>,
    /// PEM file with its key.
    pub key_file: Option<PathBuf>,
}

impl Auth {
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, SettingsError> {
        let text = if !self.api_key.is_empty() {
            format!("ApiKey {}", self.api_key.reveal())
        } else if !self.token.is_empty() {
            format!("Bearer {}", self.token.reveal())
        } else if !self.username.is_empty() {
            format!("Basic {}", BASE64.encode(format!("{}:{}", self.username, self.password.reveal())))
        } else {
            return Ok(None);
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| SettingsError::Credentials)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}
