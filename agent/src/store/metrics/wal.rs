//! The log beside the head: what is in memory only, so that a killed agent finds it again.
//!
//! Frames `[length u32][crc32 u32][payload]`, little-endian. A torn or broken tail is cut off when the log is opened;
//! what stands before it is used.
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// No frame of ours is longer; a greater length is damage.
const MAX_FRAME: usize = 64 << 20;

pub(crate) struct Log {
    file: File,
    bytes: u64,
    frame: Vec<u8>,
}

/// What was found when a log was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) frames: u64,
    /// Bytes behind the last good frame, cut off.
    pub(crate) cut: u64,
}

impl Log {
    /// Opens or creates a log, gives each good frame to `each`, and cuts off the rest.
    pub(crate) fn open(path: &Path, mut each: impl FnMut(&[u8])) -> io::Result<(Log, Replay)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let length = file.metadata()?.len();
        let mut replay = Replay::default();
        let mut good = 0u64;
        {
            let mut reader = io::BufReader::with_capacity(1 << 18, &file);
            let mut payload = Vec::new();
            let mut header = [0u8; 8];
            while reader.read_exact(&mut header).is_ok() {
                let (len, crc) = (word(&header, 0) as usize, word(&header, 4));
                if len > MAX_FRAME || len as u64 > length - good {
                    break;
                }
                payload.resize(len, 0);
                if reader.read_exact(&mut payload).is_err() || crc32fast::hash(&payload) != crc {
                    break;
                }
                each(&payload);
                replay.frames += 1;
                good += 8 + len as u64;
            }
        }
        replay.cut = length - good;
        if replay.cut > 0 {
            file.set_len(good)?;
        }
        file.seek(SeekFrom::Start(good))?;
        Ok((Log { file, bytes: good, frame: Vec::new() }, replay))
    }

    /// Appends one frame and lets the system write it when it likes: a kill does not lose it, a power cut may.
    pub(crate) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        self.frame.clear();
        self.frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.frame.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
        self.frame.extend_from_slice(payload);
        if let Err(error) = self.file.write_all(&self.frame) {
            // Half a frame would hide all that follow it.
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            return Err(error);
        }
        self.bytes += self.frame.len() as u64;
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn word(bytes: &[u8; 8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(path: &Path) -> (Vec<Vec<u8>>, Replay) {
        let mut out = Vec::new();
        let (_, replay) = Log::open(path, |f| out.push(f.to_vec())).unwrap();
        (out, replay)
    }

    #[test]
    fn a_torn_tail_is_cut_and_the_log_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (mut log, _) = Log::open(&path, |_| {}).unwrap();
        log.append(b"one").unwrap();
        log.append(b"two").unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (found, _) = frames(&path);
            let wanted = cut / 11;
            assert_eq!(found.len(), wanted, "cut at {cut}");
            let (mut log, _) = Log::open(&path, |_| {}).unwrap();
            log.append(b"new").unwrap();
            assert_eq!(frames(&path).0.last().unwrap(), b"new");
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_log_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (mut log, _) = Log::open(&path, |_| {}).unwrap();
        log.append(b"one").unwrap();
        log.append(b"two").unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(frames(&path), (vec![b"one".to_vec()], Replay { frames: 1, cut: 11 }));
    }
}
