//! How many different members a set saw in a sliding window: exact while few, within about 2% beyond.

/// Up to how many members each is remembered by its hash.
const EXACT: usize = 256;
/// 2^11 registers: a standard error of 2.3%.
const PRECISION: u32 = 11;
const REGISTERS: usize = 1 << PRECISION;
/// The window is cut into this many steps.
const STEPS: u64 = 5;

/// One series of a set.
#[derive(Debug, Clone)]
pub struct Set {
    /// Seconds in one step.
    step: u64,
    seen: Seen,
}

#[derive(Debug, Clone)]
enum Seen {
    /// Hash of a member and the step that saw it last.
    Members(Vec<(u64, u32)>),
    /// Registers of a HyperLogLog for each step that saw something.
    Sketch(Vec<(u32, Box<[u8; REGISTERS]>)>),
}

impl Set {
    /// An empty set that remembers members for `window` seconds.
    pub fn new(window: u64) -> Self {
        Set { step: (window / STEPS).max(1), seen: Seen::Members(Vec::new()) }
    }

    /// Adds a member by its hash, at a time in seconds.
    pub fn insert(&mut self, hash: u64, now: u64) {
        let number = self.number(now);
        if let Seen::Members(members) = &mut self.seen {
            if let Some(member) = members.iter_mut().find(|(known, _)| *known == hash) {
                member.1 = number;
                return;
            }
            if members.len() == EXACT {
                let oldest = oldest(number);
                members.retain(|(_, step)| *step >= oldest);
            }
            if members.len() < EXACT {
                if members.len() == members.capacity() {
                    members.reserve_exact((members.len() / 2).max(2));
                }
                members.push((hash, number));
                return;
            }
            let members = std::mem::take(members);
            self.seen = Seen::Sketch(Vec::new());
            for (hash, step) in members {
                self.sketch(hash, step);
            }
        }
        self.sketch(hash, number);
    }

    fn number(&self, now: u64) -> u32 {
        (now / self.step) as u32
    }

    fn sketch(&mut self, hash: u64, number: u32) {
        let Seen::Sketch(steps) = &mut self.seen else { return };
        let at = match steps.iter().position(|(step, _)| *step == number) {
            Some(at) => at,
            None => {
                let oldest = oldest(number);
                steps.retain(|(step, _)| *step >= oldest);
                steps.push((number, Box::new([0; REGISTERS])));
                steps.len() - 1
            }
        };
        let register = (hash >> (64 - PRECISION)) as usize;
        let rank = ((hash << PRECISION) | (1 << (PRECISION - 1))).leading_zeros() as u8 + 1;
        let slot = &mut steps[at].1[register];
        *slot = (*slot).max(rank);
    }

    /// How many different members the window holds.
    pub fn size(&mut self, now: u64) -> f64 {
        let oldest = oldest(self.number(now));
        match &mut self.seen {
            Seen::Members(members) => {
                members.retain(|(_, step)| *step >= oldest);
                members.len() as f64
            }
            Seen::Sketch(steps) => {
                steps.retain(|(step, _)| *step >= oldest);
                if steps.is_empty() {
                    self.seen = Seen::Members(Vec::new());
                    return 0.0;
                }
                let mut merged = [0u8; REGISTERS];
                for (_, registers) in steps.iter() {
                    for (most, register) in merged.iter_mut().zip(registers.iter()) {
                        *most = (*most).max(*register);
                    }
                }
                estimate(&merged)
            }
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match &self.seen {
            Seen::Members(members) => members.capacity() * 16,
            Seen::Sketch(steps) => steps.capacity() * 16 + steps.len() * REGISTERS,
        }
    }
}

fn oldest(number: u32) -> u32 {
    (number + 1).saturating_sub(STEPS as u32)
}

/// The HyperLogLog estimate, by linear counting while many registers are empty.
fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let m = REGISTERS as f64;
    let harmonic: f64 = registers.iter().map(|&r| (-f64::from(r)).exp2()).sum();
    let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / harmonic;
    let empty = registers.iter().filter(|&&r| r == 0).count() as f64;
    if raw <= 2.5 * m && empty > 0.0 { (m * (m / empty).ln()).round() } else { raw.round() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(member: u64) -> u64 {
        rapidhash::v3::rapidhash_v3(&member.to_le_bytes())
    }

    #[test]
    fn members_count_once() {
        let mut set = Set::new(60);
        for member in [1, 2, 1, 1] {
            set.insert(hash(member), 100);
        }
        assert_eq!(set.size(100), 2.0);
    }

    #[test]
    fn members_leave_with_the_window() {
        let mut set = Set::new(50);
        set.insert(hash(1), 1000);
        set.insert(hash(2), 1030);
        assert_eq!(set.size(1040), 2.0);
        assert_eq!(set.size(1050), 1.0);
        assert_eq!(set.size(2000), 0.0);
    }

    #[test]
    fn many_members_are_estimated_in_bounded_memory() {
        let mut set = Set::new(60);
        for member in 0..100_000 {
            set.insert(hash(member), 100);
            set.insert(hash(member), 112);
        }
        let size = set.size(112);
        assert!((size / 100_000.0 - 1.0).abs() < 0.08, "{size}");
        assert!(set.heap_bytes() < 16 * 1024);
        assert_eq!(set.size(10_000), 0.0);
    }
}
