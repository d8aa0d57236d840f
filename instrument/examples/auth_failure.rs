//! Sign-ins: an audit record with who, from where, how and why, and a counter without any of these.

use axum::http::StatusCode;
use axum::{Router, routing::post};
use sightline_instrument::{Instrument, security};

async fn login(password: String) -> StatusCode {
    if password == "whiskers" {
        security::auth_succeeded("nic", None, "password");
        StatusCode::OK
    } else {
        // The source is the client's address, as a trusted proxy tells it.
        security::auth_failed("nic", None, "password", "wrong password");
        StatusCode::UNAUTHORIZED
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    Instrument::builder("door")
        .settings(|s| s.trusted_proxies.extend("10.0.0.0/8".parse::<sightline_instrument::Network>()))
        .serve(listener, Router::new().route("/login", post(login)))
        .await
}
