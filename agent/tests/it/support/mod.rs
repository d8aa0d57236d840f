//! What the tests of this binary stand on: real servers, the real agent, and waiting without sleeping blindly.

pub(crate) mod agent;
pub(crate) mod allocated;
pub(crate) mod backends;
pub(crate) mod proxy;

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The checkout.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A port that is free for TCP and UDP alike and that nobody else is given: each call hands out another one, from below
/// the range that the kernel takes for outgoing connections, so that it is still free when an agent comes back to it.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 10_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Two runs on one machine begin at different places.
    let begin = std::process::id().wrapping_mul(977);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + begin.wrapping_add(step) % COUNT) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
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
