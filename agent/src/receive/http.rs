//! Serves an `axum::Router` at a receiver's door: HTTP/1 and HTTP/2, header deadline, tokens, drain on stop.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use super::access::Access;
use super::events;
use super::listen::{self, Door};
use super::stream::Stream;

/// The peer of a request, as an extension of it.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Serves `router` until `stop` turns true, then finishes the requests that are under way.
pub fn serve(door: Door, router: Router, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let (receiver, access, limits) = (door.receiver, Arc::clone(&door.access), door.limits.clone());
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header.0).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.idle.0 / 3)
        .max_concurrent_streams(128)
        .max_header_list_size(16 * 1024);
    let builder = Arc::new(builder);
    let router = router.fallback(async move |uri: http::Uri| {
        (StatusCode::NOT_FOUND, format!("nothing is received at {} here; this is {receiver}\n", uri.path()))
    });
    listen::serve(door, stop, move |stream, peer, stop| {
        let app = App { receiver, access: Arc::clone(&access), router: router.clone(), peer };
        connection(Arc::clone(&builder), stream, app, stop)
    })
}

#[derive(Clone)]
struct App {
    receiver: &'static str,
    access: Arc<Access>,
    router: Router,
    peer: SocketAddr,
}

impl App {
    async fn answer(self, request: Request<hyper::body::Incoming>) -> Response {
        let given = request.headers().get(header::AUTHORIZATION).map(|v| v.as_bytes());
        let response = if self.access.authorises(given) {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(self.peer));
            match self.router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        } else {
            let realm = [(header::WWW_AUTHENTICATE, "Bearer realm=\"sightline\"")];
            (StatusCode::UNAUTHORIZED, realm, "a valid token is needed in the authorization header\n")
                .into_response()
        };
        events::answered(self.receiver, response.status().as_u16());
        response
    }
}

async fn connection(
    builder: Arc<auto::Builder<TokioExecutor>>,
    stream: Stream,
    app: App,
    mut stop: watch::Receiver<bool>,
) {
    let (receiver, peer) = (app.receiver, app.peer);
    let unanswered = stream.unanswered();
    let service = hyper::service::service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, std::convert::Infallible>(app.answer(request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = listen::stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    match ended {
        Err(error) if waited_in_vain(&*error) => {
            let reason = if unanswered.load(Ordering::Relaxed) { "slow_header" } else { "idle" };
            events::closed(receiver, reason, peer);
        }
        // A peer that hangs up or sends no HTTP is the peer's affair.
        Err(error) => tracing::debug!(receiver, %peer, error, "connection ended"),
        Ok(()) => {}
    }
}

/// Whether a deadline ended a connection: that of a header, or that of an idle stream.
fn waited_in_vain(error: &(dyn Error + 'static)) -> bool {
    let timed_out = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
            || error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
    };
    let mut cause = Some(error);
    while let Some(error) = cause {
        if timed_out(error) {
            return true;
        }
        cause = error.source();
    }
    false
}
