//! The thread's work that sends spans: OTLP over HTTP, in batches, kept and tried again while the collector is away.

use super::encode::{Encoder, resource};
use super::post::Post;
use super::protobuf::read_varint;
use super::queue::Queue;
use crate::drops::{Lane, Reason};
use crate::pipe::Batch;
use crate::settings::Settings;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const BATCH: usize = 512;
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

pub(crate) struct Exporter {
    queue: Arc<Queue>,
    post: Post,
    encoder: Encoder,
    endpoint: Uri,
    headers: HeaderMap,
    /// Ours, and where in the first batch those begin that were not sent.
    ours: VecDeque<Batch>,
    offset: usize,
    /// Those that the service opened with `tracing`.
    exporter: opentelemetry_otlp::SpanExporter,
    theirs: Vec<SpanData>,
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
        let attributes =
            resource(settings).map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
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
            ours: VecDeque::new(),
            offset: 0,
            exporter,
            theirs: Vec::new(),
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
                Sent::Refused => self.drop(Reason::Refused, n),
                Sent::Later => {
                    self.again = Some(now + self.backoff);
                    self.backoff = (self.backoff * 2).min(BACKOFF.1);
                    self.ours.iter_mut().for_each(|b| b.bytes.shrink_to_fit());
                    return false;
                }
            }
            self.again = None;
            self.backoff = BACKOFF.0;
            if self.ours.is_empty() {
                self.theirs.drain(..n);
            } else {
                self.forget(n);
            }
            self.queue.ours.settle(n);
        }
        true
    }

    fn drop(&self, reason: Reason, n: usize) {
        self.queue.ours.drops().add(Lane::Spans, reason, n as u64);
    }

    fn take(&mut self) {
        let ours = &mut self.ours;
        self.queue.ours.take(|batch| ours.push_back(batch));
        self.queue.take_theirs(&mut self.theirs);
    }

    fn left(&self) -> usize {
        self.ours.iter().map(|b| b.items as usize).sum::<usize>() + self.theirs.len()
    }

    /// The bytes of the next spans of ours, and how many they are.
    fn next(&self) -> (usize, Vec<&[u8]>) {
        let (mut n, mut parts, mut from) = (0, Vec::new(), self.offset);
        for batch in &self.ours {
            let bytes = &batch.bytes[from..];
            from = 0;
            let some = (batch.items as usize).min(BATCH - n);
            n += some;
            if some < batch.items as usize {
                parts.push(&bytes[..length(bytes, some)]);
                break;
            }
            parts.push(bytes);
        }
        (n, parts)
    }

    /// The first `n` of ours have left.
    fn forget(&mut self, mut n: usize) {
        while let Some(batch) = self.ours.front_mut() {
            if n < batch.items as usize {
                batch.items -= n as u64;
                self.offset += length(&batch.bytes[self.offset..], n);
                return;
            }
            n -= batch.items as usize;
            self.offset = 0;
            if let Some(batch) = self.ours.pop_front() {
                self.queue.ours.recycle(batch);
            }
        }
    }

    /// Sends the next batch, ours before theirs; how many that were.
    fn send(&mut self) -> (usize, Sent) {
        let (n, sent) = if self.ours.is_empty() {
            let n = self.theirs.len().min(BATCH);
            let sent = now_or_never(self.exporter.export(self.theirs[..n].to_vec()));
            (n, sent.is_some_and(|s| s.is_ok()))
        } else {
            let (n, parts) = self.next();
            let mut request = Request::new(Bytes::from(self.encoder.export(&parts)));
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
        (self.ours, self.offset, self.theirs) = Default::default();
        self.drop(Reason::Shutdown, n);
        self.queue.ours.settle(n);
    }
}

/// Of the first `n` spans.
fn length(spans: &[u8], n: usize) -> usize {
    let mut rest = spans;
    for _ in 0..n {
        // A tag of one byte, the length, the span.
        rest = rest.get(1..).unwrap_or_default();
        let span = read_varint(&mut rest).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        rest = rest.get(span..).unwrap_or_default();
    }
    spans.len() - rest.len()
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
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

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
            queue.push(&[0x12, 2, 0x2a, 0]);
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
            queue.push(&[0x12, 2, 0x2a, 0]);
        }
        assert!(exporter.export(now));
        let ((first, again), _) = busy.join().unwrap();
        assert_eq!(first, again, "the same batch");
        assert_eq!(drops.all().collect::<Vec<_>>(), [("spans", "buffer_full", 15), ("spans", "refused", 3)]);
    }

    #[test]
    fn batches_end_between_spans() {
        let queue = Arc::new(Queue::new(10_000, true, Arc::default()));
        let mut exporter =
            Exporter::new(&Settings::new("svc"), "http://127.0.0.1:1/", queue.clone()).unwrap();
        // Of two lengths, the longer with a length of two bytes.
        let long = [&[0x12, 0x82, 0x01, 0x2a, 0x7f][..], &[b'x'; 127], &[0x30][..]].concat();
        let long = &long[..3 + 130];
        for round in 0..2 {
            for n in 0..300 {
                queue.push(if (n + round) % 2 == 0 { &[0x12, 2, 0x2a, 0] } else { long });
            }
            exporter.take();
        }
        let (n, parts) = exporter.next();
        assert_eq!((n, parts.len()), (BATCH, 2));
        assert_eq!(parts.concat().len(), 256 * 4 + 256 * long.len());
        exporter.forget(n);
        let (n, parts) = exporter.next();
        assert_eq!((n, parts.concat().len()), (88, 44 * 4 + 44 * long.len()));
        exporter.forget(n);
        assert_eq!(exporter.left(), 0);
        assert_eq!(exporter.offset, 0);
    }
}
