//! Waiting for a server that is still starting, with a word to the person who waits.

use std::time::Duration;

use tokio::time::Instant;

use super::report::say;

/// What a server that is not ready answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Not {
    /// It may be later.
    Ready(String),
    /// It does not let us in.
    Allowed(String),
}

/// Why the waiting ended without an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GaveUp {
    /// It was not ready in time.
    Late(String),
    /// It does not let us in, and will not.
    Refused(String),
}

/// A server that is starting may know its users a little later than it answers; one that was told of no user needs no time.
const KNOWS_USERS_AFTER: Duration = Duration::from_secs(10);

/// Asks `probe` until it answers, for `patience` at most.
///
/// # Errors
/// With what was waited for and the last answer that was not good enough.
pub(super) async fn until<T>(
    what: &str,
    patience: Duration,
    with_login: bool,
    mut probe: impl AsyncFnMut() -> Result<T, Not>,
) -> Result<T, GaveUp> {
    let started = Instant::now();
    let mut refused: Option<Instant> = None;
    let mut told: Option<String> = None;
    loop {
        let last = match probe().await {
            Ok(answer) => return Ok(answer),
            Err(Not::Ready(last)) => {
                refused = None;
                last
            }
            Err(Not::Allowed(last)) => {
                let since = refused.get_or_insert_with(Instant::now).elapsed();
                let enough = if with_login { KNOWS_USERS_AFTER.min(patience) } else { Duration::ZERO };
                if since >= enough {
                    return Err(GaveUp::Refused(format!(
                        "{what} does not let this user in: {last}; {ADVICE}"
                    )));
                }
                last
            }
        };
        if started.elapsed() >= patience {
            let waited = started.elapsed().as_secs();
            return Err(GaveUp::Late(format!("waited {waited} s for {what}; last: {last}")));
        }
        if told.as_ref() != Some(&last) {
            say(&format!("waiting for {what}: {last}"));
            told = Some(last);
        }
        tokio::time::sleep(Duration::from_millis(500).min(patience)).await;
    }
}

const ADVICE: &str = "give --username and --password-file of one who may, or set ELASTICSEARCH_USERNAME and \
                      ELASTICSEARCH_PASSWORD_FILE";

#[cfg(test)]
mod tests {
    use super::{GaveUp, Not, until};
    use std::time::Duration;
    use tokio::time::Instant;

    const LONG: Duration = Duration::from_secs(600);

    async fn asked(with_login: bool, mut answer: impl FnMut(u32) -> Not) -> (u64, GaveUp) {
        let (started, mut asked) = (Instant::now(), 0);
        let ended = until("it", LONG, with_login, async || {
            asked += 1;
            Err::<(), _>(answer(asked))
        })
        .await;
        (started.elapsed().as_secs(), ended.unwrap_err())
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_is_not_let_in_does_not_wait_and_hears_what_to_give() {
        let (waited, ended) = asked(false, |_| Not::Allowed("401".to_owned())).await;
        assert_eq!(waited, 0);
        assert!(matches!(ended, GaveUp::Refused(said) if said.contains("--username")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_starts_has_a_moment_to_learn_its_users() {
        let (waited, ended) = asked(true, |_| Not::Allowed("401".to_owned())).await;
        assert!(waited == 10 && matches!(ended, GaveUp::Refused(_)));
        // Between the two it was starting again.
        let by_turns = |n: u32| {
            if n.is_multiple_of(4) { Not::Ready("503".to_owned()) } else { Not::Allowed("401".to_owned()) }
        };
        let (waited, ended) = asked(true, by_turns).await;
        assert!(waited == 600 && matches!(ended, GaveUp::Late(_)));
    }
}
