//! Traffic that the service sends to itself: a realistic mixture, never more than a bounded number at a time.

use reqwest::Client;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

/// Requests under way at one time.
const AT_ONCE: usize = 64;
const MOST: f64 = 500.0;

/// Clients of the pretended balancer: the last one does not know the passwords.
const CLIENTS: [&str; 5] = ["198.51.100.7", "198.51.100.23", "203.0.113.5", "203.0.113.80", "192.0.2.66"];

/// Sends `rate` requests a second for as long as the service lives.
pub(crate) async fn send(service: SocketAddr, rate: f64) {
    let rate = rate.clamp(0.0, MOST);
    // Also refuses what is not a number.
    if rate.is_nan() || rate <= 0.0 {
        return;
    }
    let Ok(client) = Client::builder().timeout(Duration::from_secs(10)).build() else { return };
    let base = Arc::new(format!("http://{service}"));
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut next = Instant::now();
    loop {
        // Uneven, as people are: from half to one and a half of the mean distance.
        next += Duration::from_secs_f64((0.5 + fastrand::f64()) / rate);
        if next < Instant::now() {
            next = Instant::now();
        }
        sleep_until(next).await;
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let (client, base) = (client.clone(), base.clone());
        tokio::spawn(async move {
            // What becomes of it is for the telemetry to tell.
            let _ = one(&client, &base).await;
            drop(permit);
        });
    }
}

async fn one(client: &Client, base: &str) -> Result<(), reqwest::Error> {
    let path = |p: &str| format!("{base}{p}");
    let post = |p: &str, body: serde_json::Value| client.post(path(p)).body(body.to_string());
    let somebody = CLIENTS[fastrand::usize(..CLIENTS.len() - 1)];
    let (request, who) = match fastrand::u32(0..1_000) {
        0..400 => (post("/helloworld", json!({ "name": "Nic" })), somebody),
        400..430 => (post("/helloworld", json!({ "nom": "Nic" })), somebody),
        430..450 => (client.post(path("/helloworld")).body("not json"), somebody),
        450..700 => (client.get(path("/kittens")), somebody),
        700..830 => (client.get(path("/upstream")), somebody),
        830..890 => (post("/login", credentials(true)), somebody),
        // Failures come mostly from one address, so that the alert for guessing has something to find.
        890..905 => (post("/login", credentials(false)), somebody),
        905..950 => (post("/login", credentials(false)), CLIENTS[CLIENTS.len() - 1]),
        950..965 => (client.get(path("/slow")), somebody),
        965..985 => (client.get(path("/wp-login.php?token=guess")), somebody),
        985..995 => (client.get(path("/")), somebody),
        _ => (client.get(path("/bang")), somebody),
    };
    let request = request.header("x-forwarded-for", who);
    request.send().await?.bytes().await?;
    Ok(())
}

fn credentials(right: bool) -> serde_json::Value {
    let user = ["nic", "anna", "root"][fastrand::usize(..if right { 2 } else { 3 })];
    let password = match (right, user) {
        (true, "nic") => "whiskers",
        (true, _) => "purr",
        (false, _) => "123456",
    };
    json!({ "user": user, "password": password })
}
