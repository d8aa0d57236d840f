//! The whole integration in one line: `serve` owns the service's life from the environment to the last flush.

use crate::instrument::{Builder, Instrument};
use axum::Router;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Serves `router` as the service of this name, fully instrumented, until the process is told to end (SIGTERM or SIGINT).
/// Then it finishes the requests under way and sends what waits, each within [`Settings::shutdown`](crate::Settings).
///
/// It never fails for want of a collector: it serves at once and connects when there is one.
///
/// ```no_run
/// use axum::{Router, routing::get};
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
///     let app = Router::new().route("/", get(|| async { "hello" }));
///     sightline_instrument::serve("kittenserver", listener, app).await
/// }
/// ```
///
/// # Errors
/// Those of accepting connections.
pub async fn serve(service: &str, listener: TcpListener, router: Router) -> io::Result<()> {
    Instrument::builder(service).serve(listener, router).await
}

impl Builder {
    /// [`serve`] with settings of one's own.
    ///
    /// # Errors
    /// Those of accepting connections.
    pub async fn serve(self, listener: TcpListener, router: Router) -> io::Result<()> {
        self.install().serve(listener, router, ended()).await
    }
}

impl Instrument {
    /// [`serve`](crate::serve) until `ended` is ready, for those who have their own way of ending.
    ///
    /// # Errors
    /// Those of accepting connections.
    pub async fn serve(
        &self,
        listener: TcpListener,
        router: Router,
        ended: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        self.note_runtime();
        self.health().keep_checking();
        self.register_routes(patterns(&router).iter().map(String::as_str));
        if let Ok(address) = listener.local_addr() {
            self.note("info", &format!("serving at {address}"));
        }
        let app = router.layer(self.layer()).into_make_service_with_connect_info::<SocketAddr>();
        let (draining, drained) = tokio::sync::oneshot::channel();
        let health = self.health().clone();
        let server = axum::serve(listener, app).with_graceful_shutdown(async move {
            ended.await;
            health.drain();
            let _ = draining.send(());
        });
        let patience = self.settings().shutdown;
        let too_late = async move {
            // An error means that the server is gone already; then the other branch is ready.
            if drained.await.is_ok() {
                tokio::time::sleep(patience).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let served = tokio::select! {
            served = server => served,
            () = too_late => {
                self.note("warn", "requests were still under way at the deadline; they are given up");
                Ok(())
            }
        };
        self.note("info", "the service ends");
        // Sending waits; it must not hold up a runtime that has but one thread for everything else.
        let (instrument, deadline) = (self.clone(), self.settings().shutdown);
        let _ = tokio::task::spawn_blocking(move || instrument.shutdown(deadline)).await;
        served
    }
}

/// Ready when the process is told to end.
async fn ended() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

/// The route patterns of a router. axum tells them only to whoever debugs, so they are read from there; should that text
/// change, outcomes are registered with a route's first request instead of at the start.
fn patterns(router: &Router) -> Vec<String> {
    let text = format!("{router:?}");
    let mut patterns = Vec::new();
    for (at, _) in text.match_indices("): \"/") {
        let rest = &text[at + 4..];
        if text[..at].ends_with(|c: char| c.is_ascii_digit())
            && let Some(end) = rest.find('"')
            && !rest[..end].contains("__private__")
        {
            patterns.push(rest[..end].to_owned());
        }
    }
    patterns.sort();
    patterns.dedup();
    patterns
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};

    #[test]
    fn a_routers_patterns_are_found() {
        let router: Router = Router::new()
            .route("/helloworld", post(|| async {}))
            .route("/users/{id}", get(|| async {}))
            .route("/", get(|| async {}))
            .nest("/api", Router::new().route("/list", get(|| async {})))
            .fallback(|| async {});
        assert_eq!(patterns(&router), ["/", "/api/list", "/helloworld", "/users/{id}"]);
    }
}
