//! The binary: reads the command line, runs it, and turns errors into exit codes.

use std::process::ExitCode;

use sightline_agent::{cli, memory};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    memory::use_small_pages();
    cli::main(std::env::args_os())
}
