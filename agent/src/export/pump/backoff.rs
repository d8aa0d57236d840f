//! How long to wait before another try: exponential with full jitter, and never less than what was asked for.

use std::time::Duration;

/// Nobody is believed who asks for more than this.
const MAX_ASKED: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy)]
pub(in crate::export) struct Backoff {
    pub(in crate::export) base: Duration,
    pub(in crate::export) max: Duration,
}

impl Backoff {
    /// The pause before try number `attempt` (the first retry is 1); `random` is in 0..1.
    pub(in crate::export) fn pause(&self, attempt: u32, asked: Option<Duration>, random: f64) -> Duration {
        let doubled = self.base.saturating_mul(1 << attempt.saturating_sub(1).min(20));
        let pause = doubled.min(self.max).mul_f64(random.clamp(0.0, 1.0));
        // A little is always waited, so that a jitter of zero is no busy loop.
        pause.max(self.base / 10).max(asked.unwrap_or_default().min(MAX_ASKED))
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn doubles_to_a_limit_and_honours_what_was_asked() {
        let ms = Duration::from_millis;
        let backoff = Backoff { base: ms(100), max: ms(1000) };
        assert_eq!(backoff.pause(1, None, 1.0), ms(100));
        assert_eq!(backoff.pause(3, None, 1.0), ms(400));
        assert_eq!(backoff.pause(60, None, 1.0), ms(1000));
        assert_eq!(backoff.pause(60, None, 0.5), ms(500));
        assert_eq!(backoff.pause(1, None, 0.0), ms(10));
        assert_eq!(backoff.pause(1, Some(ms(7000)), 0.3), ms(7000));
        assert_eq!(backoff.pause(1, Some(Duration::from_secs(1 << 40)), 0.3), Duration::from_secs(300));
    }
}
