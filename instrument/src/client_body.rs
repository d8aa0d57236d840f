//! The body of an answer to a client: one of gRPC tells how the call went at its end.

use crate::client::Call;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// The body of an answer to an instrumented client, passed through unchanged.
    ///
    /// ```
    /// use sightline_instrument::ClientLayer;
    /// use tower::ServiceExt;
    /// use tower_layer::Layer;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let answers = tower::service_fn(|_: http::Request<()>| async {
    ///     Ok::<_, std::io::Error>(http::Response::new(axum::body::Body::from("Felix")))
    /// });
    /// let client = ClientLayer::new("kittens").layer(answers);
    /// let body: sightline_instrument::ClientBody<_> =
    ///     client.oneshot(http::Request::new(())).await.unwrap().into_body();
    /// assert_eq!(axum::body::to_bytes(axum::body::Body::new(body), 100).await.unwrap(), "Felix");
    /// # });
    /// ```
    #[derive(Debug)]
    pub struct ClientBody<B> {
        #[pin]
        inner: B,
        // Of a call whose outcome is in the trailers.
        call: Option<Call>,
    }
}

impl<B> ClientBody<B> {
    pub(crate) fn new(inner: B, call: Option<Call>) -> Self {
        ClientBody { inner, call }
    }
}

impl<B: Body> Body for ClientBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref()
                    && let Some(call) = this.call.take()
                {
                    call.trailed(trailers);
                }
            }
            Poll::Ready(Some(Err(_))) => fail(this.call, "the answer broke off"),
            Poll::Ready(None) => fail(this.call, "the answer ended without a gRPC status"),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn fail(call: &mut Option<Call>, why: &str) {
    if let Some(call) = call.take() {
        call.failed("broken", &why);
    }
}

impl<B: Default> Default for ClientBody<B> {
    fn default() -> Self {
        ClientBody::new(B::default(), None)
    }
}
