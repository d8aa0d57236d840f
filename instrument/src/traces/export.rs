//! The thread's work that sends spans: OTLP over HTTP, in batches, kept and tried again while the collector is away.

use super::convert::span_data;
use super::post::Post;
use super::queue::{Item, Queue};
use crate::drops::{Lane, Reason};
use crate::settings::Settings;
use opentelemetry::InstrumentationScope;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const BATCH: usize = 512;
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

pub(crate) struct Exporter {
    queue: Arc<Queue>,
    exporter: opentelemetry_otlp::SpanExporter,
    post: Post,
    service: String,
    scope: InstrumentationScope,
    backlog: Vec<Item>,
    again: Option<Instant>,
    backoff: Duration,
}

impl Exporter {
    /// An error is one of the settings, in words.
    pub(crate) fn new(settings: &Settings, endpoint: &str, queue: Arc<Queue>) -> Result<Self, String> {
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
        exporter.set_resource(
            &Resource::builder_empty()
                .with_attributes([
                    KeyValue::new("service.name", settings.service.clone()),
                    KeyValue::new("service.version", settings.version.clone()),
                    KeyValue::new("deployment.environment.name", settings.environment.clone()),
                    KeyValue::new("host.name", settings.host.clone()),
                ])
                .build(),
        );
        Ok(Exporter {
            queue,
            exporter,
            post,
            service: settings.service.clone(),
            scope: InstrumentationScope::builder("sightline-instrument")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
            backlog: Vec::new(),
            again: None,
            backoff: BACKOFF.0,
        })
    }

    /// Sends what can be sent now. True when nothing is left.
    pub(crate) fn export(&mut self, now: Instant) -> bool {
        self.backlog.append(&mut self.queue.take());
        if self.again.is_some_and(|at| now < at) {
            return self.backlog.is_empty();
        }
        while !self.backlog.is_empty() {
            let n = self.backlog.len().min(BATCH);
            match self.send(n) {
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
            self.backlog.drain(..n);
            self.queue.settle(n);
        }
        true
    }

    fn send(&self, n: usize) -> Sent {
        let batch =
            self.backlog[..n].iter().map(|item| span_data(item, &self.service, &self.scope)).collect();
        match now_or_never(self.exporter.export(batch)) {
            Some(Ok(())) => Sent::Done,
            _ => match self.post.status.load(Ordering::Relaxed) {
                // No answer, too busy, or away: the same batch may do later.
                0 | 429 | 502 | 503 | 504 => Sent::Later,
                _ => Sent::Refused,
            },
        }
    }

    /// Counts what is left as lost to the shutdown.
    pub(crate) fn give_up(&mut self) {
        self.backlog.append(&mut self.queue.take());
        let n = std::mem::take(&mut self.backlog).len();
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
        Item::Ours(Box::new(SpanRecord {
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
        }))
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
