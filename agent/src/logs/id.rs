//! Ids of records: unique, in the order of time, fixed when a record is enqueued so that a retry cannot double it.

use std::sync::atomic::{AtomicU32, Ordering};

/// Sorts as bytes do, so that ids sort as their numbers do.
const ALPHABET: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// The length of an id.
pub const LENGTH: usize = 20;

/// Makes ids: 48 bits of milliseconds, 32 of a counter, 40 that tell this process from all others.
#[derive(Debug)]
pub struct Ids {
    process: u64,
    counter: AtomicU32,
}

impl Ids {
    /// `process` should be random.
    pub fn new(process: u64) -> Self {
        Ids { process: process & 0xff_ffff_ffff, counter: AtomicU32::new(0) }
    }

    /// The next id for a record that came at `now_ms`.
    pub fn next(&self, now_ms: u64) -> [u8; LENGTH] {
        let count = u128::from(self.counter.fetch_add(1, Ordering::Relaxed));
        let number = u128::from(now_ms & 0xffff_ffff_ffff) << 72 | count << 40 | u128::from(self.process);
        std::array::from_fn(|i| ALPHABET[(number >> (6 * (LENGTH - 1 - i))) as usize & 63])
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn ids_are_unique_and_sort_by_time() {
        let (one, two) = (Ids::new(1), Ids::new(u64::MAX));
        let mut ids: Vec<_> = (0..5000).map(|i| one.next(1_700_000_000_000 + i / 100)).collect();
        assert!(ids.is_sorted());
        ids.extend((0..5000).map(|i| two.next(1_700_000_000_000 + i / 100)));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().flatten().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
    }
}
