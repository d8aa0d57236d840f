//! The least service there can be, and a request such as clients send.

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::task::{Context, Poll, Waker};
use tower_service::Service;

/// Answers at once.
#[derive(Clone)]
pub(crate) struct Hello;

impl Service<Request<Body>> for Hello {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::from("hello"))))
    }
}

/// A POST with the headers that a client sends.
pub(crate) fn request() -> Request<Body> {
    Request::post("/helloworld")
        .header("host", "kittens.example")
        .header("user-agent", "bench/1.0")
        .header("accept", "*/*")
        .header("content-type", "application/json")
        .header("content-length", "14")
        .body(Body::from("{\"name\":\"Nic\"}"))
        .expect("a valid request")
}

/// Calls the service and reads its answer to the end.
pub(crate) fn call<S, B>(service: &mut S, request: Request<Body>)
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    let answer = now(service.call(request)).expect("it answers");
    let mut body = std::pin::pin!(answer.into_body());
    while let Some(frame) = now(body.as_mut().frame()) {
        std::hint::black_box(frame.expect("it goes on").is_data());
    }
}

/// What a future that never waits comes to.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}
