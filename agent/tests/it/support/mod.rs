//! What the tests of this binary stand on: real servers, the real agent, and waiting without sleeping blindly.

pub(crate) mod agent;
pub(crate) mod backends;
pub(crate) mod proxy;

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The checkout.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A port that was free a moment ago, for TCP and UDP alike.
pub(crate) fn free_port() -> u16 {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for both tcp and udp");
}

/// Asks `look` until it answers, at most `seconds`. What it saw last is in the panic.
pub(crate) async fn eventually<T, F, E>(what: &str, seconds: u64, mut look: F) -> T
where
    F: AsyncFnMut() -> Result<T, E>,
    E: std::fmt::Display,
{
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        match look().await {
            Ok(found) => return found,
            Err(last) if Instant::now() > deadline => panic!("{what}: not within {seconds} s; last: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// GET as JSON; an error says what came instead.
pub(crate) async fn get_json(url: &str) -> Result<serde_json::Value, String> {
    let response = reqwest::get(url).await.map_err(|e| e.to_string())?;
    let status = response.status();
    let text = response.text().await.map_err(|e| e.to_string())?;
    serde_json::from_str(&text).map_err(|_| format!("{status}: {text}"))
}

/// GET as text; an error unless the status is a success.
pub(crate) async fn get_text(url: &str) -> Result<String, String> {
    let response = reqwest::get(url).await.map_err(|e| e.to_string())?;
    let status = response.status();
    let text = response.text().await.map_err(|e| e.to_string())?;
    if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) }
}

/// The value of one sample of an exposition: `sample(text, "name{a=\"b\"")` takes the first line that starts so.
pub(crate) fn sample(exposition: &str, start: &str) -> Option<f64> {
    exposition.lines().find(|line| line.starts_with(start))?.rsplit(' ').next()?.parse().ok()
}
