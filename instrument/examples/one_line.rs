//! The whole integration is the last line. Try `curl -i localhost:8080/helloworld` and `curl localhost:8080/health`.

use axum::{Router, routing::get};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    let app = Router::new().route("/helloworld", get(|| async { "hello, world\n" }));
    sightline_instrument::serve("hello", listener, app).await
}
