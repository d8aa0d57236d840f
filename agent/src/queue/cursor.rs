//! Sequence numbers as they are kept on disk, how far the consumer has come and where the records end: two slots
//! written in turn, so that a torn write of one leaves the other.

use std::io;

use super::disk::{Blob, Disk};

/// How far the consumer has come.
pub(super) const NAME: &str = "cursor";
/// Where the records on disk end. It is written after they are, so it promises nothing that was not kept, and what
/// is missing before it is known to be lost.
pub(super) const END: &str = "end";

const SLOT: usize = 32;
/// Slots lie a sector apart, so that no write can tear both.
const STRIDE: u64 = 4096;
const MAGIC: u32 = 0x5351_4331;

/// Everything before `seq` is done, or on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cursor {
    pub(super) seq: u64,
}

pub(super) struct CursorFile {
    file: Box<dyn Blob>,
    generation: u64,
}

impl CursorFile {
    /// Opens or creates the file; `None` as the cursor if neither slot can be read.
    pub(super) fn open(disk: &dyn Disk, name: &str) -> io::Result<(Self, Option<Cursor>)> {
        let file = match disk.open(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(name)?,
            Err(error) => return Err(error),
        };
        let mut best: Option<(u64, Cursor)> = None;
        for slot in 0..2 {
            let mut buf = [0; SLOT];
            if file.read_at(&mut buf, slot * STRIDE)? == SLOT
                && let Some((generation, cursor)) = decode(&buf)
                && best.is_none_or(|(g, _)| generation > g)
            {
                best = Some((generation, cursor));
            }
        }
        let generation = best.map_or(0, |(g, _)| g);
        Ok((CursorFile { file, generation }, best.map(|(_, cursor)| cursor)))
    }

    pub(super) fn write(&mut self, cursor: Cursor) -> io::Result<()> {
        self.generation += 1;
        self.file.write_at(&encode(self.generation, cursor), self.generation % 2 * STRIDE)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

fn encode(generation: u64, cursor: Cursor) -> [u8; SLOT] {
    let mut buf = [0; SLOT];
    buf[4..8].copy_from_slice(&MAGIC.to_le_bytes());
    buf[8..16].copy_from_slice(&generation.to_le_bytes());
    buf[16..24].copy_from_slice(&cursor.seq.to_le_bytes());
    let crc = crc32fast::hash(&buf[4..]);
    buf[..4].copy_from_slice(&crc.to_le_bytes());
    buf
}

fn decode(buf: &[u8; SLOT]) -> Option<(u64, Cursor)> {
    let word = |at: usize| Some(u64::from_le_bytes(buf.get(at..at + 8)?.try_into().ok()?));
    let good = crc32fast::hash(&buf[4..]).to_le_bytes() == buf[..4] && MAGIC.to_le_bytes() == buf[4..8];
    good.then_some(())?;
    Some((word(8)?, Cursor { seq: word(16)? }))
}

#[cfg(test)]
mod tests {
    use super::{Cursor, decode, encode};

    #[test]
    fn a_flipped_bit_spoils_a_slot() {
        let clean = encode(7, Cursor { seq: 41 });
        assert_eq!(decode(&clean), Some((7, Cursor { seq: 41 })));
        for bit in 0..clean.len() * 8 {
            let mut buf = clean;
            buf[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&buf), None, "bit {bit}");
        }
        assert_eq!(decode(&[0; 32]), None);
    }
}
