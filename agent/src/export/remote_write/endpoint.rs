//! One endpoint as an exporter: each record of its queue is one request's worth of samples, sent in order.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::batch::Batch;
use super::events::{Books, Dropped};
use super::judge::{Answer, is_repeat, judge};
use super::{Protocol, Settings, StartError};
use crate::export::http::{Client, Settings as Connection};
use crate::export::{Entry, Exporter, Verdict};

/// How often one record is cut in two. Enough to find a few bad series among thousands; when that many are bad,
/// what is left of it is given up instead of asking for each series by itself.
pub(super) const CUTS: usize = 100;

/// Sends to one endpoint.
pub(super) struct Endpoint {
    pub(super) name: String,
    /// What its queue and its exporter are called.
    pub(super) lane: &'static str,
    client: Client,
    headers: HeaderMap,
    username: String,
    password_file: std::path::PathBuf,
    token_file: std::path::PathBuf,
    protocol: Protocol,
    /// It has turned out to know 1.0 only.
    older: AtomicBool,
    pub(super) books: Arc<Books>,
    /// Records before this were there when the process began: an earlier one may have sent them.
    pub(super) fresh_from: u64,
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
            books: Arc::new(Books::new(&name)),
            lane: lane(&name),
            name,
            client,
            headers,
            username: settings.auth.username.clone(),
            password_file: settings.password_file.clone(),
            token_file: settings.token_file.clone(),
            protocol: settings.protocol,
            older: AtomicBool::new(false),
            fresh_from: 0,
        })
    }

    fn protocol(&self) -> Protocol {
        if self.older.load(Relaxed) { Protocol::V1 } else { self.protocol }
    }

    /// Sends one record, in parts where the endpoint objects to it. Parts that arrived are sent again with the others
    /// if one of them has to be tried later: the same sample twice is one to every receiver.
    async fn deliver(&self, entry: &Entry) -> Verdict {
        let Some(batch) = Batch::read(&entry.payload) else {
            return Verdict::Reject { reason: "other: no record of remote write".to_owned() };
        };
        let (mut sent, mut rejected, mut left_out) = (0, 0, 0);
        let mut objection = String::new();
        let mut parts = vec![batch];
        let mut cuts = CUTS;
        while let Some(part) = parts.pop() {
            let protocol = self.protocol();
            let wire = part.wire(protocol);
            if part.samples() == wire.left_out {
                left_out += wire.left_out;
                continue;
            }
            let (answer, reason) = self.send(protocol, wire.body).await;
            match answer {
                Answer::Taken => {
                    left_out += wire.left_out;
                    sent += part.samples() - wire.left_out;
                }
                Answer::Older => {
                    tracing::info!(endpoint = self.name, "the endpoint speaks remote write 1.0");
                    self.older.store(true, Relaxed);
                    parts.push(part);
                }
                Answer::Later(after) => return Verdict::Retry { after, reason },
                // It has them, from a process that ended before it could note so.
                Answer::Objection if entry.seq < self.fresh_from && is_repeat(&reason) => {
                    sent += part.samples()
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
                    tracing::error!(endpoint = self.name, reason, samples, first, "samples refused for good");
                    rejected += samples;
                    objection = reason;
                }
            }
        }
        self.books.lose(Dropped::Protocol, left_out);
        self.books.reject(rejected);
        if sent > 0 {
            self.books.send(sent, now_ms());
        }
        if rejected > 0 && sent == 0 { Verdict::Reject { reason: objection } } else { Verdict::Done }
    }

    /// One request: what its answer means, and what it said.
    async fn send(&self, protocol: Protocol, body: Vec<u8>) -> (Answer, String) {
        self.books.request();
        let newer = protocol != Protocol::V1;
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
        match self.client.post_with("", content_type, &headers, Bytes::from(body)).await {
            Ok(reply) => {
                let fallback = protocol == Protocol::Auto;
                let answer = judge(protocol, fallback, reply.status, &reply.headers, reply.retry_after);
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
}

impl Exporter for Endpoint {
    const IN_ORDER: bool = true;

    fn name(&self) -> &'static str {
        self.lane
    }

    async fn export(&self, batch: &[Entry]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(batch.len());
        for entry in batch {
            let verdict = self.deliver(entry).await;
            if matches!(verdict, Verdict::Retry { .. }) {
                // What comes after it must not overtake it.
                verdicts.resize(batch.len(), verdict);
                break;
            }
            verdicts.push(verdict);
        }
        verdicts
    }
}

/// The name of an endpoint as one of a lane, which is also that of a folder.
fn lane(name: &str) -> &'static str {
    let safe = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    // Lanes live as long as the process, and there are as many as the configuration names.
    Box::leak(format!("remote_write-{name}").into_boxed_str())
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
