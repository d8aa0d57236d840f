//! Whether a trace is recorded: the caller's word, or a share of trace ids.

use crate::settings::Sampler;

impl Sampler {
    /// The same trace id gets the same answer everywhere.
    pub(crate) fn decide(&self, parent: Option<bool>, trace_id: u128) -> bool {
        match parent {
            Some(decided) if self.parent_based => decided,
            _ if self.ratio >= 1.0 => true,
            _ if self.ratio <= 0.0 => false,
            // The lower 63 bits of the id as a share of all, as OpenTelemetry's TraceIdRatioBased does it.
            _ => ((trace_id as u64) >> 1) < (self.ratio * (1u64 << 63) as f64) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_decides_only_when_asked() {
        let never = Sampler { parent_based: true, ratio: 0.0 };
        assert!(never.decide(Some(true), 1));
        assert!(!never.decide(None, 1));
        let always = Sampler { parent_based: false, ratio: 1.0 };
        assert!(always.decide(Some(false), 1));
    }

    #[test]
    fn a_ratio_is_about_kept() {
        let some = Sampler { parent_based: true, ratio: 0.25 };
        let mut random = fastrand::Rng::with_seed(7);
        let kept = (0..10_000).filter(|_| some.decide(None, random.u128(1..))).count();
        assert!((2_200..2_800).contains(&kept), "{kept}");
    }
}
