//! What the exporters' TLS trusts and shows.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::{SettingsError, Tls};

pub(super) fn config(settings: &Tls) -> Result<ClientConfig, SettingsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::File { path: "tls".into(), reason: error.to_string() })?;
    let builder = match &settings.ca_file {
        None => {
            use hyper_rustls::ConfigBuilderExt;
            builder.with_webpki_roots()
        }
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| failed(path, &error))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    match (&settings.cert_file, &settings.key_file) {
        (Some(cert), Some(key)) => {
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, &error))?;
            builder.with_client_auth_cert(certificates(cert)?, key_der).map_err(|error| failed(cert, &error))
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(path), None) | (None, Some(path)) => {
            Err(failed(path, &"cert_file and key_file go together: set both or neither"))
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| failed(path, &error))?.collect();
    let found = found.map_err(|error| failed(path, &error))?;
    if found.is_empty() {
        return Err(failed(path, &"it holds no PEM certificate"));
    }
    Ok(found)
}

fn failed(path: &Path, reason: &dyn std::fmt::Display) -> SettingsError {
    SettingsError::File { path: path.display().to_string(), reason: reason.to_string() }
}
