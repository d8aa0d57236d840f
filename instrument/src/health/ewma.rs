//! A moving average that forgets exponentially with time, so that an idle service recovers.

use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Ewma {
    value: f64,
    at_ns: u64,
}

impl Ewma {
    pub(crate) const fn new() -> Self {
        Ewma { value: 0.0, at_ns: 0 }
    }

    /// How much of the past is left after `elapsed`.
    fn left(elapsed_ns: u64, window: Duration) -> f64 {
        (-(elapsed_ns as f64) / window.as_nanos().max(1) as f64).exp()
    }

    /// Takes in the mean of what was seen since the last time.
    pub(crate) fn add(&mut self, mean: f64, now_ns: u64, window: Duration) {
        if self.at_ns == 0 {
            self.value = mean;
        } else {
            let left = Self::left(now_ns.saturating_sub(self.at_ns), window);
            self.value = self.value * left + mean * (1.0 - left);
        }
        self.at_ns = now_ns.max(1);
    }

    /// The average as of now: without news it fades towards zero.
    pub(crate) fn at(&self, now_ns: u64, window: Duration) -> f64 {
        self.value * Self::left(now_ns.saturating_sub(self.at_ns), window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn it_follows_and_fades() {
        let mut average = Ewma::new();
        average.add(100.0, SECOND, WINDOW);
        assert_eq!(average.at(SECOND, WINDOW), 100.0);
        for s in 2..60 {
            average.add(20.0, s * SECOND, WINDOW);
        }
        assert!((average.at(59 * SECOND, WINDOW) - 20.0).abs() < 1.0);
        assert!(average.at(200 * SECOND, WINDOW) < 0.01, "idle services recover");
    }
}
