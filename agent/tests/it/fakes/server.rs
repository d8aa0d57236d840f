//! The HTTP side of the fakes: a port, a way to take the port away and bring it back, and the faults that need no
//! knowledge of what is posted.

use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// What goes wrong, and in which share of requests (percent).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The whole request is refused.
    Status(u16, u8),
    /// One item in ten is refused, in this share of the requests.
    Items(u16, u8),
    /// The connection is closed and nothing stored.
    CloseBefore(u8),
    /// All is stored and the connection closed without an answer.
    CloseAfter(u8),
    /// All is stored and no answer ever comes.
    Hang(u8),
    /// The answer takes this many milliseconds.
    Slow(u64),
    /// All is stored, and the answer is something else: too short, too long, or nonsense.
    Lie(Lie, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    HalfTheItems,
    Nonsense,
    Endless,
}

/// What a fake makes of a body; the answer's status and text.
pub(crate) trait Store: Send + Sync + 'static {
    fn take(&self, path: &str, body: &[u8], refuse: Option<u16>) -> (u16, String);
    /// An answer that leaves out half of what it should say.
    fn half(&self, answer: &str) -> String;
}

/// A running fake.
pub(crate) struct Server<S> {
    pub(crate) store: Arc<S>,
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

struct Shared {
    fault: Mutex<Fault>,
    requests: AtomicU64,
    faults: AtomicU64,
}

impl<S: Store> Server<S> {
    pub(crate) async fn start(store: S) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fault = Mutex::new(Fault::None);
        let shared = Arc::new(Shared { fault, requests: 0.into(), faults: 0.into() });
        let mut server = Server { store: Arc::new(store), address, shared, task: None };
        server.listen(listener);
        server
    }

    fn listen(&mut self, listener: TcpListener) {
        let (store, shared) = (self.store.clone(), self.shared.clone());
        self.task = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (store, shared) = (store.clone(), shared.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(store.clone(), shared.clone(), request));
                    // An error is a connection that was closed, by us or by them.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        }));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn misbehave(&self, fault: Fault) {
        *self.shared.fault.lock() = fault;
    }

    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Relaxed)
    }

    /// How often it has misbehaved.
    pub(crate) fn faults(&self) -> u64 {
        self.shared.faults.load(Relaxed)
    }

    /// Nothing listens any more; connections are cut.
    pub(crate) async fn down(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    pub(crate) async fn up(&mut self) {
        for _ in 0..100 {
            match TcpListener::bind(self.address).await {
                Ok(listener) => return self.listen(listener),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("cannot listen on {} again", self.address);
    }
}

impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// The connection is to be closed.
#[derive(Debug, thiserror::Error)]
#[error("closed as told")]
struct Closed;

async fn answer<S: Store>(
    store: Arc<S>,
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let path = request.uri().path().to_owned();
    let gzip = request.headers().get("content-encoding").is_some_and(|v| v == "gzip");
    let Ok(body) = request.into_body().collect().await else { return Err(Closed) };
    let body = if gzip { unzip(&body.to_bytes()) } else { body.to_bytes() };

    let earlier = shared.requests.fetch_add(1, Relaxed);
    let fault = *shared.fault.lock();
    let strikes = |share: u8| {
        // The second request is always struck: a short run must meet its fault, too.
        let strikes = earlier == 1 || fastrand::u8(0..100) < share;
        shared.faults.fetch_add(u64::from(strikes), Relaxed);
        strikes
    };
    match fault {
        Fault::Status(status, share) if strikes(share) => Ok(reply(status, r#"{"error":"as told"}"#.into())),
        Fault::CloseBefore(share) if strikes(share) => Err(Closed),
        Fault::CloseAfter(share) if strikes(share) => {
            store.take(&path, &body, None);
            Err(Closed)
        }
        Fault::Hang(share) if strikes(share) => {
            store.take(&path, &body, None);
            let forever: Infallible = std::future::pending().await;
            match forever {}
        }
        Fault::Slow(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            let (status, text) = store.take(&path, &body, None);
            Ok(reply(status, text))
        }
        Fault::Lie(lie, share) if strikes(share) => {
            let (status, text) = store.take(&path, &body, None);
            let text = match lie {
                Lie::HalfTheItems => store.half(&text),
                Lie::Nonsense => "<html>welcome to our proxy</html>".to_owned(),
                Lie::Endless => " ".repeat(40 << 20),
            };
            Ok(reply(status, text))
        }
        fault => {
            let refuse = match fault {
                Fault::Items(status, share) if strikes(share) => Some(status),
                _ => None,
            };
            let (status, text) = store.take(&path, &body, refuse);
            Ok(reply(status, text))
        }
    }
}

fn reply(status: u16, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
}

fn unzip(body: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain).expect("the body is gzip as its header says");
    plain.into()
}
