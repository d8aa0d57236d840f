//! The tower layer: gives each request its ids, watches it, and answers for the service's health.

use super::access::{Active, End};
use super::body::InstrumentBody;
use super::heads::Heads;
use super::source;
use crate::context::{Arrival, Request as Facts};
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
use pin_project_lite::pin_project;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
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
    paths: FastMap<String, Route>,
    patterns: Arc<matchit::Router<Route>>,
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
        let (active, id) = self.layer.begin(&mut request);
        // A service may do its work, and panic, in `call` already.
        let entered = current::enter(Some(active.scope.clone()));
        let future = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        drop(entered);
        match future {
            Ok(future) => InstrumentFuture::Theirs { future, active: Some(active), id },
            Err(payload) => {
                let mut active = active;
                panicked(&mut active, &*payload);
                InstrumentFuture::Fell { id: Some(id) }
            }
        }
    }
}

impl InstrumentLayer {
    fn begin<B>(&self, request: &mut Request<B>) -> (Active, HeaderValue) {
        let Shared { instrument, paths, patterns } = &*self.0;
        let settings = instrument.settings();
        let headers = request.headers();
        let heads = Heads::of(headers);
        let given = heads.request_id.and_then(|v| Some((RequestId::accept(v.as_bytes())?, v.clone())));
        let (request_id, id_header) = given.unwrap_or_else(|| {
            let id = instrument.0.id_source.request_id();
            let header =
                HeaderValue::from_bytes(id.as_bytes()).unwrap_or(HeaderValue::from_static("invalid"));
            (id, header)
        });
        let parent = propagation::extract(&heads);
        let trace_id = parent.as_ref().map_or_else(|| instrument.0.id_source.trace_id(), |p| p.trace_id);
        let sampled = settings.sampler.decide(parent.as_ref().and_then(|p| p.sampled), trace_id);
        let ids = SpanIds { trace_id, span_id: instrument.0.id_source.span_id(), sampled };
        let route = match request.extensions().get::<MatchedPath>() {
            Some(matched) => Some(instrument.0.metrics.route(matched.as_str())),
            None => {
                let path = request.uri().path();
                paths.get(path).or_else(|| patterns.at(path).ok().map(|m| m.value)).cloned()
            }
        };
        let (handler, pattern) = match route {
            Some(route) => (route.cells, Some(route.pattern)),
            None => (instrument.0.metrics.operation(wire::group::HANDLERS, wire::UNMATCHED), None),
        };
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip());
        let facts = Arc::new(Facts::new(
            Arrival {
                method: request.method(),
                uri: request.uri(),
                version: request.version(),
                headers,
                heads,
                source: source::client(peer, headers, &settings.trusted_proxies),
                with_headers: settings.log_headers,
            },
            request_id,
            handler,
            pattern,
            parent,
            instrument.0.clock.now(),
        ));
        // The handler, and what it calls by hand, sees the id that the records carry.
        request.headers_mut().insert(REQUEST_ID, id_header.clone());
        let mut scope = Scope::new(instrument.clone(), Some(facts.clone()), Some(ids));
        scope.caught = true;
        let mut active = Active::new(Arc::new(scope), facts, ids);
        active.nothing_left = request.method() == Method::HEAD;
        (active, id_header)
    }
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
        Theirs { #[pin] future: F, active: Option<Active>, id: HeaderValue },
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
            FutureProjection::Theirs { future, active, id } => {
                let Some(scope) = active.as_ref().map(|a| a.scope.clone()) else {
                    return Poll::Ready(Ok(empty(None)));
                };
                let entered = current::enter(Some(scope));
                // The future is not polled again after a panic.
                let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
                drop(entered);
                let result = match polled {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(result)) => result,
                    Err(payload) => {
                        if let Some(mut active) = active.take() {
                            panicked(&mut active, &*payload);
                        }
                        return Poll::Ready(Ok(empty(Some(id.clone()))));
                    }
                };
                let Some(active) = active.take() else { return Poll::Ready(Ok(empty(None))) };
                Poll::Ready(answer(result, active, id))
            }
        }
    }
}

fn answer<ResBody, E>(
    result: Result<Response<ResBody>, E>,
    mut active: Active,
    id: &HeaderValue,
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
    head.headers.insert(REQUEST_ID, id.clone());
    Ok(Response::from_parts(head, InstrumentBody::watched(body, active)))
}

fn panicked(active: &mut Active, payload: &(dyn std::any::Any + Send)) {
    panics::note_caught(&active.scope.instrument, &active.request, active.ids, payload);
    active.finish(End::Panicked);
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
