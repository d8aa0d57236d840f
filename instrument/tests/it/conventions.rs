//! OpenTelemetry's conventions for HTTP spans, where a client or a network does what they make a rule for.

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::{Router, routing::any};
use sightline_instrument::testing::{Capture, Span};
use sightline_instrument::{ClientLayer, Settings};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tower::{Layer, ServiceExt};

async fn served(request: Request<Body>, answer: StatusCode) -> Span {
    let capture = Capture::new("svc");
    let app =
        Router::new().route("/list", any(move || async move { answer })).layer(capture.service().layer());
    capture.run(app.oneshot(request)).await.unwrap();
    capture.spans()[0].clone()
}

#[tokio::test]
async fn a_method_that_a_client_made_up_names_no_span() {
    let request = Request::builder().method("MEOW").uri("/list").body(Body::empty()).unwrap();
    let span = served(request, StatusCode::OK).await;
    assert_eq!(span.name, "HTTP /list");
    assert_eq!(span.attributes["http.request.method"], "_OTHER");
    assert_eq!(span.attributes["http.request.method_original"], "MEOW");
    let span = served(Request::post("/list").body(Body::empty()).unwrap(), StatusCode::OK).await;
    assert!(!span.attributes.contains_key("http.request.method_original"), "{span:#?}");
}

#[tokio::test]
async fn the_server_is_the_host_or_the_authority() {
    // As of HTTP/2, which has no Host.
    let request = Request::get("http://kittens.example:8080/list").body(Body::empty()).unwrap();
    let span = served(request, StatusCode::OK).await;
    assert_eq!(
        (&*span.attributes["server.address"], &*span.attributes["server.port"]),
        ("kittens.example", "8080")
    );
    let request = Request::get("/list").header("host", "[::1]:81").body(Body::empty()).unwrap();
    let span = served(request, StatusCode::OK).await;
    assert_eq!((&*span.attributes["server.address"], &*span.attributes["server.port"]), ("::1", "81"));
}

#[tokio::test]
async fn a_server_errs_from_500_on_and_says_so_by_its_status() {
    let of = async |status| served(Request::get("/list").body(Body::empty()).unwrap(), status).await;
    let missing = of(StatusCode::NOT_FOUND).await;
    assert_eq!((missing.error, missing.attributes.get("error.type")), (None, None));
    let broken = of(StatusCode::BAD_GATEWAY).await;
    assert_eq!((broken.error.as_deref(), &*broken.attributes["error.type"]), (Some(""), "502"));
}

#[tokio::test]
async fn a_client_that_goes_first_was_sent_no_status() {
    let capture = Capture::new("svc");
    let app = Router::new()
        .route("/list", any(std::future::pending::<StatusCode>))
        .layer(capture.service().layer());
    let mut call = Box::pin(app.oneshot(Request::get("/list").body(Body::empty()).unwrap()));
    assert!(futures_util::poll!(&mut call).is_pending());
    drop(call);
    let span = &capture.spans()[0];
    assert_eq!(span.attributes["error.type"], "aborted");
    assert!(!span.attributes.contains_key("http.response.status_code"), "{span:#?}");
    assert_eq!(capture.logs()[0]["status"], 499, "the record has what proxies write");
}

/// The span of a call to `uri` whose other end does this.
async fn called(method: &str, uri: &str, answer: Result<StatusCode, &'static str>) -> Span {
    let capture = Capture::new("svc");
    let end = tower::service_fn(move |_: Request<Body>| {
        std::future::ready(answer.map(|status| {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = status;
            answer
        }))
    });
    let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    let _ = capture.run(ClientLayer::new("kittens").layer(end).oneshot(request)).await;
    capture.spans()[0].clone()
}

#[tokio::test]
async fn a_call_names_the_other_end_and_its_usual_port() {
    let span = called("GET", "https://u:p@kittens.example/list?token=abc", Ok(StatusCode::OK)).await;
    let a = &span.attributes;
    assert_eq!((span.name.as_str(), span.error), ("GET kittens", None));
    assert_eq!((&*a["server.address"], &*a["server.port"]), ("kittens.example", "443"));
    assert_eq!(a["url.full"], "https://kittens.example/list?token=[redacted]");
    assert_eq!(a["network.protocol.version"], "1.1");
    let span = called("PURGE", "http://[::1]:8080/", Ok(StatusCode::OK)).await;
    assert_eq!(span.name, "HTTP kittens");
    assert_eq!(
        (&*span.attributes["http.request.method"], &*span.attributes["http.request.method_original"]),
        ("_OTHER", "PURGE")
    );
    assert_eq!((&*span.attributes["server.address"], &*span.attributes["server.port"]), ("::1", "8080"));
}

#[tokio::test]
async fn a_call_errs_from_400_on_or_without_an_answer() {
    for (answer, error, kind) in [
        (Ok(StatusCode::NOT_FOUND), "", "404"),
        (Ok(StatusCode::SERVICE_UNAVAILABLE), "", "503"),
        (Err("connection refused"), "connection refused", "_OTHER"),
    ] {
        let span = called("GET", "http://kittens/", answer).await;
        assert_eq!((span.error.as_deref(), &*span.attributes["error.type"]), (Some(error), kind));
    }
}

#[tokio::test]
async fn baggage_goes_on_only_when_asked_for() {
    for (propagators, goes_on) in [("tracecontext", false), ("tracecontext,baggage", true)] {
        let capture = Capture::with("svc", |s| {
            let read = |name: &str| (name == "OTEL_PROPAGATORS").then(|| propagators.to_owned());
            *s = Settings::from_env("svc", read).0;
        });
        let seen = Arc::new(Mutex::new(HeaderMap::new()));
        let inside = seen.clone();
        let end = tower::service_fn(move |request: Request<Body>| {
            *inside.lock().unwrap() = request.headers().clone();
            std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
        });
        let call = move || {
            let request = Request::get("http://kittens/").body(Body::empty()).unwrap();
            let call = ClientLayer::new("kittens").layer(end.clone()).oneshot(request);
            async move { call.await.unwrap().status() }
        };
        let app = Router::new().route("/", any(call)).layer(capture.service().layer());
        let request = Request::get("/").header("baggage", "owner=nic").body(Body::empty()).unwrap();
        capture.run(app.oneshot(request)).await.unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen.get("baggage").map(|v| v.as_bytes()), goes_on.then_some(&b"owner=nic"[..]));
    }
}
