//! Certificates from PEM files to what a listener needs; client certificates are required when authorities are named.
//!
//! Certificates are renewed while the agent runs (by cert-manager, certbot, …): files that have changed are read again when a
//! connection comes, and those in force stay where the new ones cannot be used. Connections that are open keep theirs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::settings::Tls;

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the pair is missing.
    #[error("{setting}: certificate and key go together, and client_ca needs both")]
    Incomplete {
        /// The key of the configuration.
        setting: &'static str,
    },
    /// A file that cannot be read as PEM.
    #[error("{setting}: cannot read {path}: {reason}", path = path.display())]
    File {
        /// The key of the configuration.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Files that do not fit together.
    #[error("{setting}: certificate and key cannot be used: {reason}")]
    Unusable {
        /// The key of the configuration.
        setting: &'static str,
        /// What is wrong with them.
        reason: String,
    },
}

/// How often files are looked at, at most.
const LOOK: Duration = Duration::from_secs(10);

/// The certificates of one listener, as its files have them.
#[derive(Clone)]
pub struct Certificates(Arc<Shared>);

struct Shared {
    tls: Tls,
    setting: &'static str,
    protocols: &'static [&'static [u8]],
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    /// Of the files that it was made from, or that could not be used.
    stamps: Vec<Stamp>,
    looked: Instant,
}

/// When a file was written, and its length; `None` if there is none.
type Stamp = Option<(SystemTime, u64)>;

impl Certificates {
    /// Reads the files of `tls`; `None` when no certificate is configured.
    ///
    /// # Errors
    /// When a file is missing, is none of PEM, or the files do not fit together.
    pub fn read(
        tls: &Tls,
        setting: &'static str,
        protocols: &'static [&'static [u8]],
    ) -> Result<Option<Self>, TlsError> {
        // Before they are read: what is written meanwhile is seen the next time.
        let stamps = stamps(tls);
        let Some(acceptor) = acceptor(tls, setting, protocols)? else { return Ok(None) };
        let current = Mutex::new(Current { acceptor, stamps, looked: Instant::now() });
        Ok(Some(Certificates(Arc::new(Shared { tls: tls.clone(), setting, protocols, current }))))
    }

    /// What the next connection is to be accepted with.
    pub fn acceptor(&self, now: Instant) -> TlsAcceptor {
        let Shared { tls, setting, protocols, current } = &*self.0;
        let mut current = current.lock();
        if now.saturating_duration_since(current.looked) >= LOOK {
            current.looked = now;
            let seen = stamps(tls);
            if seen != current.stamps {
                current.stamps = seen;
                match acceptor(tls, setting, protocols) {
                    Ok(Some(renewed)) => {
                        current.acceptor = renewed;
                        metrics::counter!("sightline_reloads_total", "outcome" => "success").increment(1);
                        tracing::info!(setting, "certificates renewed");
                    }
                    Ok(None) => {}
                    Err(error) => {
                        metrics::counter!("sightline_reloads_total", "outcome" => "failure").increment(1);
                        tracing::warn!(%error, "renewed certificates cannot be used, those in force stay");
                    }
                }
            }
        }
        current.acceptor.clone()
    }
}

fn stamps(tls: &Tls) -> Vec<Stamp> {
    let files = [&tls.certificate, &tls.key, &tls.client_ca];
    let stamp = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    files.into_iter().flatten().map(stamp).collect()
}

/// Reads the files of `tls`; `None` when no certificate is configured.
fn acceptor(tls: &Tls, setting: &'static str, protocols: &[&[u8]]) -> Result<Option<TlsAcceptor>, TlsError> {
    let (certificate, key) = match (&tls.certificate, &tls.key) {
        (None, None) if tls.client_ca.is_none() => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => return Err(TlsError::Incomplete { setting }),
    };
    let chain = certificates(certificate, setting)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| file(setting, key, &e))?;
    let unusable = |reason: String| TlsError::Unusable { setting, reason };

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(e.to_string()))?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for authority in certificates(path, setting)? {
                roots.add(authority).map_err(|e| file(setting, path, &e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|e| unusable(e.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, private).map_err(|e| unusable(e.to_string()))?;
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn certificates(path: &Path, setting: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let list = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|e| file(setting, path, &e))?;
    if list.is_empty() {
        return Err(file(setting, path, &"no certificate in it"));
    }
    Ok(list)
}

fn file(setting: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { setting, path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests;
