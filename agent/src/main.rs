//! The binary: reads the command line, runs it, and turns errors into exit codes.

#![allow(
    unsafe_code,
    reason = "the allocator's own settings are only to be had from C, and the loader's list by its name"
)]

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

use sightline_agent::{cli, memory};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay`: how many milliseconds freed memory is kept for the next use. The allocator's own second
/// is longer than a burst lasts, and would leave the process as large as its busiest moment.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// The loader calls what stands here before `main`, and a numbered section before the others: the allocator takes its
/// first areas in one of these, and each of them would be a page of 2 MiB.
// SAFETY: it holds a function as the loader expects it, which needs nothing of what the runtime sets up.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array.00101")]
static BEFORE_MAIN: extern "C" fn() = memory::use_small_pages;

fn main() -> ExitCode {
    // SAFETY: it stores a number, and no other thread runs yet.
    unsafe { mi_option_set(PURGE_DELAY, 20) };
    cli::main(std::env::args_os())
}
