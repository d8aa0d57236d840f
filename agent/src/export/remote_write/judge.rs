//! What an answer of an endpoint means, by the specification.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::Protocol;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The endpoint has it.
    Taken,
    /// The endpoint does not know 2.0: say it again in 1.0.
    Older,
    /// Something in it is wrong; a part of it may be right.
    Objection,
    /// Not now.
    Later(Option<Duration>),
    /// Never.
    Refused,
}

/// Headers by which an endpoint of 2.0 says what it has written.
const WRITTEN: [&str; 3] = [
    "x-prometheus-remote-write-samples-written",
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];

/// Judges the answer to a request in `protocol`; `fallback` if 1.0 may be spoken instead.
pub(super) fn judge(
    protocol: Protocol,
    fallback: bool,
    status: StatusCode,
    headers: &HeaderMap,
    retry_after: Option<Duration>,
) -> Answer {
    let newer = protocol != Protocol::V1;
    match status.as_u16() {
        // An endpoint of 1.0 that does not look at the content type reads an empty request out of one of 2.0, and
        // is content with it. Only one of 2.0 says what it has written.
        200..300 if newer && fallback && !WRITTEN.iter().any(|name| headers.contains_key(*name)) => {
            Answer::Older
        }
        200..300 => Answer::Taken,
        415 if newer && fallback => Answer::Older,
        429 | 500..600 => Answer::Later(retry_after),
        // Samples that are too old, a name that is not allowed, too much at once.
        400 | 413 | 422 => Answer::Objection,
        _ => Answer::Refused,
    }
}

/// Whether an objection says that the samples, or newer ones, are there already.
pub(super) fn is_repeat(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase().replace(['-', '_'], " ");
    ["out of order", "duplicate sample", "too old"].iter().any(|words| reason.contains(words))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::{Answer, Protocol, is_repeat, judge};

    fn judged(protocol: Protocol, status: u16, written: bool) -> Answer {
        let mut headers = HeaderMap::new();
        if written {
            headers.insert("x-prometheus-remote-write-samples-written", HeaderValue::from_static("0"));
        }
        let after = Some(Duration::from_secs(7));
        let status = StatusCode::from_u16(status).unwrap();
        judge(protocol, protocol == Protocol::Auto, status, &headers, after)
    }

    #[test]
    fn by_the_specification() {
        let later = Answer::Later(Some(Duration::from_secs(7)));
        for (status, expected) in [
            (200, Answer::Taken),
            (204, Answer::Taken),
            (301, Answer::Refused),
            (400, Answer::Objection),
            (401, Answer::Refused),
            (404, Answer::Refused),
            (413, Answer::Objection),
            (415, Answer::Refused),
            (429, later.clone()),
            (500, later.clone()),
            (503, later),
        ] {
            assert_eq!(judged(Protocol::V1, status, false), expected, "{status} in 1.0");
            assert_eq!(judged(Protocol::V2, status, false), expected, "{status} in 2.0");
        }
    }

    #[test]
    fn an_older_endpoint_is_noticed() {
        assert_eq!(judged(Protocol::Auto, 415, false), Answer::Older);
        assert_eq!(judged(Protocol::Auto, 204, false), Answer::Older);
        assert_eq!(judged(Protocol::Auto, 204, true), Answer::Taken);
        assert_eq!(judged(Protocol::Auto, 400, false), Answer::Objection);
    }

    #[test]
    fn a_repeat_is_known_by_the_words_of_prometheus_and_mimir() {
        assert!(is_repeat("400: out of order sample"));
        assert!(is_repeat("400: duplicate sample for timestamp"));
        assert!(is_repeat("400: user=x: err: the sample has been rejected (err-mimir-sample-out-of-order)"));
        assert!(!is_repeat("400: out of bounds"));
    }
}
