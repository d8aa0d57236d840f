//! The binary: reads the command line, runs it, and turns errors into exit codes.

#![allow(unsafe_code, reason = "the allocator's own settings are only to be had from C")]

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

fn main() -> ExitCode {
    memory::use_small_pages();
    // SAFETY: it stores a number, and no other thread runs yet.
    unsafe { mi_option_set(PURGE_DELAY, 20) };
    cli::main(std::env::args_os())
}
