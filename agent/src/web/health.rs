//! `/-/healthy` and `/-/ready`: whether the process works, and whether it can take and deliver right now.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};

/// One thing that must be in order for the agent to be ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// `statsd`, `logs queue`, `elasticsearch`, …
    pub name: String,
    /// Whether input is still accepted and kept. A back end that is away does not make this false while
    /// there is room in its queue.
    pub ready: bool,
    /// What a person should know: an address, a figure, the last error.
    pub detail: String,
}

impl Check {
    /// The receivers of `name`, with what each speaks and where: `tcp 127.0.0.1:5000, udp 127.0.0.1:5000`.
    pub fn listening(name: &str, open: &[(&str, SocketAddr)]) -> Self {
        let mut detail = open.iter().map(|(what, at)| format!("{what} {at}")).collect::<Vec<_>>().join(", ");
        if open.is_empty() {
            detail.push_str("not listening: switched off, or its default port is taken (the log says which)");
        }
        Check { name: name.to_owned(), ready: true, detail }
    }
}

/// Asks every part for its state now.
pub type Probe = Arc<dyn Fn() -> Vec<Check> + Send + Sync>;

#[derive(Serialize)]
struct Body {
    status: &'static str,
    checks: Vec<Check>,
}

/// The two endpoints over `probe`. An empty probe (nothing started yet) is not ready.
pub fn router(probe: Probe) -> Router {
    Router::new()
        .route("/-/healthy", get(|| async { "sightline is healthy\n" }))
        .route("/-/ready", get(ready))
        .with_state(probe)
}

async fn ready(State(probe): State<Probe>) -> Response {
    let checks = probe();
    let ready = !checks.is_empty() && checks.iter().all(|check| check.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Body { status: if ready { "ready" } else { "not ready" }, checks })).into_response()
}

/// The answer of [`router`] for a person: a line for each check. What is none of ours is given as it is.
pub fn text(body: &[u8]) -> String {
    let Ok(Answer { status, checks }) = serde_json::from_slice::<Answer>(body) else {
        return format!("{}\n", String::from_utf8_lossy(body).trim_end());
    };
    let mut out = format!("{status}\n");
    for Check { name, ready, detail } in checks {
        let mark = if ready { "" } else { "NOT READY: " };
        out.push_str(&format!("  {name}: {mark}{detail}\n"));
    }
    out
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    checks: Vec<Check>,
}

#[cfg(test)]
mod tests {
    use super::{Check, router, text};
    use axum::body::Body;
    use http::Request;
    use std::sync::Arc;
    use tower::ServiceExt;

    async fn status(checks: Vec<Check>) -> u16 {
        let router = router(Arc::new(move || checks.clone()));
        let request = Request::get("/-/ready").body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap().status().as_u16()
    }

    #[test]
    fn a_person_reads_a_line_for_each_check() {
        let answer = r#"{"status":"not ready","checks":[{"name":"logs queue","ready":true,"detail":"empty"},
            {"name":"spans queue","ready":false,"detail":"the disk refuses writes"}]}"#;
        let lines = "not ready\n  logs queue: empty\n  spans queue: NOT READY: the disk refuses writes\n";
        assert_eq!(text(answer.as_bytes()), lines);
        assert_eq!(text(b"{\"status\":\"pass\"}\n"), "{\"status\":\"pass\"}\n", "another service's answer");
    }

    #[test]
    fn receivers_say_where_they_listen() {
        let at = "127.0.0.1:5000".parse().unwrap();
        assert_eq!(
            Check::listening("logs", &[("tcp", at), ("udp", at)]).detail,
            "tcp 127.0.0.1:5000, udp 127.0.0.1:5000"
        );
        assert!(Check::listening("logs", &[]).detail.starts_with("not listening"));
    }

    #[tokio::test]
    async fn ready_only_when_every_check_is() {
        let check = |ready| Check { name: "x".into(), ready, detail: String::new() };
        assert_eq!(status(vec![check(true)]).await, 200);
        assert_eq!(status(vec![check(true), check(false)]).await, 503);
        assert_eq!(status(vec![]).await, 503);
    }
}
