//! The ids that join a request's metric, log, trace and panic: correlation id, trace id, span id.

use std::fmt;

/// A correlation id: short, printable, harmless in a header, a log line and a query.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId {
    len: u8,
    text: [u8; Self::MAX],
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl RequestId {
    /// Longest id taken from a client.
    pub(crate) const MAX: usize = 64;

    /// Takes a client's id if it is of 1 to 64 characters out of `A-Z a-z 0-9 - _ .`.
    pub(crate) fn accept(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > Self::MAX {
            return None;
        }
        if !bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
            return None;
        }
        let mut text = [0; Self::MAX];
        text[..bytes.len()].copy_from_slice(bytes);
        Some(RequestId { len: bytes.len() as u8, text })
    }

    /// A version 4 UUID of these random bits.
    pub(crate) fn uuid(random: u128) -> Self {
        let bits = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
        let digits = hex32(bits);
        let mut text = [0; Self::MAX];
        for (from, to, len) in [(0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 12)] {
            text[to..to + len].copy_from_slice(&digits[from..from + len]);
        }
        for dash in [8, 13, 18, 23] {
            text[dash] = b'-';
        }
        RequestId { len: 36, text }
    }

    /// ASCII that needs no escaping anywhere.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only ASCII is ever put in.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in which trace something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanIds {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) sampled: bool,
}

/// Lower-case hexadecimal with leading zeros.
#[inline]
pub(crate) fn hex32(value: u128) -> [u8; 32] {
    let mut out = [0; 32];
    out[..16].copy_from_slice(&hex16((value >> 64) as u64));
    out[16..].copy_from_slice(&hex16(value as u64));
    out
}

/// Each byte as two digits.
const PAIRS: [[u8; 2]; 256] = {
    let (mut pairs, mut byte) = ([[0; 2]; 256], 0);
    while byte < 256 {
        pairs[byte] = [HEX[byte >> 4], HEX[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Lower-case hexadecimal with leading zeros.
#[inline]
pub(crate) fn hex16(value: u64) -> [u8; 16] {
    let mut out = [0; 16];
    for (pair, byte) in out.as_chunks_mut().0.iter_mut().zip(value.to_be_bytes()) {
        *pair = PAIRS[usize::from(byte)];
    }
    out
}

/// Reads exactly this many hexadecimal digits of either case; `None` for anything else.
pub(crate) fn parse_hex(text: &[u8]) -> Option<u128> {
    if text.is_empty() || text.len() > 32 {
        return None;
    }
    let mut value = 0u128;
    for b in text {
        value = value << 4 | u128::from((*b as char).to_digit(16)?);
    }
    Some(value)
}

/// Where random ids come from. Tests count instead.
#[derive(Debug)]
pub(crate) enum IdSource {
    Random,
    Counting(std::sync::atomic::AtomicU64),
}

impl IdSource {
    /// Never 0.
    pub(crate) fn trace_id(&self) -> u128 {
        match self {
            IdSource::Random => fastrand::u128(..).max(1),
            IdSource::Counting(_) => u128::from(self.span_id()),
        }
    }

    /// Never 0.
    pub(crate) fn span_id(&self) -> u64 {
        match self {
            IdSource::Random => fastrand::u64(..).max(1),
            IdSource::Counting(next) => next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1,
        }
    }

    pub(crate) fn request_id(&self) -> RequestId {
        match self {
            IdSource::Random => RequestId::uuid(fastrand::u128(..)),
            IdSource::Counting(_) => RequestId::uuid(u128::from(self.span_id())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_clean_ids_are_taken() {
        assert_eq!(RequestId::accept(b"abc-1.2_3").unwrap().as_str(), "abc-1.2_3");
        assert!(RequestId::accept(&[b'a'; 64]).is_some());
        assert!(RequestId::accept(&[b'a'; 65]).is_none());
        for bad in [&b""[..], b"a b", b"a\"b", b"a\nb", "\u{e4}".as_bytes(), b"${jndi:x}"] {
            assert!(RequestId::accept(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_new_id_is_a_version_4_uuid() {
        assert_eq!(RequestId::uuid(0).as_str(), "00000000-0000-4000-8000-000000000000");
        assert_eq!(RequestId::uuid(u128::MAX).as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn hexadecimal_is_there_and_back() {
        assert_eq!(parse_hex(&hex32(0x00ab_cdef)), Some(0x00ab_cdef));
        assert_eq!(parse_hex(&hex16(u64::MAX)), Some(u128::from(u64::MAX)));
        assert_eq!(parse_hex(b"xyz"), None);
        assert_eq!(parse_hex(b""), None);
    }
}
