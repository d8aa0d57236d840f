//! Calls to other services, and spans of the service's own, hang below the request.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response};
use axum::{Router, routing::get};
use sightline_instrument::testing::{Capture, Span};
use sightline_instrument::{ClientLayer, Settings, security, timed};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tower::{Layer, ServiceExt};
use tracing::Instrument as _;

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

#[tokio::test]
async fn a_trace_has_depth_through_two_services() {
    let capture = Capture::new("svc");
    let layer = capture.service().layer();
    let inner = Router::new()
        .route(
            "/kittens",
            get(|| async {
                timed("sqlite", "select", async { Err::<(), _>("locked") }).await.is_err().to_string()
            }),
        )
        .layer(layer.clone());
    let outer = Router::new()
        .route(
            "/upstream",
            get(move || {
                let call = ClientLayer::new("kittens").layer(inner.clone());
                let request = Request::get("http://kittens/kittens").body(Body::empty()).unwrap();
                async move {
                    let answer = async { call.oneshot(request).await.unwrap() }
                        .instrument(tracing::info_span!("asking", breed = "tabby"))
                        .await;
                    to_bytes(axum::body::Body::new(answer.into_body()), 100).await.unwrap()
                }
            }),
        )
        .layer(layer);
    let request = Request::get("/upstream").header("x-request-id", "two-hops").body(Body::empty()).unwrap();
    let answer = capture.run(outer.oneshot(request)).await.unwrap();
    capture.run(to_bytes(Body::new(answer.into_body()), 100)).await.unwrap();

    let spans = capture.spans();
    let order = ["GET /upstream", "asking", "GET kittens", "GET /kittens", "sqlite select"];
    for pair in order.windows(2) {
        let (above, below) = (named(&spans, pair[0]), named(&spans, pair[1]));
        assert_eq!(below.parent_id.as_ref(), Some(&above.span_id), "{} below {}", pair[1], pair[0]);
        assert_eq!(below.trace_id, above.trace_id);
    }
    assert_eq!(named(&spans, "sqlite select").error.as_deref(), Some("locked"));
    assert_eq!(named(&spans, "GET kittens").attributes["http.response.status_code"], "200");
    assert_eq!(named(&spans, "asking").attributes["breed"], "tabby");
    assert_eq!(capture.counter("http.kittens.success"), Some(1));
    assert_eq!(capture.counter("sqlite.select.failed"), Some(1));
    let ids: Vec<_> = capture.logs().iter().map(|r| r["request_id"].clone()).collect();
    assert_eq!(ids, ["two-hops", "two-hops"], "the inner service's record and the outer's");
}

#[tokio::test]
async fn records_inside_a_span_carry_its_fields_and_ids() {
    let capture = Capture::new("svc");
    let app = Router::new()
        .route(
            "/",
            get(|| async {
                async { tracing::warn!(kitten = 2, error = "too small", "refused") }
                    .instrument(tracing::info_span!("weighing", scale = "kitchen", kitten = 1))
                    .await;
            }),
        )
        .layer(capture.service().layer());
    capture.run(app.oneshot(Request::get("/").body(Body::empty()).unwrap())).await.unwrap();
    let record = &capture.logs()[0];
    assert_eq!((&record["message"], &record["log.level"]), (&"refused".into(), &"warn".into()));
    assert_eq!((&record["labels.kitten"], &record["labels.scale"]), (&2.into(), &"kitchen".into()));
    assert_eq!(record["error.message"], "too small");
    assert_eq!(record["span.id"], named(&capture.spans(), "weighing").span_id.as_str());
    assert_eq!((&record["handler"], &record["method"]), (&"root".into(), &"GET".into()));
}

#[tokio::test]
async fn a_failed_sign_in_names_its_source_in_the_record_and_not_in_the_metric() {
    let capture = Capture::with("svc", |s| s.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]);
    let app = Router::new()
        .route("/login", get(|| async { security::auth_failed("nic", None, "password", "wrong") }))
        .layer(capture.service().layer());
    let mut request =
        Request::get("/login").header("x-forwarded-for", "198.51.100.7").body(Body::empty()).unwrap();
    let peer: std::net::SocketAddr = "127.0.0.1:4711".parse().unwrap();
    request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
    capture.run(app.oneshot(request)).await.unwrap();
    assert_eq!(capture.counter("auth.login.failed"), Some(1));
    let record = &capture.logs()[0];
    assert_eq!(record["event.dataset"], "svc.audit");
    assert_eq!((&record["source.ip"], &record["user.name"]), (&"198.51.100.7".into(), &"nic".into()));
    assert_eq!((&record["event.reason"], &record["handler"]), (&"wrong".into(), &"login".into()));
    assert!(!capture.metrics().iter().any(|l| l.contains("198")));
}

#[tokio::test]
async fn ids_come_in_and_go_out_in_each_form() {
    let (trace, span) = ("80f198ee56343ba864fe8b2a57d3eff7", "e457b5a2e4d86bd1");
    let forms = [
        ("tracecontext", vec![("traceparent", format!("00-{trace}-{span}-01"))]),
        ("b3", vec![("b3", format!("{trace}-{span}-1"))]),
        (
            "b3multi",
            vec![
                ("x-b3-traceid", trace.to_owned()),
                ("x-b3-spanid", span.to_owned()),
                ("x-b3-sampled", "1".to_owned()),
            ],
        ),
    ];
    for (form, headers) in &forms {
        let capture = Capture::with("svc", |s| {
            let read = |name: &str| (name == "OTEL_PROPAGATORS").then(|| (*form).to_owned());
            *s = Settings::from_env("svc", read).0;
        });
        let seen = Arc::new(Mutex::new(HeaderMap::new()));
        let inside = seen.clone();
        let inner = tower::service_fn(move |request: Request<Body>| {
            *inside.lock().unwrap() = request.headers().clone();
            std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
        });
        let call = move || {
            let request = Request::get("http://kittens/").body(Body::empty()).unwrap();
            let call = ClientLayer::new("kittens").layer(inner.clone()).oneshot(request);
            async move { call.await.unwrap().status() }
        };
        let app = Router::new().route("/", get(call)).layer(capture.service().layer());
        let mut request = Request::get("/").body(Body::empty()).unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        capture.run(app.oneshot(request)).await.unwrap();
        let spans = capture.spans();
        assert_eq!(named(&spans, "GET /").parent_id.as_deref(), Some(span), "{form}");
        let (below, seen) = (&named(&spans, "GET kittens").span_id, seen.lock().unwrap().clone());
        for (name, value) in headers {
            assert_eq!(seen[*name], value.replace(span, below), "{form}: the same trace, the call's span");
        }
        for (other, headers) in &forms {
            let here = headers.iter().filter(|(name, _)| seen.contains_key(*name)).count();
            assert_eq!(here, if other == form { headers.len() } else { 0 }, "{form} and nothing of {other}");
        }
        assert!(seen.contains_key("x-request-id"));
    }
}
