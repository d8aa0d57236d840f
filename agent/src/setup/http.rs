//! A small HTTP client for Kibana: JSON and one multipart form, over TCP or TLS, with bounds on time and size.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::ServerName;
use serde_json::Value;

use super::elasticsearch::chain;
use super::{Args, Login, authorities};

const TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST_ANSWER: usize = 64 << 20;

/// A server to ask.
pub(super) struct Server {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authorization: Option<String>,
}

/// An answer: its status and its body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Answer {
    /// The body as JSON; `null` if it is not JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The body, or why it was refused.
    pub(super) fn accepted(self) -> Result<Value, String> {
        if self.status.is_success() {
            return Ok(self.json());
        }
        let value = self.json();
        let said =
            value["message"].as_str().map_or_else(|| self.text.chars().take(300).collect(), str::to_owned);
        Err(format!("{}: {said}", self.status.as_u16()))
    }
}

impl Server {
    pub(super) fn new(base: &str, login: Option<&Login>, args: &Args) -> anyhow::Result<Self> {
        let authorization = login.map(|login| {
            let pair = format!("{}:{}", login.name, login.password);
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        });
        let mut roots = rustls::RootCertStore::empty();
        if let Some(file) = &args.ca_file {
            for certificate in authorities(file)? {
                roots.add(certificate)?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = if args.ca_file.is_some() {
            tls.with_root_certificates(roots).with_no_client_auth()
        } else {
            hyper_rustls::ConfigBuilderExt::with_webpki_roots(tls).with_no_client_auth()
        };
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = match &args.server_name {
            Some(name) => builder
                .with_server_name_resolver(FixedServerNameResolver::new(ServerName::try_from(name.clone())?))
                .enable_http1()
                .build(),
            None => builder.enable_http1().build(),
        };
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Server { client, base: base.trim_end_matches('/').to_owned(), authorization })
    }

    /// One request with an optional JSON body.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let kind = body.map(|_| "application/json".to_owned());
        self.send(method, path, kind, bytes).await
    }

    /// One file as a form.
    pub(super) async fn upload(&self, path: &str, file: &str, content: &str) -> Result<Answer, String> {
        let boundary = "sightline-setup-boundary-5f1c7f0e";
        let body = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{file}\"\r\n\
             content-type: application/ndjson\r\n\r\n{content}\r\n--{boundary}--\r\n"
        );
        let kind = format!("multipart/form-data; boundary={boundary}");
        self.send(Method::POST, path, Some(kind), Bytes::from(body)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: Option<String>,
        body: Bytes,
    ) -> Result<Answer, String> {
        let mut request =
            Request::builder().method(method).uri(format!("{}{path}", self.base)).header("kbn-xsrf", "true");
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| chain(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST_ANSWER)
                .collect()
                .await
                .map_err(|error| error.to_string())?;
            Ok(Answer { status, text: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
        };
        tokio::time::timeout(TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")))
    }
}
