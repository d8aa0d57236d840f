//! Waiting for a server that is still starting, with a word to the person who waits.

use std::time::{Duration, Instant};

use super::report::say;

/// Asks `probe` until it answers, for `patience` at most. `Err` holds the last answer that was not good enough.
pub(super) async fn until<T>(
    what: &str,
    patience: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let started = Instant::now();
    let mut told: Option<String> = None;
    loop {
        match probe().await {
            Ok(answer) => return Ok(answer),
            Err(last) if started.elapsed() >= patience => {
                return Err(format!("waited {} s for {what}; last: {last}", started.elapsed().as_secs()));
            }
            Err(last) => {
                if told.as_ref() != Some(&last) {
                    say(&format!("waiting for {what}: {last}"));
                    told = Some(last);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(500).min(patience)).await;
    }
}
