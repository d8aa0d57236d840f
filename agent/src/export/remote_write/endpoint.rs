//! One endpoint: sends its batches one after the other, so that no series ever goes backwards in time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;

use super::backlog::Backlog;
use super::batch::Batch;
use super::events::{Books, Dropped};
use super::judge::{Answer, judge};
use super::{Protocol, Settings, StartError};
use crate::export::http::{Client, Settings as Connection};
use crate::export::pump::backoff::Backoff;

/// How often one batch is cut in two. Enough to find a few bad series among thousands; when that many are bad,
/// what is left of the batch is given up instead of asking for each series by itself.
pub(super) const CUTS: usize = 100;

/// Sends to one endpoint.
pub(super) struct Endpoint {
    pub(super) name: String,
    client: Client,
    headers: HeaderMap,
    username: String,
    password_file: std::path::PathBuf,
    token_file: std::path::PathBuf,
    protocol: Protocol,
    backoff: Backoff,
    pub(super) backlog: Arc<Backlog>,
    pub(super) books: Arc<Books>,
    failing: bool,
}

impl Endpoint {
    /// Checks the settings; connects to nothing.
    pub(super) fn new(settings: &Settings) -> Result<Self, StartError> {
        let wrong = |reason: String| StartError { url: settings.url.clone(), reason };
        let client = Client::new(&Connection {
            urls: vec![settings.url.clone()],
            auth: settings.auth.clone(),
            tls: settings.tls.clone(),
            gzip: false,
            timeout: settings.timeout.0,
        })
        .map_err(|error| wrong(error.to_string()))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        for (name, value) in &settings.headers {
            let header =
                HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok());
            let (name, value) =
                header.ok_or_else(|| wrong(format!("'{name}' is not a header that can be sent")))?;
            headers.insert(name, value);
        }
        let name = if settings.name.is_empty() { host(&settings.url) } else { settings.name.clone() };
        Ok(Endpoint {
            backlog: Arc::new(Backlog::new(settings.buffer.as_usize())),
            books: Arc::new(Books::new(&name)),
            name,
            client,
            headers,
            username: settings.auth.username.clone(),
            password_file: settings.password_file.clone(),
            token_file: settings.token_file.clone(),
            protocol: settings.protocol,
            backoff: Backoff { base: settings.min_backoff.0, max: settings.max_backoff.0 },
            failing: false,
        })
    }

    /// Sends until it is told to stop and nothing is left.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            match self.backlog.pop() {
                Some(batch) => self.deliver(batch).await,
                None if *stop.borrow() => break,
                None => tokio::select! {
                    () = self.backlog.appended() => {}
                    // An error means that the handle is gone, which is a stop too.
                    _ = stop.wait_for(|stop| *stop) => {}
                },
            }
        }
    }

    /// Sends one batch for as long as that takes.
    async fn deliver(&mut self, batch: Batch) {
        let mut parts = vec![batch];
        let mut cuts = CUTS;
        while let Some(part) = parts.pop() {
            let mut wire = part.wire(self.protocol);
            if part.samples() == wire.left_out {
                self.books.lose(Dropped::Protocol, wire.left_out);
                continue;
            }
            let mut attempt = 0;
            loop {
                let (answer, reason) = self.send(&wire.body, attempt > 0).await;
                match answer {
                    Answer::Taken => {
                        self.note(None);
                        self.books.lose(Dropped::Protocol, wire.left_out);
                        self.books.send(part.samples() - wire.left_out, now_ms());
                    }
                    Answer::Older => {
                        tracing::info!(endpoint = self.name, "the endpoint speaks remote write 1.0");
                        self.protocol = Protocol::V1;
                        wire = part.wire(self.protocol);
                        continue;
                    }
                    Answer::Later(after) => {
                        attempt += 1;
                        self.note(Some(&reason));
                        tokio::time::sleep(self.backoff.pause(attempt, after, fastrand::f64())).await;
                        continue;
                    }
                    Answer::Objection if cuts > 0 && part.samples() > 1 => {
                        cuts -= 1;
                        if let Some((first, second)) = part.split() {
                            parts.push(second);
                            parts.push(first);
                        }
                    }
                    Answer::Objection | Answer::Refused => {
                        let (samples, first) = (part.samples(), part.first_series());
                        self.books.reject(samples);
                        tracing::error!(
                            endpoint = self.name,
                            reason,
                            samples,
                            first,
                            "samples refused for good"
                        );
                    }
                }
                break;
            }
        }
    }

    /// One request: what its answer means, and what it said.
    async fn send(&self, body: &[u8], is_retry: bool) -> (Answer, String) {
        self.books.request(is_retry);
        let newer = self.protocol != Protocol::V1;
        let content_type = if newer {
            "application/x-protobuf;proto=io.prometheus.write.v2.Request"
        } else {
            "application/x-protobuf"
        };
        let mut headers = self.headers.clone();
        let version = if newer { "2.0.0" } else { "0.1.0" };
        headers.insert("x-prometheus-remote-write-version", HeaderValue::from_static(version));
        match self.authorization() {
            Ok(Some(value)) => drop(headers.insert(AUTHORIZATION, value)),
            Ok(None) => {}
            Err(reason) => return (Answer::Later(None), reason),
        }
        match self.client.post_with("", content_type, &headers, Bytes::copy_from_slice(body)).await {
            Ok(reply) => {
                let fallback = self.protocol == Protocol::Auto;
                let answer = judge(self.protocol, fallback, reply.status, &reply.headers, reply.retry_after);
                (answer, reply.reason())
            }
            Err(error) => (Answer::Later(None), error.to_string()),
        }
    }

    /// Credentials that stand in files, as they are now.
    fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let read = |path: &Path| {
            let text =
                std::fs::read_to_string(path).map_err(|e| format!("credentials: {}: {e}", path.display()));
            text.map(|text| text.trim().to_owned())
        };
        let text = if !self.token_file.as_os_str().is_empty() {
            format!("Bearer {}", read(&self.token_file)?)
        } else if !self.password_file.as_os_str().is_empty() {
            format!("Basic {}", BASE64.encode(format!("{}:{}", self.username, read(&self.password_file)?)))
        } else {
            return Ok(None);
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| "credentials: they hold characters that a header cannot".to_owned())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Says once that sending fails, and once that it works again.
    fn note(&mut self, failure: Option<&str>) {
        match failure {
            Some(reason) if !self.failing => {
                tracing::warn!(endpoint = self.name, reason, "remote write fails, samples wait in memory");
            }
            None if self.failing => tracing::info!(endpoint = self.name, "remote write works again"),
            _ => {}
        }
        self.failing = failure.is_some();
    }
}

fn host(url: &str) -> String {
    let uri: Option<http::Uri> = url.parse().ok();
    let authority = uri.as_ref().and_then(|uri| uri.authority());
    authority.map_or_else(|| url.to_owned(), |a| a.as_str().rsplit('@').next().unwrap_or_default().to_owned())
}

/// Milliseconds since the epoch.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
