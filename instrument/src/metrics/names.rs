//! Names made safe, and a fast hash of their parts.

use crate::wire;

/// Longer names are looked up the slow way.
const WORDS: usize = 16;

/// Parts of a name in words of eight bytes, the last word of each part with its length: equal words are equal parts. To
/// compare two names so takes a few instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed {
    words: [u64; WORDS],
    n: usize,
    /// Not for hostile input: what it indexes is bounded.
    pub(crate) hash: u64,
}

impl Packed {
    /// `None` when they are too long.
    #[inline]
    pub(crate) fn of(parts: &[&str]) -> Option<Self> {
        let mut packed = Packed { words: [0; WORDS], n: 0, hash: K };
        for part in parts {
            if part.len() > 255 {
                return None;
            }
            for chunk in part.as_bytes().as_chunks().0 {
                packed.add(u64::from_le_bytes(*chunk))?;
            }
            packed.add(tail(part.as_bytes()) | (part.len() as u64) << 56)?;
        }
        Some(packed)
    }

    #[inline]
    fn add(&mut self, word: u64) -> Option<()> {
        *self.words.get_mut(self.n)? = word;
        self.n += 1;
        self.hash = mix(self.hash, word);
        Some(())
    }

    #[inline]
    pub(crate) fn words(&self) -> &[u64] {
        &self.words[..self.n.min(WORDS)]
    }
}

const K: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn mix(h: u64, word: u64) -> u64 {
    let product = u128::from(h ^ word) * u128::from(K);
    (product as u64) ^ (product >> 64) as u64
}

/// The bytes after the last whole eight, as a word; read without a call and without a loop.
#[inline]
fn tail(bytes: &[u8]) -> u64 {
    let (n, rest) = (bytes.len(), bytes.len() % 8);
    if let (Some(last), true) = (bytes.last_chunk(), rest > 0) {
        return u64::from_le_bytes(*last) >> (8 * (8 - rest));
    }
    if let (Some(first), Some(last), true) = (bytes.first_chunk(), bytes.last_chunk(), n < 8) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << (8 * (n - 4));
    }
    match (n < 8, bytes) {
        (true, [a]) => u64::from(*a),
        (true, [a, b]) => u64::from(*a) | u64::from(*b) << 8,
        (true, [a, b, c]) => u64::from(*a) | u64::from(*b) << 8 | u64::from(*c) << 16,
        _ => 0,
    }
}

fn hash_bytes(mut h: u64, bytes: &[u8]) -> u64 {
    for chunk in bytes.as_chunks().0 {
        h = mix(h, u64::from_le_bytes(*chunk));
    }
    mix(h, tail(bytes) | (bytes.len() as u64) << 56)
}

/// The hash of maps whose keys come from code. What a client sends is looked up in them and never put in.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Fast(u64);

pub(crate) type FastMap<K, V> = std::collections::HashMap<K, V, std::hash::BuildHasherDefault<Fast>>;

impl std::hash::Hasher for Fast {
    fn write(&mut self, bytes: &[u8]) {
        // Keys are texts: each comes in one piece, and then a byte that ends it.
        self.0 ^= hash_bytes(K, bytes);
    }

    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A dotted name of any number of parts, each made safe.
pub(crate) fn dotted(name: &str) -> String {
    name.split('.').map(wire::part).collect::<Vec<_>>().join(".")
}

/// A tag's key or value: what would end it is blanked, and it is short.
pub(crate) fn tag(text: &str) -> String {
    text.chars()
        .take(200)
        .map(|c| if c.is_control() || matches!(c, ',' | '|' | '#' | '\u{7f}') { '_' } else { c })
        .collect()
}

/// The segment of a route pattern: `/helloworld` is `helloworld`, `/` is `root`, `/users/{id}` is `users_id`.
pub(crate) fn route(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    for piece in pattern.split('/') {
        let piece = piece.trim_matches(|c| matches!(c, '{' | '}' | ':' | '*'));
        if !piece.is_empty() {
            if !out.is_empty() {
                out.push('_');
            }
            out.push_str(&wire::part(piece));
        }
    }
    if out.is_empty() { "root".to_owned() } else { wire::part(&out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn routes_become_segments() {
        for (pattern, segment) in [
            ("/helloworld", "helloworld"),
            ("/", "root"),
            ("", "root"),
            ("/users/{id}", "users_id"),
            ("/users/:id/cats", "users_id_cats"),
            ("/files/{*path}", "files_path"),
            ("/kittens.v1.Kittens/List", "kittens_v1_Kittens_List"),
        ] {
            assert_eq!(route(pattern), segment, "{pattern}");
        }
    }

    fn same(a: &[&str], b: &[&str]) -> bool {
        let (a, b) = (Packed::of(a).unwrap(), Packed::of(b).unwrap());
        a.hash == b.hash && a.words() == b.words()
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert!(same(&["cache", "kittens", "hit"], &["cache", "kittens", "hit"]));
        assert!(!same(&["ab", "c"], &["a", "bc"]));
        assert!(!same(&["a", ""], &["", "a"]));
        assert!(!same(&["12345678"], &["12345678", ""]));
        assert!(Packed::of(&[&"x".repeat(200)]).is_none());
    }

    proptest! {
        #[test]
        fn equal_words_are_equal_parts(a in proptest::collection::vec("[ab\0]{0,17}", 1..4), b in proptest::collection::vec("[ab\0]{0,17}", 1..4)) {
            let [x, y]: [Vec<&str>; 2] = [&a, &b].map(|v| v.iter().map(String::as_str).collect());
            prop_assert_eq!(same(&x, &y), x == y);
            prop_assert!(same(&x, &x.clone()));
        }

        #[test]
        fn no_name_breaks_out_of_its_line(name in ".*") {
            let safe = dotted(&name);
            prop_assert!(!safe.contains([':', '|', '\n', '#', '@']));
            let safe = tag(&name);
            prop_assert!(!safe.contains([',', '|', '\n', '#']));
            prop_assert!(!route(&name).contains(['.', ':', '|', '\n', '#', '@']));
        }
    }
}
