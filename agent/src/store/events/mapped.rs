//! The folder of an index, whose mapped files stay out of the process's memory.
//!
//! The engine reads its files through memory maps, and the kernel counts each page that was touched as the process's
//! own for as long as there is room for it: merging alone walks through every file. The pages are only a view of the
//! kernel's cache, so when there are more of them than a bound, all are given back at once; what is needed again is
//! found in that cache a moment later, without a read from disk.
#![allow(unsafe_code)] // madvise has no safe form; and the engine asks who hands it memory to vouch for its place

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use metrics::counter;
use parking_lot::Mutex;
use stable_deref_trait::StableDeref;
use tantivy::directory::error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, OwnedBytes, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

/// Whoever writes looks after the memory each time that so much has been written.
const LOOK_EVERY: usize = 1 << 20;

/// All maps of this process: what is resident is counted for the process as a whole.
static REGIONS: Mutex<Vec<Weak<Region>>> = Mutex::new(Vec::new());
/// Bytes of mapped files that may be resident.
static BOUND: AtomicU64 = AtomicU64::new(u64::MAX);

/// Sets how many bytes of mapped files may be resident, from now on and for the whole process.
pub(crate) fn bound(bytes: u64) {
    BOUND.store(bytes, Ordering::Relaxed);
}

/// Gives the pages of all mapped files back if there are more than the bound. Cheap if there are not.
pub(crate) fn relieve() {
    let bound = BOUND.load(Ordering::Relaxed);
    if resident().is_some_and(|bytes| bytes > bound) {
        release();
    }
}

/// Bytes of files that this process has resident: its maps, and its own program.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(2)?.parse().ok()?;
    Some(pages * page_size() as u64)
}

fn page_size() -> usize {
    // SAFETY: sysconf reads a constant.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

fn release() {
    // Kept alive while the lock is not held: dropping the last hold of a region unmaps it.
    let mut live = Vec::new();
    REGIONS.lock().retain(|region| match region.upgrade() {
        Some(region) => {
            live.push(region);
            true
        }
        None => false,
    });
    for region in &live {
        region.give_back();
    }
    counter!("sightline_store_mapped_releases_total").increment(1);
}

/// One mapped file.
struct Region(OwnedBytes);

impl Region {
    fn give_back(&self) {
        let (start, length) = (self.0.as_slice().as_ptr(), self.0.len());
        if length == 0 || !(start as usize).is_multiple_of(page_size()) {
            return;
        }
        // SAFETY: the range is a live, shared, read-only map of a file that nobody writes to any more, held by `self`.
        // Its pages come back with the same content when they are touched. A refusal leaves all as it is.
        unsafe { libc::madvise(start.cast_mut().cast(), length, libc::MADV_DONTNEED) };
    }
}

/// A hold of a region, which the engine passes around.
struct Hold(Arc<Region>);

impl Deref for Hold {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.0.as_slice()
    }
}

// SAFETY: the bytes are a memory map behind an `Arc`; moving the hold does not move them.
unsafe impl StableDeref for Hold {}

/// A folder as the engine sees it.
#[derive(Clone)]
pub(crate) struct Mapped {
    inner: MmapDirectory,
    regions: Arc<Mutex<HashMap<PathBuf, Weak<Region>>>>,
}

impl Mapped {
    pub(crate) fn open(dir: &Path) -> Result<Self, OpenDirectoryError> {
        Ok(Mapped { inner: MmapDirectory::open(dir)?, regions: Arc::default() })
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Directory for Mapped {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let mut regions = self.regions.lock();
        if let Some(region) = regions.get(path).and_then(Weak::upgrade) {
            return Ok(Arc::new(OwnedBytes::new(Hold(region))));
        }
        let file = self.inner.get_file_handle(path)?;
        let bytes = file
            .read_bytes(0..file.len())
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        let region = Arc::new(Region(bytes));
        regions.retain(|_, region| region.strong_count() > 0);
        regions.insert(path.to_owned(), Arc::downgrade(&region));
        REGIONS.lock().push(Arc::downgrade(&region));
        Ok(Arc::new(OwnedBytes::new(Hold(region))))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = Watched { file: self.inner.open_write(path)?, written: 0 };
        Ok(BufWriter::new(Box::new(file)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.inner.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}

/// A file being written. Merges write what they read, so here is where their memory is looked after.
struct Watched {
    file: WritePtr,
    written: usize,
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += written;
        if self.written >= LOOK_EVERY {
            self.written = 0;
            relieve();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl TerminatingWrite for Watched {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_mut().terminate_ref(token)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use tantivy::directory::{Directory, TerminatingWrite};

    use super::{Mapped, release};

    /// Resident bytes of the map that begins at `start`. Those of the process depend on what other tests map meanwhile.
    fn resident_at(start: usize) -> usize {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let of_map = maps.lines().skip_while(|line| !line.starts_with(&format!("{start:x}-")));
        let rss = of_map.into_iter().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim_end_matches("kB").trim().parse::<usize>().unwrap() << 10
    }

    #[test]
    fn pages_are_given_back_and_come_again_with_the_same_content() {
        const SIZE: usize = 32 << 20;
        let dir = tempfile::tempdir().unwrap();
        let folder = Mapped::open(dir.path()).unwrap();
        let content: Vec<u8> = (0..SIZE).map(|n| (n / 4096 % 251) as u8).collect();
        let mut file = folder.open_write(Path::new("big")).unwrap();
        file.write_all(&content).unwrap();
        file.terminate().unwrap();

        let first = folder.get_file_handle(Path::new("big")).unwrap();
        let bytes = first.read_bytes(0..SIZE).unwrap();
        assert!(bytes.as_slice() == content.as_slice());
        release();
        let kept = resident_at(bytes.as_slice().as_ptr() as usize);
        assert!(kept < SIZE / 2, "{kept} bytes of what was just read are still resident");
        assert!(bytes.as_slice() == content.as_slice());
        // The same file is mapped once, and for as long as anybody holds it.
        let second = folder.get_file_handle(Path::new("big")).unwrap();
        assert_eq!(second.read_bytes(0..1).unwrap().as_slice().as_ptr(), bytes.as_slice().as_ptr());
        drop((first, second));
        folder.delete(Path::new("big")).unwrap();
        release();
        assert!(bytes.as_slice() == content.as_slice());
    }
}
