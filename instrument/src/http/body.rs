//! The answer's body, passed through unchanged and watched to its end.

use super::access::{Active, End};
use crate::current;
use crate::panics;
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// The body of an instrumented answer.
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
    /// let service = capture.service().layer().layer(answers);
    /// let body: sightline_instrument::InstrumentBody<_> =
    ///     service.oneshot(http::Request::new(())).await.unwrap().into_body();
    /// assert_eq!(axum::body::to_bytes(axum::body::Body::new(body), 100).await.unwrap(), "Felix");
    /// assert_eq!(capture.logs().len(), 1, "the record is there when the body has ended");
    /// # });
    /// ```
    pub struct InstrumentBody<B> {
        #[pin]
        inner: Kind<B>,
        active: Option<Active>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        /// The service's own.
        Theirs { #[pin] body: B },
        /// Ours: an answer of health, or nothing.
        Ours { bytes: Option<Bytes> },
    }
}

impl<B: http_body::Body> InstrumentBody<B> {
    pub(crate) fn watched(body: B, mut active: Active) -> Self {
        let ends_at_once = body.is_end_stream();
        active.nothing_left |= ends_at_once;
        let active = if ends_at_once {
            active.finish(End::Complete);
            None
        } else {
            Some(active)
        };
        InstrumentBody { inner: Kind::Theirs { body }, active }
    }
}

impl<B> InstrumentBody<B> {
    /// One that somebody else watches.
    pub(crate) fn unwatched(body: B) -> Self {
        InstrumentBody { inner: Kind::Theirs { body }, active: None }
    }

    pub(crate) fn of(bytes: Bytes) -> Self {
        InstrumentBody { inner: Kind::Ours { bytes: Some(bytes).filter(|b| !b.is_empty()) }, active: None }
    }
}

impl<B> Default for InstrumentBody<B> {
    fn default() -> Self {
        InstrumentBody::of(Bytes::new())
    }
}

impl<B: http_body::Body<Data = Bytes>> http_body::Body for InstrumentBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let mut body = match this.inner.project() {
            KindProjection::Ours { bytes } => return Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            KindProjection::Theirs { body } => body,
        };
        let Some(active) = this.active.as_mut() else { return body.poll_frame(cx) };
        let lent = current::lend(&mut active.scope);
        // What the closure touches is not used after a panic: the body is dropped with the connection.
        let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_frame(cx)));
        drop(lent);
        let ended = match &polled {
            Err(payload) => {
                panics::note_caught(active.scope.as_deref(), &**payload);
                Some(End::Panicked)
            }
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(None)) => Some(End::Complete),
            Ok(Poll::Ready(Some(Err(_)))) => Some(End::Broken),
            Ok(Poll::Ready(Some(Ok(frame)))) => {
                if let Some(data) = frame.data_ref() {
                    active.sent += data.remaining() as u64;
                }
                if let Some(trailers) = frame.trailers_ref() {
                    active.note_grpc(trailers);
                }
                // Who asks for the size beforehand may never ask for the end.
                body.is_end_stream().then_some(End::Complete)
            }
        };
        if let Some(end) = ended {
            active.finish(end);
            *this.active = None;
        }
        match polled {
            Ok(polled) => polled,
            // The head is out: all that is left is to break the connection, as without us. The hook is not called again.
            Err(payload) => resume_unwind(payload),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Kind::Theirs { body } => body.is_end_stream(),
            Kind::Ours { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Kind::Theirs { body } => body.size_hint(),
            Kind::Ours { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
        }
    }
}
