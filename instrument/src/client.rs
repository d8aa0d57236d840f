//! Calls to other services: a client span, the metrics of the group `http`, and the ids passed on.

use crate::client_body::ClientBody;
use crate::current;
use crate::http::redact;
use crate::ids::SpanIds;
use crate::propagation;
use crate::timed::Running;
use crate::traces::span::{Role, bare};
use crate::wire;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use pin_project_lite::pin_project;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// The group of calls over HTTP.
const GROUP: &str = "http";

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

fn grpc_status(headers: &HeaderMap) -> Option<&str> {
    headers.get(GRPC_STATUS).and_then(|v| v.to_str().ok())
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct Call(Running);

impl Call {
    /// Begins a call and writes its ids into the headers. `None` outside of any instrumented service.
    pub(crate) fn start(
        segment: &str,
        method: &http::Method,
        uri: &Uri,
        headers: &mut HeaderMap,
    ) -> Option<Self> {
        let mut running = Running::start(GROUP, segment, Role::Client)?;
        if let Some(ids) = running.scope.ids {
            write_ids(ids, headers);
        }
        if !running.recorded() {
            return Some(Call(running));
        }
        let methods = &running.scope.instrument.settings().methods;
        running.attributes.text("http.request.method", methods.known(method));
        if let Some(original) = methods.original(method) {
            running.attributes.text("http.request.method_original", original);
        }
        running.method = Some(method.clone());
        // A client that knows the other end by itself (tonic's channel) leaves the address to come without it.
        match uri.host() {
            Some(host) => {
                running.attributes.text("url.full", &full(uri));
                running.attributes.text("server.address", bare(host));
            }
            None => running.attributes.text("url.path", uri.path()),
        }
        let usual = match uri.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        };
        if let Some(port) = uri.port_u16().or(usual) {
            running.attributes.int("server.port", i64::from(port));
        }
        Some(Call(running))
    }

    pub(crate) fn scope(&self) -> Arc<current::Scope> {
        self.0.scope.clone()
    }

    /// The answer's head came, and with it the outcome.
    pub(crate) fn answered(mut self, status: u16, version: Version, headers: &HeaderMap) {
        self.0.attributes.int("http.response.status_code", i64::from(status));
        self.spoke(version);
        self.ended(status, grpc_status(headers));
    }

    fn spoke(&mut self, version: Version) {
        if let Some(version) = crate::context::version(version) {
            self.0.attributes.text("network.protocol.version", version);
        }
    }

    /// [`Call::answered`]; the call itself where its outcome is still to come: gRPC tells it in the trailers.
    pub(crate) fn headed(mut self, status: u16, version: Version, headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(http::header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let grpc = kind.is_some_and(|k| k.starts_with(b"application/grpc"));
        if status == 200 && grpc && !headers.contains_key(GRPC_STATUS) {
            self.spoke(version);
            return Some(self);
        }
        self.answered(status, version, headers);
        None
    }

    /// The trailers came.
    pub(crate) fn trailed(mut self, trailers: &HeaderMap) {
        self.0.attributes.int("http.response.status_code", 200);
        match grpc_status(trailers) {
            Some(code) => self.ended(200, Some(code)),
            None => self.failed("broken", &"the answer ended without a gRPC status"),
        }
    }

    fn ended(mut self, status: u16, grpc: Option<&str>) {
        if let Some(code) = grpc.and_then(|c| c.parse().ok()) {
            self.0.attributes.int("rpc.grpc.status_code", code);
        }
        match grpc {
            Some(code) if code != "0" => self.0.failed(code.to_owned(), &format!("gRPC status {code}")),
            // The status says it all.
            _ if status >= 400 => self.0.failed(status.to_string(), ""),
            _ => self.0.finish(None),
        }
    }

    /// No answer came, or not all of it; `kind` is a word of a handful.
    pub(crate) fn failed(self, kind: &'static str, error: &dyn Display) {
        self.0.failed(kind, &crate::timed::said(error));
    }
}

/// The address with secrets blanked and without a password.
fn full(uri: &Uri) -> String {
    let mut out = String::with_capacity(128);
    if let Some(scheme) = uri.scheme_str() {
        out.push_str(scheme);
        out.push_str("://");
    }
    out.push_str(uri.host().unwrap_or_default());
    if let Some(port) = uri.port() {
        out.push(':');
        out.push_str(port.as_str());
    }
    out.push_str(uri.path());
    if let Some(query) = uri.query() {
        out.push('?');
        out.push_str(&redact::query(query));
    }
    out
}

fn write_ids(ids: SpanIds, headers: &mut HeaderMap) {
    current::with_scope(|scope| {
        let propagators = match scope {
            Some(scope) => scope.instrument.settings().propagators,
            None => current::installed().map(|i| i.settings().propagators).unwrap_or_default(),
        };
        let request = scope.and_then(|s| s.request.as_deref());
        let state = request.and_then(|r| r.parent.as_ref()?.tracestate.as_ref());
        propagation::inject(propagators, ids, state, headers);
        if propagators.baggage
            && let Some(baggage) = request.and_then(|r| r.baggage.as_ref())
        {
            headers.entry(wire::header::BAGGAGE).or_insert_with(|| baggage.clone());
        }
        if let Some(id) = request.and_then(|r| HeaderValue::from_str(r.id.as_str()).ok()) {
            headers.insert(HeaderName::from_static(wire::header::REQUEST_ID), id);
        }
    });
}

/// Writes the ids of the current request into the headers of a call that you make by other means: correlation id, and
/// trace context as W3C and B3 (`OTEL_PROPAGATORS`).
///
/// ```
/// let mut headers = http::HeaderMap::new();
/// sightline_instrument::pass_on(&mut headers);
/// assert!(headers.is_empty(), "no request here");
/// ```
pub fn pass_on(headers: &mut HeaderMap) {
    if let Some(ids) = current::with_scope(|s| s.and_then(|s| s.ids)) {
        write_ids(ids, headers);
    }
}

/// A tower layer for clients (hyper-util's, tonic's channel): each call is timed, counted as
/// `service.http.<segment>.…`, a client span, and carries the ids. A call ends with the head of its answer; one of gRPC
/// with its trailers, which tell how it went, or when its answer is given up.
///
/// ```
/// use tower_layer::Layer;
/// let client = sightline_instrument::ClientLayer::new("upstream").layer(());
/// ```
#[derive(Debug, Clone)]
pub struct ClientLayer {
    segment: Arc<str>,
}

impl ClientLayer {
    /// Calls of this segment: the name of the service that is called.
    ///
    /// ```
    /// use sightline_instrument::ClientLayer;
    /// use tower_layer::Layer;
    /// let client = ClientLayer::new("kittens").layer(tower::service_fn(|_: http::Request<()>| async {
    ///     Ok::<_, std::io::Error>(http::Response::new(()))
    /// }));
    /// # let _ = client;
    /// ```
    pub fn new(segment: &str) -> Self {
        ClientLayer { segment: segment.into() }
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = InstrumentedClient<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InstrumentedClient { inner, segment: self.segment.clone() }
    }
}

/// An instrumented client.
///
/// ```
/// use sightline_instrument::ClientLayer;
/// use tower::ServiceExt;
/// use tower_layer::Layer;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let answers = tower::service_fn(|_: http::Request<()>| async {
///     Ok::<_, std::io::Error>(http::Response::new(axum::body::Body::from("Felix")))
/// });
/// let client: sightline_instrument::InstrumentedClient<_> = ClientLayer::new("kittens").layer(answers);
/// assert_eq!(client.oneshot(http::Request::new(())).await.unwrap().status(), 200);
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct InstrumentedClient<S> {
    inner: S,
    segment: Arc<str>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for InstrumentedClient<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: Display,
{
    type Response = Response<ClientBody<ResBody>>;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let call = Call::start(&self.segment, &method, &uri, request.headers_mut());
        ClientFuture { future: self.inner.call(request), call }
    }
}

pin_project! {
    /// A call on its way.
    ///
    /// ```
    /// use sightline_instrument::ClientLayer;
    /// use tower::ServiceExt;
    /// use tower_layer::Layer;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let answers = tower::service_fn(|_: http::Request<()>| async {
    ///     Ok::<_, std::io::Error>(http::Response::new(axum::body::Body::from("Felix")))
    /// });
    /// use tower_service::Service;
    /// let mut client = ClientLayer::new("kittens").layer(answers);
    /// let call: sightline_instrument::ClientFuture<_> = client.call(http::Request::new(()));
    /// assert_eq!(call.await.unwrap().status(), 200);
    /// # });
    /// ```
    pub struct ClientFuture<F> {
        #[pin]
        future: F,
        call: Option<Call>,
    }
}

impl<F, ResBody, E: Display> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = Result<Response<ClientBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let entered = this.call.as_ref().map(|call| current::enter(Some(call.scope())));
        let polled = this.future.poll(cx);
        drop(entered);
        let Poll::Ready(result) = polled else { return Poll::Pending };
        let call = this.call.take();
        Poll::Ready(match result {
            Ok(response) => {
                let open = call.and_then(|c| {
                    c.headed(response.status().as_u16(), response.version(), response.headers())
                });
                Ok(response.map(|body| ClientBody::new(body, open)))
            }
            Err(error) => {
                if let Some(call) = call {
                    call.failed("_OTHER", &error);
                }
                Err(error)
            }
        })
    }
}
