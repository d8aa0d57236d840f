//! The whole integration in one line: `serve` owns the service's life from the environment to the last flush.

use crate::http::body::InstrumentBody;
use crate::http::connections;
use crate::http::layer::{InstrumentFuture, InstrumentLayer, Instrumented};
use crate::instrument::{Builder, Instrument};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tower_layer::Layer;
use tower_service::Service;

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
    /// ```no_run
    /// # async fn example(listener: tokio::net::TcpListener, app: axum::Router) -> std::io::Result<()> {
    /// use sightline_instrument::Instrument;
    /// Instrument::builder("kittens").version(env!("CARGO_PKG_VERSION")).serve(listener, app).await
    /// # }
    /// ```
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
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use axum::{Router, routing::get};
    /// use sightline_instrument::testing::Capture;
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let app = Router::new().route("/list", get(|| async { "Felix" }));
    /// let capture = Capture::new("kittens");
    /// capture.service().serve(listener, app, async {}).await?;
    /// assert_eq!(capture.counter("handlers.list.failed"), Some(0));
    /// # Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
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
        if let Ok(address) = listener.local_addr() {
            self.note("info", &format!("serving at {address}"));
        }
        let (draining, drained) = tokio::sync::oneshot::channel();
        let health = self.health().clone();
        let server = connections::serve(listener, self.around(router), async move {
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
        tokio::select! {
            () = server => {}
            () = too_late => {
                self.note("warn", "requests were still under way at the deadline; they are given up");
            }
        }
        self.note("info", "the service ends");
        // Sending waits; it must not hold up a runtime that has but one thread for everything else.
        let (instrument, deadline) = (self.clone(), self.settings().shutdown);
        let _ = tokio::task::spawn_blocking(move || instrument.shutdown(deadline)).await;
        Ok(())
    }
}

impl Instrument {
    /// The router, instrumented. The layer stands outside where it can: within, axum makes a copy of the route, of the layer and of
    /// their futures for each request, which costs more than the layer itself.
    fn around(&self, router: Router) -> Around {
        let patterns = patterns(&router);
        match InstrumentLayer::outside(self, &patterns) {
            Some(layer) if !patterns.is_empty() => Around::Outside(layer.layer(router)),
            _ => Around::Within(router.layer(self.layer())),
        }
    }
}

#[derive(Debug, Clone)]
enum Around {
    Outside(Instrumented<Router>),
    Within(Router),
}

impl Service<Request> for Around {
    type Response = Response<InstrumentBody<Body>>;
    type Error = Infallible;
    type Future = AroundFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> AroundFuture {
        match self {
            Around::Outside(service) => AroundFuture::Outside { future: service.call(request) },
            Around::Within(router) => AroundFuture::Within { future: router.call(request) },
        }
    }
}

pin_project! {
    #[project = AroundProjection]
    enum AroundFuture {
        Outside { #[pin] future: InstrumentFuture<RouteFuture<Infallible>> },
        Within { #[pin] future: RouteFuture<Infallible> },
    }
}

impl Future for AroundFuture {
    type Output = Result<Response<InstrumentBody<Body>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AroundProjection::Outside { future } => future.poll(cx),
            AroundProjection::Within { future } => {
                future.poll(cx).map_ok(|r| r.map(InstrumentBody::unwatched))
            }
        }
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
/// change, the layer goes into the router, and outcomes are registered with a route's first request instead of at the start.
fn patterns(router: &Router) -> Vec<String> {
    let text = format!("{router:?}");
    // What comes after are fallbacks, which match without being routes.
    let Some((text, _)) = text.split_once(", fallback_router: ") else { return Vec::new() };
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
        let inner: Router = Router::new().route("/list", get(|| async {})).fallback(|| async {});
        let router: Router = Router::new().route("/sign", post(|| async {})).nest("/api", inner);
        assert_eq!(patterns(&router), ["/api/list", "/sign"], "a fallback is no route");
    }

    /// Whichever way the layer goes, a request has the same name.
    #[tokio::test]
    async fn outside_of_the_router_routes_are_told_apart_as_within() {
        let nested: Router = Router::new().route("/deep/{id}", get(|| async {}));
        let router = || {
            Router::new()
                .route("/users/{id}", get(|| async {}).delete(|| async {}))
                .route("/users/me", get(|| async {}))
                .route("/files/{*path}", get(|| async {}))
                .nest("/api", Router::new().route("/list", get(|| async {})))
                .nest_service("/apart", nested.clone())
                .fallback(|| async {})
        };
        let requests = [
            ("GET", "/"),
            ("GET", "/users/7"),
            ("DELETE", "/users/7%2F8?x=1"),
            ("GET", "/users/me"),
            ("POST", "/users/me"),
            ("GET", "/users/"),
            ("GET", "/files/a/b"),
            ("GET", "/api/list"),
            ("GET", "/api/nothing"),
            ("GET", "/apart/deep/7"),
            ("GET", "/wp-login.php"),
            ("OPTIONS", "*"),
        ];
        let mut seen = Vec::new();
        for outside in [true, false] {
            let capture = crate::testing::Capture::new("svc");
            let instrument = capture.service();
            let mut service = match instrument.around(router()) {
                Around::Outside(service) if outside => Around::Outside(service),
                Around::Outside(_) => Around::Within(router().layer(instrument.layer())),
                Around::Within(_) => panic!("the patterns are not known"),
            };
            for (method, uri) in requests {
                let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
                capture.run(service.call(request)).await.unwrap();
            }
            let spans = capture.spans().into_iter();
            seen.push(spans.map(|s| (s.name, s.attributes["segment"].clone())).collect::<Vec<_>>());
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0].len(), requests.len());
        assert!(seen[0].contains(&("GET /users/{id}".to_owned(), "users_id".to_owned())), "{seen:?}");
        assert!(seen[0].contains(&("GET".to_owned(), "unmatched".to_owned())), "{seen:?}");
    }
}
