//! The log beside the head: what is in memory only, so that a killed agent finds it again.
//!
//! Frames `[length u32][crc32 u32][payload]`, little-endian. A torn tail is cut off when the log is opened; a broken frame
//! with good ones behind it is passed over and said.
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// No frame of ours is longer; a greater length is damage.
const MAX_FRAME: usize = 64 << 20;
/// Bytes that are summed in the search for the next good frame; then the rest is given up.
const MOST_SEARCHED: u64 = 2 << 30;

pub(crate) struct Log {
    file: File,
    bytes: u64,
    frame: Vec<u8>,
}

/// What was found when a log was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) frames: u64,
    /// Broken stretches between good frames, passed over.
    pub(crate) lost: u64,
    /// Bytes behind the last good frame, cut off.
    pub(crate) cut: u64,
}

impl Log {
    /// Opens or creates a log, gives each good frame to `each`, and nothing for each broken stretch between two of them.
    pub(crate) fn open(path: &Path, mut each: impl FnMut(Option<&[u8]>)) -> io::Result<(Log, Replay)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let length = file.metadata()?.len();
        let mut replay = Replay::default();
        let mut good = 0u64;
        let mut payload = Vec::new();
        while good < length {
            // Read ahead from here; a broken stretch begins a new one behind it.
            file.seek(SeekFrom::Start(good))?;
            let mut reader = io::BufReader::with_capacity(1 << 18, &file);
            while read_frame(&mut reader, length - good, &mut payload) {
                each(Some(&payload));
                replay.frames += 1;
                good += HEADER + payload.len() as u64;
            }
            match next_good(&file, good, length)? {
                Some(next) => {
                    each(None);
                    replay.lost += 1;
                    good = next;
                }
                None => break,
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

    /// A second handle, to sync without holding up who writes on.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Length and checksum before each payload.
const HEADER: u64 = 8;

/// True if a whole and good frame was read of the `left` bytes that there are.
fn read_frame(reader: &mut impl Read, left: u64, payload: &mut Vec<u8>) -> bool {
    let mut header = [0u8; HEADER as usize];
    if reader.read_exact(&mut header).is_err() {
        return false;
    }
    let (len, crc) = (word(&header, 0) as usize, word(&header, 4));
    if len > MAX_FRAME || len as u64 + HEADER > left {
        return false;
    }
    payload.resize(len, 0);
    reader.read_exact(payload).is_ok() && crc32fast::hash(payload) == crc
}

/// Where the first good frame behind a broken one begins. The length of the broken one is tried first: most likely it
/// is not what broke.
fn next_good(mut file: &File, broken: u64, length: u64) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(broken))?;
    let mut rest = Vec::new();
    file.take(MAX_FRAME as u64 * 2).read_to_end(&mut rest)?;
    if rest.len() < HEADER as usize {
        return Ok(None);
    }
    let told =
        (HEADER as usize).saturating_add(rest.first_chunk().map_or(0, |header| word(header, 0)) as usize);
    let mut searched = 0;
    for at in std::iter::once(told).chain(1..rest.len()) {
        let Some(header) = rest.get(at..).and_then(|r| r.first_chunk::<{ HEADER as usize }>()) else {
            continue;
        };
        let (len, crc) = (word(header, 0) as usize, word(header, 4));
        // A frame of nothing is no frame of ours, and zeros look like one.
        let Some(payload) =
            rest.get(at + header.len()..).and_then(|r| r.get(..len)).filter(|p| !p.is_empty())
        else {
            continue;
        };
        searched += len as u64;
        if crc32fast::hash(payload) == crc {
            return Ok(Some(broken + at as u64).filter(|next| *next < length));
        }
        if searched > MOST_SEARCHED {
            break;
        }
    }
    Ok(None)
}

fn word(bytes: &[u8; 8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(path: &Path) -> (Vec<Vec<u8>>, Replay) {
        let mut out = Vec::new();
        let (_, replay) = Log::open(path, |f| out.push(f.map_or(b"lost".to_vec(), <[u8]>::to_vec))).unwrap();
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
    fn a_flipped_bit_costs_its_frame_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (mut log, _) = Log::open(&path, |_| {}).unwrap();
        for payload in [&b"one"[..], b"two", b"three", b"four"] {
            log.append(payload).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                std::fs::write(&path, &bytes).unwrap();
                let mut expected = vec!["one", "two", "three", "four"];
                // The last one has nothing behind it that is good: it is a tail.
                let hit = [11, 22, 35, 47].iter().position(|end| at < *end).unwrap();
                let cut = if hit == 3 { 12 } else { 0 };
                expected[hit] = "lost";
                expected.truncate(if hit == 3 { 3 } else { 4 });
                let (found, replay) = frames(&path);
                let found: Vec<&str> = found.iter().map(|f| std::str::from_utf8(f).unwrap()).collect();
                assert_eq!(found, expected, "byte {at}, bit {bit}");
                assert_eq!(replay, Replay { frames: 3, lost: u64::from(hit < 3), cut });
                // And it goes on behind.
                let (mut log, _) = Log::open(&path, |_| {}).unwrap();
                log.append(b"new").unwrap();
                assert_eq!(frames(&path).0.last().unwrap(), b"new");
            }
        }
    }
}
