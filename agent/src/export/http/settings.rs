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
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Elasticsearch API key, encoded (`id:key` in base64).
    pub api_key: Secret,
    /// User for basic authentication.
    pub username: String,
    /// Password for basic authentication.
    pub password: Secret,
    /// File that holds the password, where an environment or a configuration is no place for it.
    pub password_file: Option<PathBuf>,
    /// Bearer token.
    pub token: Secret,
}

/// What to trust and what to show.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
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
            let password = match &self.password_file {
                None => self.password.reveal().to_owned(),
                Some(file) => std::fs::read_to_string(file)
                    .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                    .map_err(|error| SettingsError::File {
                        path: file.display().to_string(),
                        reason: error.to_string(),
                    })?,
            };
            format!("Basic {}", BASE64.encode(format!("{}:{password}", self.username)))
        } else {
            return Ok(None);
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| SettingsError::Credentials)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::Auth;

    #[test]
    fn a_password_may_come_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        let with = |path: &std::path::Path| Auth {
            username: "u".to_owned(),
            password_file: Some(path.to_owned()),
            ..Auth::default()
        };
        assert_eq!(with(file.path()).header().unwrap().unwrap(), "Basic dTpodW50ZXIy");
        let missing = with(std::path::Path::new("/nonexistent/password")).header().unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/password"), "{missing}");
    }
}
