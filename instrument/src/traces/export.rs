//! The thread's work that sends spans: OTLP over HTTP, in batches, kept and tried again while the collector is away.

use super::encode::Encoder;
use super::post::Post;
use super::queue::{Item, Queue};
use super::span::SpanRecord;
use crate::drops::{Lane, Reason};
use crate::settings::Settings;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const BATCH: usize = 512;
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The name of what makes our spans.
pub(crate) const SCOPE: &str = "sightline-instrument";

/// Who sends, as OpenTelemetry's resource has it.
pub(crate) fn resource(settings: &Settings) -> [(&'static str, &str); 4] {
    [
        ("service.name", settings.service.as_str()),
        ("service.version", settings.version.as_str()),
        ("deployment.environment.name", settings.environment.as_str()),
        ("host.name", settings.host.as_str()),
    ]
}

pub(crate) struct Exporter {
    queue: Arc<Queue>,
    post: Post,
    /// Our own spans, most of all, are written by hand: they cost a tenth of what they would by the SDK's structures.
    encoder: Encoder,
    endpoint: Uri,
    headers: HeaderMap,
    ours: Vec<SpanRecord>,
    /// Those that the service opened with `tracing`.
    exporter: opentelemetry_otlp::SpanExporter,
    theirs: Vec<SpanData>,
    items: Vec<Item>,
    again: Option<Instant>,
    backoff: Duration,
}

impl Exporter {
    /// An error is one of the settings, in words.
    pub(crate) fn new(settings: &Settings, endpoint: &str, queue: Arc<Queue>) -> Result<Self, String> {
        #[cfg(feature = "tls")]
        let post = match endpoint.starts_with("https://") {
            true => Post::with(super::tls::Tls::new(settings.otlp_certificate.as_deref())?),
            false => Post::default(),
        };
        #[cfg(not(feature = "tls"))]
        let post = Post::default();
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(post.clone())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .with_headers(settings.otlp_headers.iter().cloned().collect())
            // Batches are kept here and tried again, between other work; the exporter's own retries would sleep.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|e| e.to_string())?;
        let attributes = resource(settings).map(|(key, value)| KeyValue::new(key, value.to_owned()));
        exporter.set_resource(&Resource::builder_empty().with_attributes(attributes).build());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        for (name, value) in &settings.otlp_headers {
            let name = HeaderName::try_from(name).map_err(|e| format!("the header {name}: {e}"))?;
            headers.insert(name, HeaderValue::try_from(value).map_err(|e| e.to_string())?);
        }
        Ok(Exporter {
            queue,
            post,
            encoder: Encoder::new(settings),
            endpoint: endpoint.parse().map_err(|e: http::uri::InvalidUri| e.to_string())?,
            headers,
            ours: Vec::new(),
            exporter,
            theirs: Vec::new(),
            items: Vec::new(),
            again: None,
            backoff: BACKOFF.0,
        })
    }

    /// Sends what can be sent now. True when nothing is left.
    pub(crate) fn export(&mut self, now: Instant) -> bool {
        self.take();
        if self.again.is_some_and(|at| now < at) {
            return self.left() == 0;
        }
        while self.left() > 0 {
            let (n, sent) = self.send();
            match sent {
                Sent::Done => {}
                Sent::Refused => self.queue.drops().add(Lane::Spans, Reason::Refused, n as u64),
                Sent::Later => {
                    self.again = Some(now + self.backoff);
                    self.backoff = (self.backoff * 2).min(BACKOFF.1);
                    return false;
                }
            }
            self.again = None;
            self.backoff = BACKOFF.0;
            if self.ours.is_empty() {
                self.theirs.drain(..n);
            } else {
                self.ours.drain(..n);
            }
            self.queue.settle(n);
        }
        true
    }

    fn take(&mut self) {
        self.queue.take(&mut self.items);
        for item in self.items.drain(..) {
            match item {
                Item::Ours(span) => self.ours.push(span),
                Item::Otel(span) => self.theirs.push(*span),
            }
        }
    }

    fn left(&self) -> usize {
        self.ours.len() + self.theirs.len()
    }

    /// Sends the next batch, ours before theirs; how many that were.
    fn send(&mut self) -> (usize, Sent) {
        let (n, sent) = if self.ours.is_empty() {
            let n = self.theirs.len().min(BATCH);
            let sent = now_or_never(self.exporter.export(self.theirs[..n].to_vec()));
            (n, sent.is_some_and(|s| s.is_ok()))
        } else {
            let n = self.ours.len().min(BATCH);
            let mut request = Request::new(Bytes::from(self.encoder.export(&self.ours[..n])));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = self.endpoint.clone();
            *request.headers_mut() = self.headers.clone();
            (n, self.post.send(&request).is_ok_and(|answer| answer.status().is_success()))
        };
        let sent = match (sent, self.post.status.load(Ordering::Relaxed)) {
            (true, _) => Sent::Done,
            // No answer, too busy, or away: the same batch may do later.
            (false, 0 | 429 | 502 | 503 | 504) => Sent::Later,
            _ => Sent::Refused,
        };
        (n, sent)
    }

    /// Counts what is left as lost to the shutdown.
    pub(crate) fn give_up(&mut self) {
        self.take();
        let n = self.left();
        (self.ours, self.theirs) = Default::default();
        self.queue.drops().add(Lane::Spans, Reason::Shutdown, n as u64);
        self.queue.settle(n);
    }
}

enum Sent {
    Done,
    Refused,
    Later,
}

/// Our client does its work within one poll; a future that still waits after it would wait for ever.
fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drops::Drops;
    use crate::ids::SpanIds;
    use crate::traces::span::{Role, SpanRecord};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    fn item() -> Item {
        Item::Ours(SpanRecord {
            ids: SpanIds { trace_id: 1, span_id: 2, sampled: true },
            parent: 0,
            parent_remote: false,
            role: Role::Client,
            start_ns: 1,
            duration_ns: 1,
            error: None,
            operation: Arc::default(),
            request: None,
            status: 0,
            response_bytes: 0,
            attributes: Vec::new(),
        })
    }

    /// Answers one request with this status and returns the length of its body.
    fn answer(listener: &TcpListener, status: &str) -> usize {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            stream.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        write!(stream.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        body.len()
    }

    #[test]
    fn spans_wait_for_a_collector_in_bounds_and_refusals_are_counted() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        drop(held);
        let drops = Arc::new(Drops::default());
        let queue = Arc::new(Queue::new(10, true, drops.clone()));
        let endpoint = format!("http://{address}/v1/traces");
        let mut exporter = Exporter::new(&Settings::new("svc"), &endpoint, queue.clone()).unwrap();
        let mut now = Instant::now();
        for _ in 0..25 {
            queue.push(item());
        }
        assert!(!exporter.export(now), "nobody listens");
        assert_eq!(drops.all().collect::<Vec<_>>(), [("spans", "buffer_full", 15)]);

        let collector = TcpListener::bind(address).unwrap();
        let busy = std::thread::spawn(move || {
            let sizes = (answer(&collector, "503 Busy"), answer(&collector, "200 OK"));
            (sizes, answer(&collector, "400 Bad"))
        });
        now += Duration::from_secs(6);
        assert!(!exporter.export(now), "too busy");
        now += Duration::from_secs(6);
        assert!(exporter.export(now));
        for _ in 0..3 {
            queue.push(item());
        }
        assert!(exporter.export(now));
        let ((first, again), _) = busy.join().unwrap();
        assert_eq!(first, again, "the same batch");
        assert_eq!(drops.all().collect::<Vec<_>>(), [("spans", "buffer_full", 15), ("spans", "refused", 3)]);
    }
}
