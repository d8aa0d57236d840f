//! The routes.

use crate::store::Store;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use sightline_instrument::{SendAs, annotate, security};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct State {
    pub(crate) store: Store,
    client: reqwest::Client,
    /// The service's own address, which it calls as if it were another's.
    own: SocketAddr,
}

impl State {
    /// Opens the data store; `own` is where the service listens.
    pub fn open(database: Option<&Path>, own: SocketAddr) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        Ok(State { store: Store::open(database)?, client, own })
    }
}

/// All routes; `/health` comes with the instrumentation.
pub fn router(state: State) -> Router {
    Router::new()
        .route("/", get(|| async { "kittenserver\n" }))
        .route("/helloworld", post(helloworld))
        .route("/kittens", get(kittens))
        .route("/upstream", get(upstream))
        .route("/login", post(login))
        .route("/slow", get(slow))
        .route("/bang", get(bang))
        .with_state(state)
}

#[derive(Debug, Deserialize)]
struct Hello {
    name: String,
}

/// A body that is not what it should be: 400, a counter and a record.
fn invalid(what: &str, why: &str) -> Response {
    security::validation_failed(what, why);
    (StatusCode::BAD_REQUEST, Json(json!({ "error": why }))).into_response()
}

async fn helloworld(body: Bytes) -> Response {
    let hello: Hello = match serde_json::from_slice(&body) {
        Ok(hello) => hello,
        Err(error) => return invalid("helloworld", &error.to_string()),
    };
    if hello.name.is_empty() {
        return invalid("helloworld", "name is empty");
    }
    security::validation_succeeded("helloworld");
    Json(json!({ "message": format!("Hello {}", hello.name) })).into_response()
}

async fn kittens(Shared(state): Shared<State>) -> Response {
    match state.store.kittens().await {
        Ok(kittens) => {
            annotate("kittens", kittens.len());
            Json(kittens).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the kittens cannot be read");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// Asks another service, which happens to be itself.
async fn upstream(Shared(state): Shared<State>) -> Response {
    let url = format!("http://{}/kittens", state.own);
    let answer = state.client.get(url).send_as("kittens").await.and_then(reqwest::Response::error_for_status);
    let body = match answer {
        Ok(answer) => answer.bytes().await,
        Err(error) => Err(error),
    };
    match body {
        Ok(body) => ([("content-type", "application/json")], body).into_response(),
        Err(error) => {
            tracing::warn!(%error, "the kittens did not answer");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

#[derive(Debug, Deserialize)]
struct Login {
    user: String,
    password: String,
}

async fn login(Shared(state): Shared<State>, body: Bytes) -> Response {
    let Login { user, password } = match serde_json::from_slice(&body) {
        Ok(login) => login,
        Err(error) => return invalid("login", &error.to_string()),
    };
    let why = match state.store.knows(user.clone(), password).await {
        Ok(Some(true)) => {
            security::auth_succeeded(&user, None, "password");
            return Json(json!({ "welcome": user })).into_response();
        }
        Ok(Some(false)) => "wrong password",
        Ok(None) => "unknown user",
        Err(error) => {
            tracing::error!(%error, "users cannot be read");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    security::auth_failed(&user, None, "password", why);
    StatusCode::UNAUTHORIZED.into_response()
}

/// Something that takes too long now and then.
async fn slow() -> &'static str {
    let millis = fastrand::u64(900..1_600);
    tracing::info!(millis, "counting whiskers");
    tokio::time::sleep(Duration::from_millis(millis)).await;
    "many\n"
}

/// A bug.
async fn bang() -> &'static str {
    let kittens: [&str; 3] = ["Felix", "Minka", "Socks"];
    kittens[pick(kittens.len())]
}

/// One more than there are.
fn pick(kittens: usize) -> usize {
    std::hint::black_box(kittens)
}
