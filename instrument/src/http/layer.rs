//! The tower layer: gives each request its ids, watches it, and answers for the service's health.

use super::access::{Active, End};
use super::body::InstrumentBody;
use super::compact::Texts;
use super::source;
use crate::context::Request as Facts;
use crate::current::{self, Scope};
use crate::health::body::Probe;
use crate::ids::{RequestId, SpanIds};
use crate::instrument::Instrument;
use crate::metrics::names::FastMap;
use crate::metrics::registry::Route;
use crate::{panics, propagation, wire};
use axum::extract::{ConnectInfo, MatchedPath};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

const REQUEST_ID: HeaderName = HeaderName::from_static(wire::header::REQUEST_ID);

/// Instruments a tower service that answers HTTP requests; see [`Instrument::layer`].
///
/// Under axum, give it to `Router::layer`: outside of the router the pattern of the route is not known. For other
/// services name the paths with [`InstrumentLayer::paths`].
///
/// ```
/// use sightline_instrument::testing::Capture;
/// use tower::ServiceExt;
/// use tower_layer::Layer;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let capture = Capture::new("kittens");
/// let answers = tower::service_fn(|_: http::Request<()>| async {
///     Ok::<_, std::io::Error>(http::Response::new(axum::body::Body::from("Felix")))
/// });
/// let layer: sightline_instrument::InstrumentLayer = capture.service().layer();
/// let answer = layer.layer(answers).oneshot(http::Request::new(())).await.unwrap();
/// assert!(answer.headers().contains_key("x-request-id"));
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct InstrumentLayer(Arc<Shared>);

/// One allocation: the service is cloned for each request.
#[derive(Debug, Clone)]
struct Shared {
    instrument: Instrument,
    paths: FastMap<String, Arc<Route>>,
    patterns: Arc<matchit::Router<Arc<Route>>>,
}

impl InstrumentLayer {
    pub(crate) fn new(instrument: Instrument) -> Self {
        InstrumentLayer(Arc::new(Shared { instrument, paths: FastMap::default(), patterns: Arc::default() }))
    }

    /// Knows these patterns of axum's router, so that it may stand outside of it. `None` when it cannot tell them apart as
    /// axum does.
    pub(crate) fn outside(instrument: &Instrument, patterns: &[String]) -> Option<Self> {
        let (mut paths, mut with_names) = (FastMap::default(), matchit::Router::new());
        for pattern in patterns {
            let route = instrument.0.metrics.route(pattern);
            with_names.insert(pattern, route.clone()).ok()?;
            if !pattern.contains(['{', '}']) {
                paths.insert(pattern.clone(), route);
            }
        }
        let patterns = Arc::new(with_names);
        Some(InstrumentLayer(Arc::new(Shared { instrument: instrument.clone(), paths, patterns })))
    }

    /// Paths that are routes by themselves, for services without axum's router: those of a gRPC service, say. Any
    /// other path is counted as `unmatched`, so that a client cannot make up metrics.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::new("cattery");
    /// let layer = capture.service().layer().paths(["/kittens.v1.Kittens/Find"]);
    /// # let _ = layer;
    /// assert_eq!(capture.counter("handlers.kittens_v1_Kittens_Find.failed"), Some(0));
    /// ```
    pub fn paths<'a>(mut self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        let shared = Arc::make_mut(&mut self.0);
        let route = |p: &str| shared.instrument.0.metrics.route(p);
        shared.paths = paths.into_iter().map(|p| (p.to_owned(), route(p))).collect();
        self
    }
}

impl<S> Layer<S> for InstrumentLayer {
    type Service = Instrumented<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Instrumented { inner, layer: self.clone() }
    }
}

/// An instrumented service.
///
/// ```
/// use sightline_instrument::testing::Capture;
/// use tower::ServiceExt;
/// use tower_layer::Layer;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let capture = Capture::new("kittens");
/// let answers = tower::service_fn(|_: http::Request<()>| async {
///     Ok::<_, std::io::Error>(http::Response::new(axum::body::Body::from("Felix")))
/// });
/// let service: sightline_instrument::Instrumented<_> = capture.service().layer().layer(answers);
/// assert_eq!(service.oneshot(http::Request::new(())).await.unwrap().status(), 200);
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Instrumented<S> {
    inner: S,
    layer: InstrumentLayer,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Instrumented<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: http_body::Body<Data = Bytes>,
{
    type Response = Response<InstrumentBody<ResBody>>;
    type Error = S::Error;
    type Future = InstrumentFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let instrument = &self.layer.0.instrument;
        if let Some(base) = instrument.settings().health_path.as_deref()
            && let Some(probe) = Probe::of(request.uri().path(), base)
        {
            return InstrumentFuture::Health { instrument: Some((instrument.clone(), probe)) };
        }
        #[cfg(feature = "pull")]
        if instrument.settings().metrics_path.as_deref() == Some(request.uri().path())
            && let Some(pull) = &instrument.0.metrics.pull
        {
            return InstrumentFuture::Metrics { text: Some(pull.render().into()) };
        }
        let mut active = self.layer.begin(&mut request);
        // A service may do its work, and panic, in `call` already.
        let lent = current::lend(&mut active.scope);
        let future = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        drop(lent);
        match future {
            Ok(future) => InstrumentFuture::Theirs { future, active: Some(active) },
            Err(payload) => InstrumentFuture::Fell { id: panicked(&mut active, &*payload) },
        }
    }
}

impl InstrumentLayer {
    fn begin<B>(&self, request: &mut Request<B>) -> Active {
        let Shared { instrument, paths, patterns } = &*self.0;
        let settings = instrument.settings();
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let (texts, heads) = Texts::of(method, uri, headers, settings.log_headers);
        let given = heads.request_id.and_then(|v| RequestId::accept(v.as_bytes()));
        let id = given.unwrap_or_else(|| instrument.0.id_source.request_id());
        let parent = propagation::extract(&heads);
        let trace_id = parent.as_ref().map_or_else(|| instrument.0.id_source.trace_id(), |p| p.trace_id);
        let sampled = settings.sampler.decide(parent.as_ref().and_then(|p| p.sampled), trace_id);
        let ids = SpanIds { trace_id, span_id: instrument.0.id_source.span_id(), sampled };
        let extensions = request.extensions();
        let route = match extensions.get::<MatchedPath>() {
            Some(matched) => instrument.0.metrics.route(matched.as_str()),
            None => {
                let known = paths.get(uri.path()).or_else(|| patterns.at(uri.path()).ok().map(|m| m.value));
                known.cloned().unwrap_or_else(|| instrument.0.metrics.unmatched())
            }
        };
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip());
        let facts = Facts {
            id,
            method: method.clone(),
            scheme: uri.scheme().cloned(),
            version: request.version(),
            texts,
            source: source::client(peer, headers, &settings.trusted_proxies),
            size: heads.content_length.and_then(|v| v.to_str().ok()?.parse().ok()),
            route,
            parent,
            baggage: heads.baggage.cloned(),
            start: instrument.0.clock.now(),
            user: OnceLock::new(),
            reported: AtomicBool::new(false),
            notes: Mutex::default(),
        };
        facts.route.cells.called.increment(1);
        instrument.0.health.load.begin();
        let mut scope = Scope::new(instrument.clone(), Some(Arc::new(facts)), Some(ids));
        scope.caught = true;
        let mut active = Active::new(Arc::new(scope));
        active.nothing_left = *method == Method::HEAD;
        if given.is_none() {
            // The handler, and what it calls by hand, sees the id that the records carry.
            request.headers_mut().insert(REQUEST_ID, value(&id));
        }
        active
    }
}

fn value(id: &RequestId) -> HeaderValue {
    HeaderValue::from_bytes(id.as_bytes()).unwrap_or(HeaderValue::from_static("invalid"))
}

pin_project! {
    /// The answer on its way.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// use tower::ServiceExt;
    /// use tower_layer::Layer;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let capture = Capture::new("kittens");
    /// let answers = tower::service_fn(|_: http::Request<()>| async {
    ///     Ok::<_, std::io::Error>(http::Response::new(axum::body::Body::from("Felix")))
    /// });
    /// use tower_service::Service;
    /// let mut service = capture.service().layer().layer(answers);
    /// let answer: sightline_instrument::InstrumentFuture<_> = service.call(http::Request::new(()));
    /// assert_eq!(answer.await.unwrap().status(), 200);
    /// # });
    /// ```
    #[project = FutureProjection]
    #[allow(missing_docs)]
    pub enum InstrumentFuture<F> {
        Theirs { #[pin] future: F, active: Option<Active> },
        Health { instrument: Option<(Instrument, Probe)> },
        Metrics { text: Option<Bytes> },
        Fell { id: Option<HeaderValue> },
    }
}

impl<F, ResBody, E> Future for InstrumentFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: http_body::Body<Data = Bytes>,
{
    type Output = Result<Response<InstrumentBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            FutureProjection::Health { instrument } => Poll::Ready(Ok(match instrument.take() {
                Some((instrument, probe)) => health(&instrument, probe),
                None => empty(None),
            })),
            FutureProjection::Metrics { text } => {
                let mut response = Response::new(InstrumentBody::of(text.take().unwrap_or_default()));
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
                Poll::Ready(Ok(response))
            }
            FutureProjection::Fell { id } => Poll::Ready(Ok(empty(id.take()))),
            FutureProjection::Theirs { future, active } => {
                let Some(watched) = active else { return Poll::Ready(Ok(empty(None))) };
                let lent = current::lend(&mut watched.scope);
                // The future is not polled again after a panic.
                let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
                drop(lent);
                match polled {
                    Ok(Poll::Pending) => Poll::Pending,
                    Ok(Poll::Ready(result)) => {
                        Poll::Ready(active.take().map_or_else(|| Ok(empty(None)), |a| answer(result, a)))
                    }
                    Err(payload) => {
                        let id = panicked(watched, &*payload);
                        *active = None;
                        Poll::Ready(Ok(empty(id)))
                    }
                }
            }
        }
    }
}

fn answer<ResBody, E>(
    result: Result<Response<ResBody>, E>,
    mut active: Active,
) -> Result<Response<InstrumentBody<ResBody>>, E>
where
    ResBody: http_body::Body<Data = Bytes>,
{
    let response = match result {
        Ok(response) => response,
        Err(error) => {
            active.finish(End::Broken);
            return Err(error);
        }
    };
    let (mut head, body) = response.into_parts();
    active.status = head.status.as_u16();
    active.nothing_left |= matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    active.note_grpc(&head.headers);
    if let Some(id) = active.id() {
        head.headers.insert(REQUEST_ID, value(id));
    }
    Ok(Response::from_parts(head, InstrumentBody::watched(body, active)))
}

/// Reports a panic, and finishes its request; the request's id.
fn panicked(active: &mut Active, payload: &(dyn std::any::Any + Send)) -> Option<HeaderValue> {
    let id = active.id().map(value);
    panics::note_caught(active.scope.as_deref(), payload);
    active.finish(End::Panicked);
    id
}

/// 500 and not a word more.
fn empty<B>(id: Option<HeaderValue>) -> Response<InstrumentBody<B>> {
    let mut response = Response::new(InstrumentBody::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn health<B>(instrument: &Instrument, probe: Probe) -> Response<InstrumentBody<B>> {
    let now = instrument.0.clock.now();
    let (status, body) = instrument.0.health.answer(probe, instrument.settings(), now.mono_ns, now.unix_ns);
    let mut response = Response::new(InstrumentBody::of(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/health+json"));
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
