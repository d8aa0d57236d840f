//! Accepts connections and has their requests answered, until it is told to end.
//!
//! It does what axum's own `serve` does, and spares each request what that one does to fit any service: a box for the answer's
//! body, a copy of the service, a map of extensions that grows, a look at whether it is to end.

use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tower_service::Service;

/// How long to wait when there are no more file descriptors, say.
const EXHAUSTED: Duration = Duration::from_secs(1);

/// Serves `app` until `ended` is ready and the requests under way then are answered.
pub(crate) async fn serve<S, B>(listener: TcpListener, app: S, ended: impl Future<Output = ()>)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let end = Arc::new(End::default());
    // Each connection holds the sender until it is closed.
    let (open, mut closed) = mpsc::channel::<()>(1);
    let mut ended = pin!(ended);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ended => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (app, end, open) = (app.clone(), end.clone(), open.clone());
                tokio::spawn(async move {
                    connection(stream, peer, app, &end).await;
                    drop(open);
                });
            }
            // That one client went away before it was here.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "connections cannot be accepted");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
    drop((listener, open));
    end.begin();
    // Nothing is ever sent: this is the end of the last sender.
    closed.recv().await;
}

/// Whether connections are to end, and who tells those that are idle.
#[derive(Debug, Default)]
struct End {
    begun: AtomicBool,
    told: Notify,
}

impl End {
    fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
        self.told.notify_waiters();
    }
}

/// An error of a connection is its client's doing: the request that it broke off says so in its record.
async fn connection<S, B>(stream: TcpStream, peer: SocketAddr, app: S, end: &End)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let builder = Builder::new(TokioExecutor::new());
    let answering = Answering { app: RefCell::new(app), peer, extensions: extensions(peer) };
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(Joining(TokioIo::new(stream)), answering));
    let mut told = pin!(end.told.notified());
    let (mut waits, mut ends) = (false, false);
    let _ = poll_fn(|cx| {
        // Asked once, it wakes this task when the time has come; from then on the flag tells, which is a read.
        if !waits {
            waits = true;
            let _ = told.as_mut().poll(cx);
        }
        if !ends && end.begun.load(Ordering::SeqCst) {
            ends = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    })
    .await;
}

/// Answers the requests of one connection.
struct Answering<S> {
    /// hyper calls for one request after the other, by a shared reference.
    app: RefCell<S>,
    peer: SocketAddr,
    /// What each request carries.
    extensions: Extensions,
}

/// The peer's address as axum's `ConnectInfo`, in a map that has room for what axum will put into it: a copy of this one costs
/// less than a map that grows.
fn extensions(peer: SocketAddr) -> Extensions {
    #[derive(Clone)]
    struct Room<const N: usize>;
    let mut all = Extensions::new();
    all.insert(ConnectInfo(peer));
    all.insert(Room::<1>);
    all.insert(Room::<2>);
    all.insert(Room::<3>);
    all.remove::<Room<1>>();
    all.remove::<Room<2>>();
    all.remove::<Room<3>>();
    all
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Answering<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> S::Future {
        let (mut head, body) = request.into_parts();
        if head.extensions.is_empty() {
            head.extensions = self.extensions.clone();
        } else {
            head.extensions.insert(ConnectInfo(self.peer));
        }
        // Most requests have no body, and an empty one takes no box.
        let body = if body.is_end_stream() { Body::empty() } else { Body::new(body) };
        self.app.borrow_mut().call(Request::from_parts(head, body))
    }
}

/// Sends what is short in one piece: the kernel takes a head and a body as two pieces at a greater cost than that of copying them.
struct Joining(TokioIo<TcpStream>);

/// What is short.
const SHORT: usize = 2_048;

impl Read for Joining {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Joining {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = pieces.iter().map(|p| p.len()).sum();
        if length > SHORT || pieces.len() < 2 {
            return Pin::new(&mut self.0).poll_write_vectored(cx, pieces);
        }
        let (mut whole, mut at) = ([0; SHORT], 0);
        for piece in pieces {
            whole[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        Pin::new(&mut self.0).poll_write(cx, &whole[..length])
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    /// A running service, and what ends it.
    async fn running(app: Router) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let ended = async move { drop(ended.await) };
        (address, end, tokio::spawn(serve(listener, app, ended)))
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_of_any_length_arrive_whole_and_handlers_know_the_peer() {
        let app = Router::new()
            .route(
                "/peer",
                get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }),
            )
            .route("/echo", post(|body: String| async move { body }));
        let (address, _end, _) = running(app).await;
        let answer = ask(address, "GET /peer HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n127.0.0.1"), "{answer}");
        // On both sides of what is sent in one piece.
        for length in [1, 1_900, 1_950, 2_048, 5_000, 300_000] {
            let body = "x".repeat(length);
            let head = format!(
                "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            let answer = ask(address, &(head + &body)).await;
            assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, body);
        }
    }

    #[tokio::test]
    async fn at_the_end_idle_connections_close_and_requests_under_way_are_answered() {
        let (started, start) = oneshot::channel::<()>();
        let (go_on, gate) = oneshot::channel::<()>();
        let once = std::sync::Mutex::new(Some((started, gate)));
        let once = Arc::new(once);
        let app = Router::new().route("/idle", get(|| async { "" })).route(
            "/slow",
            get(move || {
                let (started, gate) = once.lock().unwrap().take().unwrap();
                async move {
                    started.send(()).unwrap();
                    gate.await.unwrap();
                    "done"
                }
            }),
        );
        let (address, end, served) = running(app).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /idle HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut head = [0; 16];
        idle.read_exact(&mut head).await.unwrap();
        let slow = tokio::spawn(async move { ask(address, "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await });
        start.await.unwrap();
        end.send(()).unwrap();
        // Ends, since the service closes it.
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(30), idle.read_to_end(&mut rest)).await;
        closed.expect("the idle connection stays open").unwrap();
        assert!(!served.is_finished());
        go_on.send(()).unwrap();
        assert!(slow.await.unwrap().ends_with("done"));
        served.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}
