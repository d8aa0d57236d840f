//! Names made safe, and a fast hash of their parts.

use crate::wire;

/// Hash of parts, a separator between them. Not for hostile input: what it indexes is bounded.
#[inline]
pub(crate) fn hash(parts: &[&str]) -> u64 {
    parts.iter().fold(K, |h, part| hash_bytes(h, part.as_bytes()))
}

const K: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn hash_bytes(mut h: u64, bytes: &[u8]) -> u64 {
    #[inline]
    fn mix(h: u64, word: u64) -> u64 {
        let product = u128::from(h ^ word) * u128::from(K);
        (product as u64) ^ (product >> 64) as u64
    }
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        // A chunk of chunks_exact(8) is eight bytes long.
        h = mix(h, u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
    }
    let mut last = [0u8; 8];
    let rest = chunks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    last[7] = bytes.len() as u8;
    mix(h, u64::from_le_bytes(last))
}

/// [`hash`] for maps whose keys come from code. What a client sends is looked up in them and never put in.
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

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["a", ""]), hash(&["", "a"]));
        assert_ne!(hash(&["12345678"]), hash(&["12345678", ""]));
    }

    proptest! {
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
