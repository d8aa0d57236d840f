//! Sealed samples on disk: columns packed by pco, one set a series, found by an index at the file's end.
//!
//! `[magic][series…][index][footer]`; a series is `[crc32][lengths][columns]`. A file is written beside its place,
//! synced and renamed, so that there is a whole one or none. Damage costs the series that it hits. The histograms of a
//! series are an entry of their own behind those of numbers, packed already.
use super::codec::{Take, put};
use super::native::NATIVE;
use super::table::Id;
use parking_lot::Mutex;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"SLMETR01";
/// Of a block with histograms: what does not know them sets it aside instead of reading numbers into it.
const NATIVE_MAGIC: &[u8; 8] = b"SLMETR02";
const FOOTER: usize = 8 + 4 + 4 + 8 + 8 + 8;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) id: Id,
    offset: u64,
    length: u32,
}

const ENTRY: usize = 16;

/// One column of a series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Column {
    Whole(Vec<i64>),
    Real(Vec<f64>),
}

pub(crate) struct Block {
    pub(crate) path: PathBuf,
    file: File,
    /// The times that it covers, the end excluded.
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) bytes: u64,
    /// It holds histograms.
    natives: bool,
    index_at: u64,
    entries: usize,
    index: Mutex<Option<Arc<Vec<Entry>>>>,
}

pub(crate) fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Writes one block; series have to come in order of their ids.
pub(crate) struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    at: u64,
    entries: Vec<Entry>,
    span: (i64, i64),
}

impl Writer {
    pub(crate) fn create(path: &Path, span: (i64, i64)) -> io::Result<Writer> {
        let file = File::create(path.with_extension("new"))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        file.write_all(MAGIC)?;
        Ok(Writer { path: path.to_owned(), file, at: MAGIC.len() as u64, entries: Vec::new(), span })
    }

    pub(crate) fn series(&mut self, id: Id, columns: &[Column]) -> io::Result<()> {
        let config = pco::ChunkConfig::default().with_compression_level(4);
        let mut packed = Vec::with_capacity(columns.len());
        for column in columns {
            let bytes = match column {
                Column::Whole(v) => pco::standalone::simple_compress(v, &config),
                Column::Real(v) => pco::standalone::simple_compress(v, &config),
            };
            packed.push(bytes.map_err(|e| bad(&e.to_string()))?);
        }
        let mut body = Vec::with_capacity(packed.iter().map(|p| p.len() + 4).sum());
        packed.iter().for_each(|p| put(&mut body, p.len() as u64));
        packed.iter().for_each(|p| body.extend_from_slice(p));
        self.entry(id, &body)
    }

    /// The histograms of a series, behind all series of numbers.
    pub(crate) fn natives(&mut self, id: Id, chunks: &[u8]) -> io::Result<()> {
        self.entry(id | NATIVE, chunks)
    }

    fn entry(&mut self, id: Id, body: &[u8]) -> io::Result<()> {
        self.file.write_all(&crc32fast::hash(body).to_le_bytes())?;
        self.file.write_all(body)?;
        let length = body.len() as u32 + 4;
        self.entries.push(Entry { id, offset: self.at, length });
        self.at += u64::from(length);
        Ok(())
    }

    /// The finished block, or nothing if it has no series.
    pub(crate) fn finish(mut self) -> io::Result<Option<Block>> {
        let next = self.path.with_extension("new");
        if self.entries.is_empty() {
            drop(self.file);
            std::fs::remove_file(next)?;
            return Ok(None);
        }
        let mut index = Vec::with_capacity(self.entries.len() * ENTRY);
        for e in &self.entries {
            index.extend_from_slice(&e.id.to_le_bytes());
            index.extend_from_slice(&e.offset.to_le_bytes());
            index.extend_from_slice(&e.length.to_le_bytes());
        }
        self.file.write_all(&index)?;
        self.file.write_all(&self.at.to_le_bytes())?;
        self.file.write_all(&(self.entries.len() as u32).to_le_bytes())?;
        self.file.write_all(&crc32fast::hash(&index).to_le_bytes())?;
        self.file.write_all(&self.span.0.to_le_bytes())?;
        self.file.write_all(&self.span.1.to_le_bytes())?;
        let natives = self.entries.last().is_some_and(|e| e.id >= NATIVE);
        self.file.write_all(if natives { NATIVE_MAGIC } else { MAGIC })?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(&next, &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        Block::open(&self.path).map(Some)
    }
}

impl Block {
    pub(crate) fn open(path: &Path) -> io::Result<Block> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut footer = [0u8; FOOTER];
        let at = bytes.checked_sub(FOOTER as u64).ok_or_else(|| bad("too short to be a block"))?;
        file.read_exact_at(&mut footer, at)?;
        let mut take = Take(&footer);
        let wrong = || bad("the footer is not one of a block");
        let index_at = take.u64().ok_or_else(wrong)?;
        let entries = take.u32().ok_or_else(wrong)? as usize;
        let crc = take.u32().ok_or_else(wrong)?;
        let start = take.i64().ok_or_else(wrong)?;
        let end = take.i64().ok_or_else(wrong)?;
        let natives = take.0 == NATIVE_MAGIC;
        if !(natives || take.0 == MAGIC) || index_at.saturating_add((entries * ENTRY) as u64) != at {
            return Err(wrong());
        }
        let mut index = vec![0u8; entries * ENTRY];
        file.read_exact_at(&mut index, index_at)?;
        if crc32fast::hash(&index) != crc {
            return Err(bad("the index does not match its checksum"));
        }
        let index = Mutex::new(None);
        Ok(Block { path: path.to_owned(), file, start, end, bytes, natives, index_at, entries, index })
    }

    /// Sorted by id. Read when first wanted.
    pub(crate) fn index(&self) -> io::Result<Arc<Vec<Entry>>> {
        let mut slot = self.index.lock();
        if let Some(index) = &*slot {
            return Ok(index.clone());
        }
        let mut bytes = vec![0u8; self.entries * ENTRY];
        self.file.read_exact_at(&mut bytes, self.index_at)?;
        let entry = |e: &[u8]| -> Option<Entry> {
            let mut take = Take(e);
            Some(Entry { id: take.u32()?, offset: take.u64()?, length: take.u32()? })
        };
        let index = Arc::new(bytes.chunks_exact(ENTRY).filter_map(entry).collect::<Vec<_>>());
        *slot = Some(index.clone());
        Ok(index)
    }

    /// Gives the memory of the index back until it is wanted again.
    pub(crate) fn forget_index(&self) {
        *self.index.lock() = None;
    }

    pub(crate) fn index_bytes(&self) -> usize {
        self.index.lock().as_ref().map_or(0, |i| i.len() * size_of::<Entry>())
    }

    pub(crate) fn find(&self, id: Id) -> io::Result<Option<Entry>> {
        let index = self.index()?;
        Ok(index.binary_search_by_key(&id, |e| e.id).ok().map(|at| index[at]))
    }

    fn body(&self, entry: Entry) -> io::Result<Vec<u8>> {
        let mut crc = [0u8; 4];
        let length =
            (entry.length as usize).checked_sub(crc.len()).ok_or_else(|| bad("a series is damaged"))?;
        let mut body = vec![0u8; length];
        self.file.read_exact_at(&mut crc, entry.offset)?;
        self.file.read_exact_at(&mut body, entry.offset + crc.len() as u64)?;
        if crc32fast::hash(&body) != u32::from_le_bytes(crc) {
            return Err(bad("a series does not match its checksum"));
        }
        Ok(body)
    }

    /// The packed histograms of a series; none if it has none here.
    pub(crate) fn packed(&self, id: Id) -> io::Result<Option<Vec<u8>>> {
        if !self.natives {
            return Ok(None);
        }
        match self.find(id | NATIVE)? {
            Some(entry) => self.body(entry).map(Some),
            None => Ok(None),
        }
    }

    /// The columns of one series; `reals` says which of them hold real numbers.
    pub(crate) fn columns(&self, entry: Entry, reals: &[bool]) -> io::Result<Vec<Column>> {
        let wrong = || bad("a series is damaged");
        let body = self.body(entry)?;
        let mut take = Take(&body);
        let mut lengths = Vec::with_capacity(reals.len());
        for _ in reals {
            lengths.push(take.number().ok_or_else(wrong)? as usize);
        }
        let mut out = Vec::with_capacity(reals.len());
        for (real, length) in reals.iter().zip(lengths) {
            let packed = take.bytes(length).ok_or_else(wrong)?;
            let failed = |e: pco::errors::PcoError| bad(&e.to_string());
            out.push(if *real {
                Column::Real(pco::standalone::simple_decompress(packed).map_err(failed)?)
            } else {
                Column::Whole(pco::standalone::simple_decompress(packed).map_err(failed)?)
            });
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::promql::{is_stale, stale};

    fn written(dir: &Path) -> Block {
        let mut w = Writer::create(&dir.join("b.blk"), (0, 100)).unwrap();
        w.series(3, &[Column::Whole(vec![1, 2]), Column::Real(vec![0.5, stale()])]).unwrap();
        w.series(7, &[Column::Whole(vec![5]), Column::Real(vec![-0.0])]).unwrap();
        w.finish().unwrap().unwrap()
    }

    #[test]
    fn reads_back_each_bit() {
        let dir = tempfile::tempdir().unwrap();
        let block = written(dir.path());
        assert_eq!((block.start, block.end), (0, 100));
        let entry = block.find(3).unwrap().unwrap();
        let columns = block.columns(entry, &[false, true]).unwrap();
        assert_eq!(columns[0], Column::Whole(vec![1, 2]));
        let Column::Real(values) = &columns[1] else { panic!() };
        assert!(values[0] == 0.5 && is_stale(values[1]));
        assert!(block.find(4).unwrap().is_none());
    }

    #[test]
    fn damage_is_found_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let block = written(dir.path());
        let mut bytes = std::fs::read(&block.path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&block.path, &bytes).unwrap();
        let block = Block::open(&block.path).unwrap();
        assert!(block.columns(block.find(3).unwrap().unwrap(), &[false, true]).is_err());
        assert!(block.columns(block.find(7).unwrap().unwrap(), &[false, true]).is_ok());
        for cut in [0, 10, bytes.len() - 1] {
            std::fs::write(&block.path, &bytes[..cut]).unwrap();
            assert!(Block::open(&block.path).is_err(), "cut at {cut}");
        }
    }
}
