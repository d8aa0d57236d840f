//! The routes, and what they make the service say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use kittenserver::app::{State, router};
use sightline_instrument::assert_metric;
use sightline_instrument::testing::Capture;
use tower::ServiceExt;

async fn call(capture: &Capture, method: &str, path: &str, body: &str) -> (StatusCode, String) {
    let state = State::open(None, "127.0.0.1:1".parse().unwrap()).unwrap();
    let app = router(state).layer(capture.service().layer());
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    let answer = capture.run(app.oneshot(request)).await.unwrap();
    let status = answer.status();
    let body = capture.run(to_bytes(Body::new(answer.into_body()), 10_000)).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn helloworld_validates_its_input() {
    let capture = Capture::new("kittenserver");
    let (status, body) = call(&capture, "POST", "/helloworld", r#"{"name": "Nic"}"#).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"message":"Hello Nic"}"#));
    for bad in ["{}", "not json", r#"{"name": ""}"#, r#"{"name": 1}"#] {
        assert_eq!(call(&capture, "POST", "/helloworld", bad).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_metric!(capture, "handlers.helloworld.success", 1);
    assert_metric!(capture, "handlers.helloworld.failed", 4);
    assert_metric!(capture, "validation.helloworld.success", 1);
    assert_metric!(capture, "validation.helloworld.failed", 4);
}

#[tokio::test]
async fn kittens_come_out_of_the_data_store() {
    let capture = Capture::new("kittenserver");
    let (status, body) = call(&capture, "GET", "/kittens", "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains(r#"{"name":"Felix","breed":"tabby","weight":1230}"#), "{body}");
    assert_metric!(capture, "sqlite.select_kittens.success", 1);
    assert_eq!(capture.logs()[0]["labels.kittens"], "5");
}

#[tokio::test]
async fn sign_ins_leave_an_audit_record() {
    let capture = Capture::new("kittenserver");
    assert_eq!(
        call(&capture, "POST", "/login", r#"{"user":"nic","password":"whiskers"}"#).await.0,
        StatusCode::OK
    );
    for (user, why) in [("nic", "wrong password"), ("root", "unknown user")] {
        let body = format!(r#"{{"user":"{user}","password":"123456"}}"#);
        assert_eq!(call(&capture, "POST", "/login", &body).await.0, StatusCode::UNAUTHORIZED);
        let told = capture.logs().iter().any(|r| r["user.name"] == user && r["event.reason"] == why);
        assert!(told, "{why}");
    }
    assert_metric!(capture, "auth.login.success", 1);
    assert_metric!(capture, "auth.login.failed", 2);
    assert!(!capture.logs().iter().any(|r| r.to_string().contains("123456")), "no password in any record");
}

#[tokio::test]
async fn a_bug_is_a_panic_and_a_dead_upstream_a_bad_gateway() {
    let capture = Capture::new("kittenserver");
    assert_eq!(call(&capture, "GET", "/bang", "").await, (StatusCode::INTERNAL_SERVER_ERROR, String::new()));
    assert_metric!(capture, "handlers.bang.panic", 1);
    assert_eq!(call(&capture, "GET", "/upstream", "").await.0, StatusCode::BAD_GATEWAY);
    assert_metric!(capture, "http.kittens.failed", 1);
}
