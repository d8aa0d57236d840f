//! Panics: the client gets an empty 500, the log one report, the metrics one outcome.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::{Router, routing::get};
use sightline_instrument::testing::Capture;
use sightline_instrument::{assert_metric, spawn, spawn_blocking};
use tower::ServiceExt;

fn fall(kittens: usize) -> &'static str {
    ["Felix"][std::hint::black_box(kittens)]
}

async fn call(capture: &Capture, path: &str) -> (StatusCode, usize) {
    let app = Router::new()
        .route("/bang", get(|| async { fall(1) }))
        .route("/task", get(|| async { spawn(async { fall(2) }).await.is_err().to_string() }))
        .route("/thread", get(|| async { spawn_blocking(|| fall(3)).await.is_err().to_string() }))
        .route("/quiet", get(|| async { std::panic::resume_unwind(Box::new("no hook")) as () }))
        .layer(capture.service().layer());
    let request = Request::get(path).header("x-request-id", "req-9").body(Body::empty()).unwrap();
    let answer = capture.run(app.oneshot(request)).await.unwrap();
    let status = answer.status();
    let body = capture.run(to_bytes(Body::new(answer.into_body()), 100)).await.unwrap();
    (status, body.len())
}

fn reports(capture: &Capture) -> Vec<serde_json::Value> {
    capture.logs().into_iter().filter(|r| r["event.dataset"] == "svc.panic").collect()
}

#[tokio::test]
async fn a_handlers_panic_is_an_empty_500_and_one_report() {
    let capture = Capture::new("svc");
    assert_eq!(call(&capture, "/bang?token=x").await, (StatusCode::INTERNAL_SERVER_ERROR, 0));
    assert_metric!(capture, "handlers.bang.panic", 1);
    assert_metric!(capture, "handlers.bang.success", 0);
    assert_metric!(capture, "handlers.bang.failed", 0);
    let reports = reports(&capture);
    assert_eq!(reports.len(), 1);
    let report = &reports[0];
    assert_eq!(report["handler"], "panic");
    assert_eq!((&report["status"], &report["method"]), (&500.into(), &"GET".into()));
    assert_eq!((&report["url.path"], &report["url.query"]), (&"/bang".into(), &"token=[redacted]".into()));
    assert_eq!((&report["request_id"], &report["error.type"]), (&"req-9".into(), &"panic".into()));
    assert_eq!(report["error.message"], "index out of bounds: the len is 1 but the index is 1");
    let stack = report["error.stack_trace"].as_str().unwrap();
    assert!(stack.contains("fall") && stack.contains("panics.rs"), "{stack}");
    assert!(report["labels.location"].as_str().unwrap().contains("panics.rs:"));
    assert_eq!(report["error.fingerprint"].as_str().unwrap().len(), 16);
    let span = &capture.spans()[0];
    assert_eq!(span.error.as_deref(), Some("panic"));
    assert_eq!(report["trace.id"], span.trace_id.as_str());
}

#[tokio::test]
async fn the_same_bug_has_the_same_fingerprint_from_anywhere() {
    let capture = Capture::new("svc");
    for _ in 0..2 {
        call(&capture, "/bang").await;
    }
    let prints: Vec<_> = reports(&capture).iter().map(|r| r["error.fingerprint"].clone()).collect();
    assert_eq!(prints[0], prints[1]);
}

#[tokio::test]
async fn tasks_and_threads_carry_their_request() {
    for (path, segment) in [("/task", "task"), ("/thread", "thread")] {
        let capture = Capture::new("svc");
        assert_eq!(call(&capture, path).await.0, StatusCode::OK);
        let reports = reports(&capture);
        assert_eq!(reports.len(), 1, "{path}");
        assert_eq!(reports[0]["request_id"], "req-9");
        assert_eq!(reports[0]["labels.handler"], segment);
        // The handler itself went on; the panic is counted once, as a task's.
        assert_metric!(capture, "process.tasks.panic", 1);
        assert_eq!(capture.counter(&format!("handlers.{segment}.success")), Some(1));
    }
}

#[tokio::test]
async fn a_panic_that_passes_no_hook_is_reported_all_the_same() {
    let capture = Capture::new("svc");
    assert_eq!(call(&capture, "/quiet").await, (StatusCode::INTERNAL_SERVER_ERROR, 0));
    assert_eq!(reports(&capture)[0]["error.message"], "no hook");
    assert_metric!(capture, "handlers.quiet.panic", 1);
}
