//! Head sampling: a share of traces by their id, and always those with something to see.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::Span;

/// Which spans are kept.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// The share of traces that are kept, 0 to 1. All agents decide alike, because the trace id decides.
    pub ratio: f64,
    /// Keeps spans that failed, whatever the ratio.
    pub keep_errors: bool,
    /// Keeps spans that took at least so long, whatever the ratio; 0 keeps none for that.
    pub keep_slow: Span,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { ratio: 1.0, keep_errors: true, keep_slow: Span::secs(1) }
    }
}

impl Sampling {
    /// Whether to keep a span of this trace.
    pub fn keeps(&self, trace: &[u8; 16], error: bool, nanos: u64) -> bool {
        if self.ratio >= 1.0 || (error && self.keep_errors) {
            return true;
        }
        let slow = self.keep_slow.0;
        if slow > Duration::ZERO && u128::from(nanos) >= slow.as_nanos() {
            return true;
        }
        // W3C: the last 56 bits of a trace id are random.
        let random = trace[9..].iter().fold(0u64, |all, &byte| all << 8 | u64::from(byte));
        (random as f64) < self.ratio.max(0.0) * (1u64 << 56) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Sampling;
    use crate::units::Span;

    #[test]
    fn a_share_of_traces_and_all_that_matter() {
        let sampling = Sampling { ratio: 0.25, keep_errors: true, keep_slow: Span::secs(1) };
        let id = |n: u32| {
            let mut id = [7; 16];
            id[9..13].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
            id
        };
        let kept = (0..10_000).filter(|&n| sampling.keeps(&id(n), false, 5)).count();
        assert!((2400..2600).contains(&kept), "{kept}");
        let lost = (0..).find(|&n| !sampling.keeps(&id(n), false, 5)).unwrap();
        assert!(sampling.keeps(&id(lost), true, 5));
        assert!(sampling.keeps(&id(lost), false, 1_000_000_000));
        assert!(!sampling.keeps(&id(lost), false, 999_999_999));
        assert!(!Sampling { ratio: 0.0, ..sampling.clone() }.keeps(&[0; 16], false, 0));
        assert!(Sampling::default().keeps(&[255; 16], false, 0));
    }
}
