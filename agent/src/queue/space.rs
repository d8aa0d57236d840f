//! How much room a file system has left. The standard library has no call for it.
#![allow(unsafe_code, reason = "statvfs is only to be had from libc")]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes that an ordinary user can still write where `path` is.
pub(super) fn free(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a terminated string and `stat` is large enough; both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled `stat`.
    let stat = unsafe { stat.assume_init() };
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    #[test]
    fn says_something_of_a_real_folder_and_an_error_of_none() {
        assert!(super::free(std::path::Path::new("/")).unwrap() > 0);
        assert!(super::free(std::path::Path::new("/no/such/folder")).is_err());
    }
}
