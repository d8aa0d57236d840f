//! The HTTP client of the exporters: several nodes with failover, TLS, a deadline for each call and a cap on replies.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::{Entry, Verdict};

mod settings;
mod tls;

#[cfg(test)]
mod tests;

pub use settings::{Auth, Settings, Tls};

/// A node that did not answer is passed over this long, doubled from failure to failure.
const REST: Duration = Duration::from_secs(1);
const MAX_REST: Duration = Duration::from_secs(30);
/// The largest answer that is read; a full one of `_bulk` has about 600 bytes for a refused record.
const MAX_REPLY: usize = 16 << 20;
/// How much of an answer goes into a reason.
const EXCERPT: usize = 300;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("'{0}' is not an http or https address")]
    Url(String),
    #[error("no address is set")]
    NoUrl,
    #[error("cannot read {path}: {reason}")]
    File { path: String, reason: String },
    #[error("the credentials hold characters that a header cannot")]
    Credentials,
}

/// A client of one back end.
#[derive(Debug)]
pub struct Client {
    hyper: Hyper<HttpsConnector<HttpConnector>, Full<Bytes>>,
    nodes: Vec<Node>,
    next: AtomicUsize,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    gzip: bool,
    started: Instant,
}

#[derive(Debug)]
struct Node {
    url: String,
    /// Milliseconds after `started` until which it is passed over.
    resting: AtomicU64,
    failures: AtomicU64,
}

/// What a back end answered.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    /// What it asked to wait.
    pub retry_after: Option<Duration>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// No answer, or none that can be used. The first word is the label of metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("connect: {0}")]
    Connect(String),
    #[error("timeout: no whole answer within {0:?}")]
    Timeout(Duration),
    #[error("closed: {0}")]
    Closed(String),
    #[error("reply: larger than {0} bytes")]
    TooLarge(usize),
}

impl Client {
    /// Checks the settings; connects to nothing.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let nodes = settings
            .urls
            .iter()
            .map(|url| {
                let good = url.parse::<Uri>().is_ok_and(|uri| {
                    matches!(uri.scheme_str(), Some("http" | "https"))
                        && uri.host().is_some()
                        && uri.query().is_none()
                });
                let node = Node {
                    url: url.trim_end_matches('/').to_owned(),
                    resting: AtomicU64::new(0),
                    failures: AtomicU64::new(0),
                };
                good.then_some(node).ok_or_else(|| SettingsError::Url(url.clone()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(SettingsError::NoUrl);
        }
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(settings.timeout.min(Duration::from_secs(10))));
        connector.set_keepalive(Some(Duration::from_secs(60)));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(&settings.tls)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let hyper = Hyper::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Ok(Client {
            hyper,
            nodes,
            next: AtomicUsize::new(0),
            authorization: settings.auth.header()?,
            timeout: settings.timeout,
            gzip: settings.gzip,
            started: Instant::now(),
        })
    }

    /// Whether bodies are to be compressed by whoever makes them.
    pub fn gzip(&self) -> bool {
        self.gzip
    }

    /// Posts `body` to `path` of a node that answers. A node that cannot be reached is passed over at once; after
    /// a timeout or a lost connection nobody knows what was done, so the caller decides.
    pub async fn post(
        &self,
        path: &str,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Reply, CallError> {
        self.post_with(path, content_type, &HeaderMap::new(), body).await
    }

    /// As [`Client::post`], with further headers that win over the client's own.
    pub async fn post_with(
        &self,
        path: &str,
        content_type: &'static str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Reply, CallError> {
        self.send(|node| self.request(node, path, content_type, headers, body.clone())).await
    }

    /// Asks `path` of a node that answers, as [`Client::post`] does.
    pub async fn get(&self, path: &str) -> Result<Reply, CallError> {
        self.send(|node| {
            let mut request =
                self.request(node, path, "application/json", &HeaderMap::new(), Bytes::new())?;
            *request.method_mut() = http::Method::GET;
            for name in [CONTENT_TYPE, CONTENT_ENCODING] {
                request.headers_mut().remove(name);
            }
            Ok(request)
        })
        .await
    }

    async fn send(
        &self,
        make: impl Fn(&Node) -> Result<Request<Full<Bytes>>, CallError>,
    ) -> Result<Reply, CallError> {
        let mut last = CallError::Connect("no node".into());
        for node in self.order() {
            let result = self.call(make(node)?).await;
            self.note(node, &result);
            match result {
                Err(CallError::Connect(reason)) => last = CallError::Connect(reason),
                // The node says of itself that it cannot; another may.
                Ok(reply) if self.nodes.len() > 1 && is_gateway(reply.status) => {
                    last = CallError::Connect(format!("{} from {}", reply.status.as_u16(), node.url));
                }
                other => return other,
            }
        }
        Err(last)
    }

    /// Nodes to try: each in turn is first, those that rest come last.
    fn order(&self) -> impl Iterator<Item = &Node> {
        let (count, first) = (self.nodes.len(), self.next.fetch_add(1, Relaxed));
        let now = self.started.elapsed().as_millis() as u64;
        let mut nodes: Vec<&Node> = (0..count).map(|n| &self.nodes[(first + n) % count]).collect();
        nodes.sort_by_key(|node| node.resting.load(Relaxed) > now);
        nodes.into_iter()
    }

    fn note(&self, node: &Node, result: &Result<Reply, CallError>) {
        let failed = match result {
            Ok(reply) => is_gateway(reply.status),
            Err(error) => !matches!(error, CallError::TooLarge(_)),
        };
        if !failed {
            node.failures.store(0, Relaxed);
            node.resting.store(0, Relaxed);
            return;
        }
        let failures = node.failures.fetch_add(1, Relaxed).min(10) as u32;
        let rest = (REST * 2u32.pow(failures)).min(MAX_REST);
        node.resting.store((self.started.elapsed() + rest).as_millis() as u64, Relaxed);
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> Result<Reply, CallError> {
        tokio::time::timeout(self.timeout, self.exchange(request))
            .await
            .unwrap_or(Err(CallError::Timeout(self.timeout)))
    }

    fn request(
        &self,
        node: &Node,
        path: &str,
        content_type: &'static str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, CallError> {
        let mut request = Request::post(format!("{}{path}", node.url))
            .header(CONTENT_TYPE, content_type)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("sightline/", env!("CARGO_PKG_VERSION")));
        if self.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut request =
            request.body(Full::new(body)).map_err(|error| CallError::Connect(error.to_string()))?;
        // `user:password@` in an address is for us, not for the Host header.
        let host =
            request.uri().authority().map(|a| a.as_str().rsplit('@').next().unwrap_or_default().to_owned());
        if let Some(host) = host.and_then(|host| HeaderValue::from_str(&host).ok()) {
            request.headers_mut().insert(HOST, host);
        }
        for (name, value) in headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, CallError> {
        let response = self.hyper.request(request).await.map_err(|error| {
            let reason = chain(&error);
            if error.is_connect() { CallError::Connect(reason) } else { CallError::Closed(reason) }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_REPLY).collect().await.map_err(|error| {
            match error.downcast_ref::<http_body_util::LengthLimitError>() {
                Some(_) => CallError::TooLarge(MAX_REPLY),
                None => CallError::Closed(error.to_string()),
            }
        })?;
        let retry_after = retry_after(&head.headers, SystemTime::now());
        Ok(Reply { status: head.status, retry_after, headers: head.headers, body: body.to_bytes() })
    }
}

impl Reply {
    /// `503 the first words of the answer`, for a person.
    pub fn reason(&self) -> String {
        // Elasticsearch's answer is longer than what it says.
        let said = serde_json::from_slice::<serde_json::Value>(&self.body).ok().and_then(|answer| {
            let error = &answer["error"];
            Some(format!("{}: {}", error["type"].as_str()?, error["reason"].as_str()?))
        });
        let text = said.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned());
        let text: String = text.chars().take(EXCERPT).collect();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{} {text}", self.status.as_u16()).trim_end().to_owned()
    }

    /// Whether the same request may succeed later. What is wrong with the address or the credentials is in the
    /// configuration, not in the records, so it is not their end either.
    pub fn is_retryable(&self) -> bool {
        !matches!(self.status.as_u16(), 200..300 | 400 | 413 | 422)
    }
}

impl CallError {
    /// The same verdict for every record of `batch`.
    pub fn verdicts(&self, batch: &[Entry]) -> Vec<Verdict> {
        retry_all(batch, None, &self.to_string())
    }
}

/// Every record of `batch` is to be tried again.
pub fn retry_all(batch: &[Entry], after: Option<Duration>, reason: &str) -> Vec<Verdict> {
    batch.iter().map(|_| Verdict::Retry { after, reason: reason.to_owned() }).collect()
}

fn is_gateway(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

/// An error with its causes: hyper's own text alone says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let format = &time::format_description::well_known::Rfc2822;
    let at = time::OffsetDateTime::parse(&text.replace("GMT", "+0000"), format).ok()?;
    SystemTime::from(at).duration_since(now).ok()
}
