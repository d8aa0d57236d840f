//! A call to another service: timed, counted, a span of its own, and the ids passed on. Needs the feature `reqwest`.

use axum::http::StatusCode;
use axum::{Router, routing::get};
use sightline_instrument::SendAs;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let client = reqwest::Client::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    let app = Router::new().route(
        "/kittens",
        get(move || {
            let client = client.clone();
            async move {
                let answer = client.get("http://127.0.0.1:8081/kittens").send_as("kittens").await;
                match answer {
                    Ok(answer) => answer.text().await.map_err(|_| StatusCode::BAD_GATEWAY),
                    Err(error) => {
                        tracing::warn!(%error, "kittens did not answer");
                        Err(StatusCode::BAD_GATEWAY)
                    }
                }
            }
        }),
    );
    sightline_instrument::serve("front", listener, app).await
}
