//! From the bytes that identify a sample to where it goes, so that a known sample is never taken apart again.

use std::sync::Arc;

use hashbrown::HashTable;
use parking_lot::RwLock;
use rapidhash::v3::{RapidSecrets, rapidhash_v3_micro_inline};

use super::series::Series;
use crate::metrics::line::{Refusal, Sample};
use crate::metrics::tally::Lost;

/// How many shards share the entries.
const SHARDS: usize = 64;
/// Entries of a shard that point to `_other` series, at most: their number follows what clients send.
const FOLDED: usize = 16;

/// Where a sample goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// To a series.
    Series(Arc<Series>),
    /// To the `_other` series of its metric.
    Folded(Arc<Series>),
    /// Nowhere: it is refused each time.
    Refused(Refusal),
    /// Nowhere: it is dropped each time.
    Lost(Lost),
}

/// One known sample.
#[derive(Debug)]
pub struct Entry {
    /// Type, length of the name, name, tags and container, one after another.
    key: Box<[u8]>,
    /// Where it goes.
    pub target: Target,
    /// What its values are multiplied with.
    pub scale: f64,
    /// How many of its tags were left out.
    pub bad_tags: u16,
    /// Whether it has labels.
    pub tagged: bool,
}

/// The shards.
pub struct Cache {
    secrets: RapidSecrets,
    shards: Box<[Shard]>,
}

/// One shard, on cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Shard(RwLock<Table>);

#[derive(Default)]
struct Table {
    entries: HashTable<(u64, Entry)>,
    folded: usize,
}

impl Cache {
    /// An empty cache with a random seed, so that no client can choose names that collide.
    pub fn new() -> Self {
        Cache { secrets: RapidSecrets::random(), shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    /// Hashes any bytes with this cache's seed.
    pub fn hash_bytes(&self, bytes: &[u8]) -> u64 {
        rapidhash_v3_micro_inline::<true, false>(bytes, &self.secrets)
    }

    /// Hashes what identifies a sample.
    #[inline]
    pub fn hash(&self, sample: &Sample<'_>) -> u64 {
        let mut hash =
            self.hash_bytes(sample.name) ^ (sample.kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if !sample.tags.is_empty() {
            hash = hash.rotate_left(23) ^ self.hash_bytes(sample.tags);
        }
        if !sample.container.is_empty() {
            hash = hash.rotate_left(23) ^ self.hash_bytes(sample.container);
        }
        hash
    }

    /// Calls `known` with the entry of a sample. False if there is none, or `known` says that it is out of date.
    #[inline]
    pub fn with(&self, hash: u64, sample: &Sample<'_>, known: impl FnOnce(&Entry) -> bool) -> bool {
        let table = self.shard(hash).read();
        match table.entries.find(hash, |(h, entry)| *h == hash && entry.is(sample)) {
            Some((_, entry)) => known(entry),
            None => false,
        }
    }

    /// Remembers where a sample goes, in place of what was known. Returns the bytes that this took.
    pub fn insert(&self, hash: u64, sample: &Sample<'_>, target: Target, scale: f64, bad_tags: u32) -> usize {
        let mut table = self.shard(hash).write();
        if let Ok(stale) = table.entries.find_entry(hash, |(h, entry)| *h == hash && entry.is(sample)) {
            stale.remove();
        }
        if matches!(target, Target::Folded(_)) {
            if table.folded >= FOLDED {
                table.entries.retain(|(_, entry)| !matches!(entry.target, Target::Folded(_)));
                table.folded = 0;
            }
            table.folded += 1;
        }
        let key = Entry::key(sample);
        let bytes = key.len() + 16 + size_of::<(u64, Entry)>() * 3 / 2;
        let tagged = key.len() > 5 + sample.name.len();
        let bad_tags = u16::try_from(bad_tags).unwrap_or(u16::MAX);
        table.entries.insert_unique(
            hash,
            (hash, Entry { key, target, scale, bad_tags, tagged }),
            |(hash, _)| *hash,
        );
        bytes
    }

    /// Forgets all that `keep` does not want. Returns how many bytes of keys remain.
    pub fn retain(&self, mut keep: impl FnMut(&Target) -> bool) -> usize {
        let mut bytes = 0;
        for shard in &self.shards {
            let mut table = shard.0.write();
            let mut folded = 0;
            table.entries.retain(|(_, entry)| {
                let kept = keep(&entry.target);
                if kept {
                    bytes += entry.key.len() + 16 + size_of::<(u64, Entry)>() * 3 / 2;
                    folded += usize::from(matches!(entry.target, Target::Folded(_)));
                }
                kept
            });
            table.folded = folded;
            if table.entries.capacity() > 64 && table.entries.len() < table.entries.capacity() / 4 {
                table.entries.shrink_to_fit(|(hash, _)| *hash);
            }
        }
        bytes
    }

    /// How many samples are known.
    pub fn entries(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.read().entries.len()).sum()
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Table> {
        // The top bits choose the shard; the table takes the low ones and its tags from bits below these.
        &self.shards[(hash >> 50) as usize % SHARDS].0
    }
}

impl Entry {
    fn key(sample: &Sample<'_>) -> Box<[u8]> {
        let Sample { name, tags, container, .. } = sample;
        let mut key = Vec::with_capacity(5 + name.len() + tags.len() + container.len() + 1);
        key.push(sample.kind as u8);
        key.extend_from_slice(&(name.len() as u32).to_le_bytes());
        key.extend_from_slice(name);
        key.extend_from_slice(tags);
        if !container.is_empty() {
            // A bar cannot be part of tags, so this cannot be mistaken for them.
            key.push(b'|');
            key.extend_from_slice(container);
        }
        key.into()
    }

    #[inline]
    fn is(&self, sample: &Sample<'_>) -> bool {
        let Some((head, rest)) = self.key.split_first_chunk::<5>() else { return false };
        let len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if head[0] != sample.kind as u8 || len != sample.name.len() {
            return false;
        }
        let (name, rest) = rest.split_at(len);
        if name != sample.name {
            return false;
        }
        if sample.container.is_empty() {
            return rest == sample.tags;
        }
        rest.len() == sample.tags.len() + 1 + sample.container.len()
            && rest.starts_with(sample.tags)
            && rest[sample.tags.len()] == b'|'
            && rest.ends_with(sample.container)
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new()
    }
}
