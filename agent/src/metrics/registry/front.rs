//! What one thread saw last: most samples are found here without a lock and without counting references.

use std::sync::Arc;

use super::cache::{Cache, Entry};
use crate::metrics::line::Sample;

/// A power of two. So many series at once are as many as most threads see; the rest are found in the cache.
const SLOTS: usize = 4096;
/// Of so many misses one takes the slot, so that two that share it do not push each other out each time.
const PATIENCE: u32 = 8;

/// Entries of a cache by hash, one a slot.
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
        match self.slots.get(hash as usize & (SLOTS - 1)) {
            Some(Some((known, entry))) if *known == hash && entry.is(sample) => Some(entry),
            _ => None,
        }
    }

    /// Takes note of an entry that the cache had, perhaps.
    pub(super) fn put(&mut self, hash: u64, entry: Arc<Entry>) {
        self.misses = self.misses.wrapping_add(1);
        if let Some(slot) = self.slots.get_mut(hash as usize & (SLOTS - 1))
            && (slot.is_none() || self.misses.is_multiple_of(PATIENCE))
        {
            *slot = Some((hash, entry));
        }
    }
}
