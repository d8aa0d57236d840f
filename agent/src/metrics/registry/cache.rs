//! From the bytes that identify a sample to where it goes, so that a known sample is never taken apart again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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

/// What an entry takes beside its key: itself, its counts, its place in the table and in the allocator.
const ENTRY_BYTES: usize = size_of::<Entry>() + 16 + size_of::<(u64, Arc<Entry>)>() * 3 / 2 + 16;

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
    /// Changes when an entry is no longer true; no two caches have the same.
    version: AtomicU64,
}

/// One shard, on cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Shard(RwLock<Table>);

#[derive(Default)]
struct Table {
    entries: HashTable<(u64, Arc<Entry>)>,
    folded: usize,
}

impl Cache {
    /// An empty cache with a random seed, so that no client can choose names that collide.
    pub fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Cache { secrets: RapidSecrets::random(), shards, version: AtomicU64::new(next_version()) }
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

    /// The entry of a sample.
    #[inline]
    pub fn get(&self, hash: u64, sample: &Sample<'_>) -> Option<Arc<Entry>> {
        let table = self.shard(hash).read();
        let found = table.entries.find(hash, |(h, entry)| *h == hash && entry.is(sample));
        found.map(|(_, entry)| Arc::clone(entry))
    }

    /// Changes whenever an entry that was handed out may be out of date.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// Remembers where a sample goes, in place of what was known. Returns the bytes that this took.
    pub fn insert(&self, hash: u64, sample: &Sample<'_>, target: Target, scale: f64, bad_tags: u32) -> usize {
        let mut table = self.shard(hash).write();
        if let Ok(stale) = table.entries.find_entry(hash, |(h, entry)| *h == hash && entry.is(sample)) {
            stale.remove();
            self.version.store(next_version(), Relaxed);
        }
        if matches!(target, Target::Folded(_)) {
            if table.folded >= FOLDED {
                table.entries.retain(|(_, entry)| !matches!(entry.target, Target::Folded(_)));
                table.folded = 0;
            }
            table.folded += 1;
        }
        let key = Entry::key(sample);
        let bytes = ENTRY_BYTES + key.len();
        let tagged = key.len() > 5 + sample.name.len();
        let bad_tags = u16::try_from(bad_tags).unwrap_or(u16::MAX);
        let entry = Arc::new(Entry { key, target, scale, bad_tags, tagged });
        table.entries.insert_unique(hash, (hash, entry), |(hash, _)| *hash);
        bytes
    }

    /// Forgets all that `keep` does not want. Returns how many bytes of keys remain.
    pub fn retain(&self, mut keep: impl FnMut(&Target) -> bool) -> usize {
        let mut bytes = 0;
        let mut forgotten = false;
        for shard in &self.shards {
            let mut table = shard.0.write();
            let mut folded = 0;
            table.entries.retain(|(_, entry)| {
                let kept = keep(&entry.target);
                forgotten |= !kept;
                if kept {
                    bytes += ENTRY_BYTES + entry.key.len();
                    folded += usize::from(matches!(entry.target, Target::Folded(_)));
                }
                kept
            });
            table.folded = folded;
            if table.entries.capacity() > 64 && table.entries.len() < table.entries.capacity() / 4 {
                table.entries.shrink_to_fit(|(hash, _)| *hash);
            }
        }
        if forgotten {
            self.version.store(next_version(), Relaxed);
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

fn next_version() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
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

    /// Whether it is this sample's.
    #[inline(always)]
    pub fn is(&self, sample: &Sample<'_>) -> bool {
        let Some((head, rest)) = self.key.split_first_chunk::<5>() else { return false };
        let len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if head[0] != sample.kind as u8 || len != sample.name.len() {
            return false;
        }
        let (name, rest) = rest.split_at(len);
        if !same(name, sample.name) {
            return false;
        }
        if sample.container.is_empty() {
            return same(rest, sample.tags);
        }
        rest.len() == sample.tags.len() + 1 + sample.container.len()
            && rest.starts_with(sample.tags)
            && rest[sample.tags.len()] == b'|'
            && rest.ends_with(sample.container)
    }
}

/// Whether two texts are equal, eight bytes at a time. Not `==`: that calls `memcmp`, and the one that glibc has for
/// AVX-512, with its masked loads, took two thirds of the time of a known sample (115 ns of it against 40 this way).
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (a_words, a_rest) = a.as_chunks::<8>();
    let (b_words, b_rest) = b.as_chunks::<8>();
    let words = a_words.iter().zip(b_words);
    let differ = words.fold(0, |d, (x, y)| d | (u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y)));
    let rest = match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        // The last eight overlap with what was compared already.
        (Some(x), Some(y)) => u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y),
        _ => a_rest.iter().zip(b_rest).fold(0, |d, (x, y)| d | u64::from(x ^ y)),
    };
    differ | rest == 0
}

impl Default for Cache {
    fn default() -> Self {
        Self::new()
    }
}
