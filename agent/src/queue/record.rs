//! How a record lies in a segment, and how records are found again after damage.
//!
//! `[crc32 u32][length u32][sequence u64][payload]`, little-endian; the checksum covers all that follows it. The
//! sequence number is known to within the segment's bounds, so it is also what a search for the next good
//! record looks for.

use crc32fast::Hasher;

/// Bytes before the payload.
pub(super) const HEADER: usize = 16;
/// The longest payload that is taken.
pub(super) const MAX_PAYLOAD: usize = 16 << 20;

/// Sequence numbers that can occur at a place: the first and one past the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) first: u64,
    pub(super) end: u64,
}

/// What lies at the start of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A whole record with a right checksum, this many bytes long with its header.
    Record { seq: u64, len: usize },
    /// It may be a record, but this many bytes are needed to tell.
    Needs(usize),
    /// Not a record.
    Damaged,
}

/// Appends one record to `out`.
pub(super) fn encode(out: &mut Vec<u8>, seq: u64, payload: &[u8]) {
    let mut head = [0u8; HEADER];
    head[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[8..].copy_from_slice(&seq.to_le_bytes());
    let mut crc = Hasher::new();
    crc.update(&head[4..]);
    crc.update(payload);
    head[..4].copy_from_slice(&crc.finalize().to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
}

/// Reads the record at the start of `buf`.
pub(super) fn read(buf: &[u8], bounds: Bounds) -> Found {
    let Some((head, rest)) = buf.split_first_chunk::<HEADER>() else { return Found::Needs(HEADER) };
    let (len, seq) = fields(head);
    if len > MAX_PAYLOAD || seq < bounds.first || seq >= bounds.end {
        return Found::Damaged;
    }
    let Some(payload) = rest.get(..len) else { return Found::Needs(HEADER + len) };
    let mut crc = Hasher::new();
    crc.update(&head[4..]);
    crc.update(payload);
    if crc.finalize().to_le_bytes() == head[..4] {
        Found::Record { seq, len: HEADER + len }
    } else {
        Found::Damaged
    }
}

fn fields(head: &[u8; HEADER]) -> (usize, u64) {
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    (word(4) as usize, u64::from(word(8)) | u64::from(word(12)) << 32)
}

/// Where a search in a buffer ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// A good record begins here.
    At(usize),
    /// Something at this place may be a record; it takes more bytes to tell.
    Unsure(usize, usize),
    /// No record begins before this place; what follows is too short to tell.
    None(usize),
}

/// Looks for the first good record in `buf` at or after `from`. `room` is how many bytes of the segment lie
/// from the start of `buf` to its end, so that a length that leaves the segment is not believed.
pub(super) fn search(buf: &[u8], from: usize, room: u64, bounds: Bounds) -> Search {
    // The header's own word first: damage mostly hits a payload, and then the length still leads onward. It is
    // believed only where the very next record lies, as a wrong length may lead to a later one, past good ones.
    if from == 0
        && let Some(head) = buf.first_chunk::<HEADER>()
    {
        let next = HEADER + fields(head).0;
        let found = buf.get(next..).map(|rest| read(rest, bounds));
        if matches!(found, Some(Found::Record { seq, .. }) if seq == bounds.first + 1) {
            return Search::At(next);
        }
    }
    let mut at = from;
    while at + HEADER <= buf.len() {
        match read(&buf[at..], bounds) {
            Found::Record { .. } => return Search::At(at),
            Found::Needs(n) if (at + n) as u64 <= room => return Search::Unsure(at, n),
            _ => at += 1,
        }
    }
    Search::None(at)
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Found, HEADER, Search, encode, read, search};

    const BOUNDS: Bounds = Bounds { first: 5, end: 9 };

    fn records() -> Vec<u8> {
        let mut out = Vec::new();
        for seq in 5..9 {
            encode(&mut out, seq, format!("record {seq}").as_bytes());
        }
        out
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let buf = records();
        assert_eq!(read(&buf, BOUNDS), Found::Record { seq: 5, len: HEADER + 8 });
        assert_eq!(read(&buf[..10], BOUNDS), Found::Needs(HEADER));
        assert_eq!(read(&buf[..20], BOUNDS), Found::Needs(HEADER + 8));
        assert_eq!(read(&buf, Bounds { first: 6, end: 9 }), Found::Damaged);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let clean = records();
        for bit in 0..(HEADER + 8) * 8 {
            let mut buf = clean.clone();
            buf[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(read(&buf, BOUNDS), Found::Record { .. }), "bit {bit}");
            let room = buf.len() as u64;
            let found = match search(&buf, 0, room, BOUNDS) {
                Search::At(at) => at,
                Search::Unsure(at, _) | Search::None(at) => {
                    let Search::At(at) = search(&buf, at + 1, room, BOUNDS) else { panic!("bit {bit}") };
                    at
                }
            };
            assert_eq!(found, HEADER + 8, "bit {bit}: only the hit record is lost");
        }
    }

    #[test]
    fn zeroes_are_not_a_record() {
        assert_eq!(read(&[0; 64], Bounds { first: 0, end: 9 }), Found::Damaged);
    }
}
