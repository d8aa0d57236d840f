//! Trying again, visibly: each try is a call and a span of its own, and a counter says how many were not the first.

use crate::current::Scoped;
use crate::timed::{Running, said};
use crate::traces::span::Role;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

/// Calls `attempt` until it succeeds, at most `tries` times, waiting `pause` before the second try and twice as long before
/// each further one. Each try is timed and counted as `service.group.segment.…`; those after the first also as `.retried`,
/// and their spans say which they are (`http.request.resend_count`).
///
/// `attempt` gets the number of tries before it, from 0. It needs tokio's timer.
///
/// ```
/// use sightline_instrument::retried;
/// use std::time::Duration;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let answer = retried("http", "kittens", 3, Duration::from_millis(1), |before| async move {
///     if before < 2 { Err("busy") } else { Ok("meow") }
/// })
/// .await;
/// assert_eq!(answer, Ok("meow"));
/// # });
/// ```
///
/// # Errors
/// That of the last try.
pub async fn retried<T, E: Display, F: Future<Output = Result<T, E>>>(
    group: &str,
    segment: &str,
    tries: u32,
    pause: Duration,
    mut attempt: impl FnMut(u32) -> F,
) -> Result<T, E> {
    let mut pause = pause;
    let mut before = 0;
    loop {
        let result = match Running::start(group, segment, Role::Client) {
            None => attempt(before).await,
            Some(mut running) => {
                if before > 0 {
                    running.attributes.int("http.request.resend_count", i64::from(before));
                    crate::counter(group, segment, "retried").increment(1);
                }
                let result = Scoped::new(Some(running.scope.clone()), attempt(before)).await;
                running.finish(result.as_ref().err().map(|e| said(e)));
                result
            }
        };
        before += 1;
        if result.is_ok() || before >= tries {
            return result;
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Capture;

    #[tokio::test(start_paused = true)]
    async fn each_try_shows() {
        let capture = Capture::new("svc");
        let result = capture
            .run(retried("http", "kittens", 3, Duration::from_secs(1), |n| async move {
                if n < 1 { Err("busy") } else { Ok(n) }
            }))
            .await;
        assert_eq!(result, Ok(1));
        let spans = capture.spans();
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0].error.as_deref(), Some("busy"));
        assert_eq!(spans[1].attributes["http.request.resend_count"], "1");
        for (outcome, n) in [("called", 2), ("failed", 1), ("success", 1), ("retried", 1)] {
            assert_eq!(capture.counter(&format!("http.kittens.{outcome}")), Some(n), "{outcome}");
        }
        let given_up =
            capture.run(retried("http", "cats", 2, Duration::from_secs(1), |_| async { Err::<(), _>("no") }));
        assert_eq!(given_up.await, Err("no"));
        assert_eq!(capture.counter("http.cats.failed"), Some(2));
    }
}
