//! Testing what a service emits: no collector, no clock, no global state.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::{Router, routing::get};
use sightline_instrument::{assert_metric, testing::Capture};
use tower::ServiceExt;

#[tokio::main]
async fn main() {
    let capture = Capture::new("kittens");
    let app = Router::new().route("/list", get(|| async { "Felix" })).layer(capture.service().layer());

    let request = Request::get("/list").header("x-request-id", "abc").body(Body::empty()).expect("valid");
    let answer = capture.run(app.oneshot(request)).await.expect("axum's routers do not fail");
    let body = capture.run(to_bytes(Body::new(answer.into_body()), 100)).await.expect("short");

    assert_eq!(body, "Felix");
    assert_metric!(capture, "handlers.list.success", 1);
    assert_metric!(capture, "handlers.list.failed", 0);
    assert_eq!(capture.logs()[0]["request_id"], "abc");
    assert_eq!(capture.spans()[0].name, "GET /list");
}
