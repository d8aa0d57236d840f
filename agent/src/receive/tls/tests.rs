//! Handshakes in memory, with certificates that are good for a hundred years (`tests/data/tls`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Certificates, LOOK};
use crate::receive::settings::Tls;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

fn leaf(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(data(&format!("{name}.pem"))).unwrap()
}

/// What `name` connects with; nobody is one without a certificate.
fn connector(name: Option<&str>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(leaf("ca")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match name {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let key = PrivateKeyDer::from_pem_file(data(&format!("{name}.key.pem"))).unwrap();
            builder.with_client_auth_cert(vec![leaf(name)], key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// The server's certificate as `who` sees it, once a word has gone each way.
async fn meet(acceptor: TlsAcceptor, who: Option<&str>) -> std::io::Result<CertificateDer<'static>> {
    let (near, far) = tokio::io::duplex(4_096);
    let server = tokio::spawn(async move {
        let mut stream = acceptor.accept(far).await?;
        let mut word = [0; 4];
        stream.read_exact(&mut word).await?;
        stream.write_all(&word).await?;
        stream.flush().await
    });
    let mut stream = connector(who).connect(ServerName::try_from("localhost").unwrap(), near).await?;
    stream.write_all(b"meow").await?;
    stream.flush().await?;
    let mut word = [0; 4];
    stream.read_exact(&mut word).await?;
    assert_eq!(&word, b"meow");
    server.await.unwrap()?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned())
}

fn copy(name: &str, dir: &Path) {
    for (from, to) in [(format!("{name}.pem"), "tls.crt"), (format!("{name}.key.pem"), "tls.key")] {
        std::fs::copy(data(&from), dir.join(to)).unwrap();
    }
}

fn files(dir: &Path) -> Tls {
    Tls { certificate: Some(dir.join("tls.crt")), key: Some(dir.join("tls.key")), client_ca: None }
}

#[tokio::test]
async fn only_who_shows_a_certificate_of_the_authority_comes_in() {
    let tls = Tls {
        certificate: Some(data("server.pem")),
        key: Some(data("server.key.pem")),
        client_ca: Some(data("ca.pem")),
    };
    let certificates = Certificates::read(&tls, "logs.tcp.tls", &[]).unwrap().unwrap();
    let acceptor = certificates.acceptor(Instant::now());
    assert_eq!(meet(acceptor.clone(), Some("client")).await.unwrap(), leaf("server"));
    assert!(meet(acceptor.clone(), None).await.is_err(), "without a certificate");
    assert!(meet(acceptor, Some("stranger")).await.is_err(), "with one of another authority");
    let open = Certificates::read(&Tls { client_ca: None, ..tls }, "logs.tcp.tls", &[]).unwrap().unwrap();
    assert!(meet(open.acceptor(Instant::now()), None).await.is_ok());
}

#[tokio::test]
async fn renewed_files_are_taken_and_useless_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    copy("server", dir.path());
    let certificates = Certificates::read(&files(dir.path()), "logs.tcp.tls", &[]).unwrap().unwrap();
    let start = Instant::now();
    let mut looks = 0;
    let mut next = || {
        looks += 1;
        certificates.acceptor(start + LOOK * looks + Duration::from_secs(1))
    };
    assert_eq!(meet(next(), None).await.unwrap(), leaf("server"));
    // The certificate first and its key later, as some tools do it: until then the pair does not fit.
    std::fs::write(dir.path().join("tls.crt"), "-----BEGIN").unwrap();
    assert_eq!(meet(next(), None).await.unwrap(), leaf("server"));
    std::fs::remove_file(dir.path().join("tls.crt")).unwrap();
    assert_eq!(meet(next(), None).await.unwrap(), leaf("server"));
    copy("renewed", dir.path());
    assert_eq!(meet(next(), None).await.unwrap(), leaf("renewed"));
}

#[test]
fn a_pair_that_does_not_fit_is_named() {
    let dir = tempfile::tempdir().unwrap();
    copy("server", dir.path());
    std::fs::copy(data("client.key.pem"), dir.path().join("tls.key")).unwrap();
    let error = Certificates::read(&files(dir.path()), "otlp.grpc.tls", &[]).err().unwrap().to_string();
    assert!(error.starts_with("otlp.grpc.tls: certificate and key cannot be used"), "{error}");
    assert!(Certificates::read(&Tls::default(), "otlp.grpc.tls", &[]).unwrap().is_none());
}
