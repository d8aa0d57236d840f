//! For those who run their server themselves: the layer for any tower service, and an orderly end.

use axum::{Router, routing::get};
use sightline_instrument::Instrument;
use std::net::SocketAddr;
use std::time::Duration;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let instrument = Instrument::builder("own").version(env!("CARGO_PKG_VERSION")).install();
    // Under axum the layer belongs inside of the router, where the route's pattern is known.
    let app = Router::new().route("/users/{id}", get(|| async { "Felix\n" })).layer(instrument.layer());
    instrument.register_routes(["/users/{id}"]);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    // With it records and sign-ins name the client's address.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, app)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await;
    instrument.shutdown(Duration::from_secs(5));
    served
}
