//! How the process takes memory from the kernel.
#![allow(unsafe_code)] // `prctl` has no safe name in the standard library; these arguments are plain numbers

/// Asks for small pages only. The allocator lays its areas out so that the kernel may back them with pages of 2 MiB,
/// of which a small process uses a few kilobytes each: with them an idle agent takes 5 MiB more, and one with 10,000
/// series twice as much. To be called before anything large is allocated; children inherit it.
pub fn use_small_pages() {
    // SAFETY: takes numbers, touches no memory of ours. A kernel that refuses leaves everything as it was.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0)
    };
}

/// Gives back the pages of the program's own code, most of which only its start has needed: 8 MiB of an idle agent. What
/// is needed again comes back from the kernel's cache, which is free to forget the rest. Called once, after the start.
pub fn forget_the_start() {
    let here = forget_the_start as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let code = maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        // Without the right to write nothing there differs from the file.
        (rest.starts_with("r-xp") && (start..end).contains(&here)).then_some((start, end - start))
    });
    if let Some((start, len)) = code {
        // SAFETY: pages of a file that nobody has written to; they read the same when they come back.
        unsafe { libc::madvise(start as *mut libc::c_void, len, libc::MADV_DONTNEED) };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_goes_on_without_its_start() {
        let before: usize = (0..1000).map(std::hint::black_box).sum();
        super::forget_the_start();
        let after: usize = (0..1000).map(std::hint::black_box).sum();
        assert_eq!(before, after);
    }
}
