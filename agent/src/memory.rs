//! How the process takes memory from the kernel.
#![allow(unsafe_code)] // `prctl` has no safe name in the standard library; these arguments are plain numbers

/// Asks for small pages only. The allocator lays its areas out so that the kernel may back them with pages of 2 MiB,
/// of which a small process uses a few kilobytes each: with them an idle agent takes 5 MiB more, and one with 10,000
/// series twice as much. To be called before anything is allocated; children inherit it.
pub extern "C" fn use_small_pages() {
    // SAFETY: takes numbers, touches no memory of ours. A kernel that refuses leaves everything as it was.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0)
    };
}

/// Gives back the pages of code and constants, most of which only the start has needed: 10 MiB of an idle agent. What is
/// needed again comes back from the kernel's cache, which is free to forget the rest. Called once, after the start.
pub fn forget_the_start() {
    for (start, end) in as_in_their_files(&std::fs::read_to_string("/proc/self/smaps").unwrap_or_default()) {
        // SAFETY: pages of a file that nobody has written to; they read the same when they come back.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// Areas that are mapped from a file, cannot be written to, and hold nothing but what the file holds: constants that
/// the loader has adjusted cannot be written to either, but would be lost.
fn as_in_their_files(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut area = None;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-') {
            let of_file = matches!(words.next(), Some("r-xp" | "r--p")) && line.contains(" /");
            let bounds = usize::from_str_radix(start, 16).ok().zip(usize::from_str_radix(end, 16).ok());
            area = bounds.filter(|_| of_file);
        } else if first == "Anonymous:" && words.next() == Some("0") {
            found.extend(area.take());
        }
    }
    found
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

    #[test]
    fn nothing_that_was_written_to_is_given_back() {
        let smaps = "\
            1000-2000 r--p 00000000 fe:00 7 /bin/a\nRss: 4 kB\nAnonymous: 0 kB\nVmFlags: rd mr mw me\n\
            2000-4000 r-xp 00001000 fe:00 7 /bin/a\nAnonymous: 0 kB\n\
            4000-5000 r--p 00003000 fe:00 7 /bin/a\nAnonymous: 4 kB\n\
            5000-6000 rw-p 00004000 fe:00 7 /bin/a\nAnonymous: 0 kB\n\
            6000-7000 r--p 00000000 00:00 0 [vvar]\nAnonymous: 0 kB\n";
        assert_eq!(super::as_in_their_files(smaps), [(0x1000, 0x2000), (0x2000, 0x4000)]);
    }
}
