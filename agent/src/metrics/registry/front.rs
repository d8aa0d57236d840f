//! What one thread saw last: most samples are found here without a lock and without counting references.

use std::sync::Arc;

use super::cache::{Cache, Entry};
use crate::metrics::line::Sample;

/// A power of two. So many series at once are as many as most threads see; the rest are found in the cache.
const SLOTS: usize = 4096;
/// Slots next to each other that a hash may take: with one, a fifth of a thousand series would share theirs with another.
const WAYS: usize = 2;
/// Of so many misses one takes a slot, so that those that share it do not push each other out each time.
const PATIENCE: u32 = 8;

/// Entries of a cache by hash.
#[derive(Debug, Default)]
pub(super) struct Front {
    /// None until it is used.
    slots: Vec<Option<(u64, Arc<Entry>)>>,
    /// The version of the cache that they are from.
    version: u64,
    misses: u32,
}

impl Front {
    /// An empty one.
    pub(super) const fn new() -> Self {
        Front { slots: Vec::new(), version: 0, misses: 0 }
    }

    /// Forgets everything that `cache` no longer vouches for.
    #[inline]
    pub(super) fn renew(&mut self, cache: &Cache) {
        let version = cache.version();
        if self.version != version {
            self.slots = (0..SLOTS).map(|_| None).collect();
            self.version = version;
        }
    }

    /// The entry of a sample.
    #[inline]
    pub(super) fn get(&self, hash: u64, sample: &Sample<'_>) -> Option<&Entry> {
        let first = first(hash);
        let found = self.slots.get(first..first + WAYS)?.iter().flatten().find(|(known, _)| *known == hash);
        found.map(|(_, entry)| &**entry).filter(|entry| entry.is(sample))
    }

    /// Takes note of an entry that the cache had, perhaps.
    pub(super) fn put(&mut self, hash: u64, entry: Arc<Entry>) {
        self.misses = self.misses.wrapping_add(1);
        let first = first(hash);
        let Some(slots) = self.slots.get_mut(first..first + WAYS) else { return };
        let free = slots.iter().position(Option::is_none);
        let turn = self.misses.is_multiple_of(PATIENCE).then_some((self.misses / PATIENCE) as usize % WAYS);
        if let Some(at) = free.or(turn) {
            slots[at] = Some((hash, entry));
        }
    }
}

/// The first of the slots that a hash may take.
#[inline]
fn first(hash: u64) -> usize {
    hash as usize & (SLOTS - WAYS)
}
