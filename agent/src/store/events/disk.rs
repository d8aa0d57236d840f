//! Sizes on disk and free space.
#![allow(unsafe_code)] // statvfs has no safe form in the standard library

use std::path::Path;

/// Bytes of the files directly in `dir`; 0 if it cannot be read.
pub(crate) fn size_of(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(|meta| meta.is_file())
        .map(|m| m.len())
        .sum()
}

/// Bytes that this process may still write below `dir`; `None` if the system does not say.
pub(crate) fn free(dir: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(dir.as_os_str().as_bytes()).ok()?;
    // SAFETY: all-zero bytes are a valid statvfs; the path is a C string and the pointer is to a live local.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let result = unsafe { libc::statvfs(path.as_ptr(), &raw mut stat) };
    (result == 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    #[test]
    fn free_space_is_known_for_a_folder_and_not_for_nothing() {
        assert!(super::free(std::path::Path::new("/")).is_some_and(|bytes| bytes > 0));
        assert_eq!(super::free(std::path::Path::new("/no/such/folder")), None);
    }
}
