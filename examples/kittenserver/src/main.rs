//! The sample service as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    kittenserver::main(std::env::args_os())
}
