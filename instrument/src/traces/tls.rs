//! TLS for spans: rustls over ring, trusting Mozilla's roots or the authorities of a file.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::net::TcpStream;
use std::sync::Arc;

/// What is trusted. Cloning gives the same.
#[derive(Debug, Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// With the authorities of a PEM file instead of Mozilla's. An error is one of the settings, in words.
    pub(crate) fn new(authorities: Option<&str>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        match authorities {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                let failed = |error: &dyn std::fmt::Display| {
                    format!("{path} is not a readable PEM file of certificates: {error}")
                };
                for certificate in CertificateDer::pem_file_iter(path).map_err(|e| failed(&e))? {
                    let certificate = certificate.map_err(|e| failed(&e))?;
                    roots.add(certificate).map_err(|e| failed(&e))?;
                }
                if roots.is_empty() {
                    return Err(failed(&"it holds none"));
                }
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Tls(Arc::new(config)))
    }

    /// The handshake happens with the first byte written.
    pub(crate) fn wrap(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<StreamOwned<ClientConnection, TcpStream>, Box<dyn std::error::Error + Send + Sync>> {
        let name = ServerName::try_from(host.to_owned())?;
        Ok(StreamOwned::new(ClientConnection::new(self.0.clone(), name)?, stream))
    }
}

#[cfg(test)]
mod tests {
    use super::super::post::Post;
    use super::*;
    use bytes::Bytes;
    use opentelemetry_http::HttpClient;
    use rustls::pki_types::PrivateKeyDer;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::task::{Context, Poll, Waker};

    const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/localhost.pem");
    const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/localhost.key.pem");

    /// Answers one request after the other over TLS; gives what was read of each.
    fn serve(listener: TcpListener, requests: usize) -> std::thread::JoinHandle<usize> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(AUTHORITY).unwrap()],
                PrivateKeyDer::from_pem_file(KEY).unwrap(),
            )
            .unwrap();
        let config = Arc::new(config);
        std::thread::spawn(move || {
            let stream = listener.accept().unwrap().0;
            let mut stream = StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), stream);
            let mut bodies = 0;
            for _ in 0..requests {
                let (mut text, mut buffer) = (Vec::new(), [0; 4_096]);
                while !text.ends_with(b"spans") {
                    match stream.read(&mut buffer) {
                        Ok(n) if n > 0 => text.extend_from_slice(&buffer[..n]),
                        _ => return bodies,
                    }
                }
                bodies += 1;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            }
            bodies
        })
    }

    fn post(post: &Post, address: &str) -> Result<u16, String> {
        let request = http::Request::post(format!("https://{address}/v1/traces"))
            .body(Bytes::from_static(b"spans"))
            .unwrap();
        match post.send_bytes(request).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer.map(|a| a.status().as_u16()).map_err(|e| e.to_string()),
            Poll::Pending => unreachable!("it works in one poll"),
        }
    }

    #[test]
    fn spans_go_out_over_tls_and_the_connection_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let server = serve(listener, 2);
        let client = Post::with(Tls::new(Some(AUTHORITY)).unwrap());
        assert_eq!(post(&client, &address), Ok(200));
        assert_eq!(post(&client, &address), Ok(200));
        assert_eq!(server.join().unwrap(), 2, "over one connection");
    }

    #[test]
    fn a_stranger_is_not_trusted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let server = serve(listener, 1);
        let refused = post(&Post::with(Tls::new(None).unwrap()), &address).unwrap_err();
        assert!(refused.contains("UnknownIssuer"), "{refused}");
        assert_eq!(server.join().unwrap(), 0);
        assert!(Tls::new(Some("/nowhere.pem")).unwrap_err().starts_with("/nowhere.pem is not"));
    }
}
