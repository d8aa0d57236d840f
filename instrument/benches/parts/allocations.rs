//! Counts what a thread allocates.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: usize) {
    let _ = COUNT.try_with(|c| {
        let (n, sum) = c.get();
        c.set((n + 1, sum + bytes as u64));
    });
}

// SAFETY: all is passed on to the system's allocator; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Prints the allocations of one call of `work`, the mean of many.
pub(crate) fn tell(name: &str, mut work: impl FnMut()) {
    const TIMES: u64 = 1_000;
    work();
    let before = COUNT.get();
    for _ in 0..TIMES {
        work();
    }
    let after = COUNT.get();
    eprintln!(
        "allocations of a request, {name}: {:.1} of {} bytes in all",
        (after.0 - before.0) as f64 / TIMES as f64,
        (after.1 - before.1) / TIMES
    );
}
