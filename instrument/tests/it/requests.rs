//! Each way that a request can end is counted once.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode};
use axum::{Router, routing::get};
use sightline_instrument::assert_metric;
use sightline_instrument::testing::Capture;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::ServiceExt;

/// A body that gives its pieces one by one, then does as it is told.
struct Pieces(Vec<Bytes>, Then);

#[derive(Clone, Copy)]
enum Then {
    End,
    Wait,
    Panic,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        match (self.0.pop(), self.1) {
            (Some(piece), _) => Poll::Ready(Some(Ok(http_body::Frame::data(piece)))),
            (None, Then::End) => Poll::Ready(None),
            (None, Then::Wait) => Poll::Pending,
            (None, Then::Panic) => panic!("the body fell"),
        }
    }
}

fn app(capture: &Capture) -> Router {
    let pieces = |then| move || async move { Body::new(Pieces(vec![Bytes::from_static(b"meow"); 2], then)) };
    Router::new()
        .route("/ok", get(|| async { "ok" }))
        .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
        .route("/bad", get(|| async { (StatusCode::BAD_REQUEST, "no") }))
        .route("/never", get(std::future::pending::<()>))
        .route("/stream", get(pieces(Then::End)))
        .route("/endless", get(pieces(Then::Wait)))
        .route("/falls", get(pieces(Then::Panic)))
        .layer(capture.service().layer())
}

async fn answer(capture: &Capture, request: Request<Body>) -> Bytes {
    answer_of(capture, request, 1_000).await
}

async fn answer_of(capture: &Capture, request: Request<Body>, limit: usize) -> Bytes {
    let answer = capture.run(app(capture).oneshot(request)).await.unwrap();
    capture.run(to_bytes(Body::new(answer.into_body()), limit)).await.unwrap()
}

fn get_path(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// called, success, failed, panic
fn outcomes(capture: &Capture, segment: &str) -> [u64; 4] {
    ["called", "success", "failed", "panic"]
        .map(|o| capture.counter(&format!("handlers.{segment}.{o}")).unwrap_or_default())
}

#[tokio::test]
async fn statuses_below_400_are_successes() {
    let capture = Capture::new("svc");
    for path in ["/ok", "/nothing", "/bad", "/nowhere/123", "/nowhere/456"] {
        answer(&capture, get_path(path)).await;
    }
    assert_eq!(outcomes(&capture, "ok"), [1, 1, 0, 0]);
    assert_eq!(outcomes(&capture, "nothing"), [1, 1, 0, 0]);
    assert_eq!(outcomes(&capture, "bad"), [1, 0, 1, 0]);
    assert_eq!(outcomes(&capture, "unmatched"), [2, 0, 2, 0]);
    assert!(!capture.metrics().iter().any(|l| l.contains("nowhere")), "a path never becomes a metric");
}

#[tokio::test]
async fn timing_runs_to_the_end_of_the_body() {
    let capture = Capture::new("svc");
    let answer = capture.run(app(&capture).oneshot(get_path("/stream"))).await.unwrap();
    assert_eq!(outcomes(&capture, "stream"), [1, 0, 0, 0]);
    capture.advance(Duration::from_millis(200));
    capture.run(to_bytes(Body::new(answer.into_body()), 1_000)).await.unwrap();
    assert_eq!(outcomes(&capture, "stream"), [1, 1, 0, 0]);
    assert_eq!(capture.timings("handlers.stream.timing"), [200.0]);
    assert_eq!(capture.logs()[0]["http.response.body.bytes"], 8);
}

#[tokio::test]
async fn a_client_that_hangs_up_is_one_failure() {
    let capture = Capture::new("svc");
    // Before the head…
    {
        let mut waiting = std::pin::pin!(capture.run(app(&capture).oneshot(get_path("/never"))));
        assert!(futures_poll(&mut waiting).is_pending());
    }
    assert_eq!(outcomes(&capture, "never"), [1, 0, 1, 0]);
    assert_eq!(capture.logs()[0]["status"], 499);
    // …and in the middle of the body.
    let answer = capture.run(app(&capture).oneshot(get_path("/endless"))).await.unwrap();
    drop(answer);
    assert_eq!(outcomes(&capture, "endless"), [1, 0, 1, 0]);
    assert_eq!(capture.logs()[1]["labels.ended"], "client went away");
}

fn futures_poll<F: Future>(future: &mut Pin<&mut F>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))
}

#[tokio::test]
async fn a_head_request_is_not_a_hang_up() {
    let capture = Capture::new("svc");
    let request = Request::head("/ok").body(Body::empty()).unwrap();
    drop(capture.run(app(&capture).oneshot(request)).await.unwrap());
    assert_eq!(outcomes(&capture, "ok"), [1, 1, 0, 0]);
}

#[tokio::test]
async fn a_panic_in_the_body_breaks_the_connection_and_is_one_panic() {
    let capture = std::sync::Arc::new(Capture::new("svc"));
    let inside = capture.clone();
    let task = tokio::spawn(async move { answer(&inside, get_path("/falls")).await });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(outcomes(&capture, "falls"), [1, 0, 0, 1]);
    let reports: Vec<_> = capture.logs().into_iter().filter(|r| r["event.dataset"] == "svc.panic").collect();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0]["error.message"], "the body fell");
}

#[tokio::test]
async fn a_slow_request_is_a_warning() {
    let capture = std::sync::Arc::new(Capture::new("svc"));
    let inside = capture.clone();
    let app = Router::new()
        .route("/", get(move || async move { inside.advance(Duration::from_millis(1_500)) }))
        .layer(capture.service().layer());
    capture.run(app.oneshot(get_path("/"))).await.unwrap();
    let record = &capture.logs()[0];
    assert_eq!((&record["log.level"], &record["labels.slow"]), (&"warn".into(), &true.into()));
    assert!(record["message"].as_str().unwrap().starts_with("slow: GET / 200 1500ms"));
    assert_metric!(capture, "handlers.root.success", 1);
}

#[tokio::test]
async fn unclean_ids_are_replaced_and_clean_ones_kept() {
    let capture = Capture::new("svc");
    for (given, kept) in [("abc-1", true), ("a b", false), (&"x".repeat(65), false)] {
        let request = Request::get("/ok").header("x-request-id", given).body(Body::empty()).unwrap();
        let answer = capture.run(app(&capture).oneshot(request)).await.unwrap();
        assert_eq!(answer.headers()["x-request-id"] == given, kept, "{given}");
    }
}

#[tokio::test]
async fn health_is_answered_beside_the_routes_and_not_counted() {
    let capture = Capture::new("svc");
    let body = answer(&capture, get_path("/health")).await;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["status"], &body["serviceId"]), (&"pass".into(), &"svc".into()));
    assert_eq!(capture.logs(), Vec::<serde_json::Value>::new());
    assert_eq!(answer(&capture, get_path("/health/live")).await, "{\"status\":\"pass\"}\n");
}

#[tokio::test]
async fn a_call_site_may_keep_a_share_of_its_records() {
    let capture = Capture::new("svc");
    capture.call(|| {
        for n in 0..200 {
            tracing::info!(log.sample = 0.0, n, "never");
            tracing::info!(log.sample = 0.5, n, "half");
            tracing::info!(log.sample = 1.0, n, "always");
        }
    });
    let records = capture.logs();
    let kept = |text: &str| records.iter().filter(|r| r["message"] == text).count();
    assert_eq!((kept("never"), kept("always")), (0, 200));
    assert!((50..150).contains(&kept("half")), "{}", kept("half"));
    let half = records.iter().find(|r| r["message"] == "half").unwrap();
    assert_eq!(half["labels.log.sample"], 0.5, "whoever counts records knows what they stand for");
    let dropped = 600 - records.len() as u64;
    assert_eq!(capture.service().dropped(), [("logs", "sampled", dropped)]);
}

#[cfg(feature = "pull")]
#[tokio::test]
async fn a_scrape_is_answered_where_it_is_asked_for_and_not_counted() {
    let capture = Capture::with("svc", |s| s.metrics_path = Some("/metrics".to_owned()));
    answer(&capture, get_path("/ok")).await;
    let text = answer_of(&capture, get_path("/metrics"), 100_000).await;
    let text = std::str::from_utf8(&text).unwrap();
    assert!(text.contains("group=\"handlers\",segment=\"ok\",outcome=\"success\"} 1\n"), "{text}");
    assert_eq!(outcomes(&capture, "unmatched"), [0; 4]);
    let off = Capture::new("svc");
    answer(&off, get_path("/metrics")).await;
    assert_eq!(outcomes(&off, "unmatched"), [1, 0, 1, 0], "nowhere by default");
}
