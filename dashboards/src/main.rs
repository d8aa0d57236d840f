//! `sightline-dashboards`: writes the generated files, or says which are out of date.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to a terminal")]

use std::path::Path;
use std::process::ExitCode;

use sightline_dashboards::files;

const USAGE: &str = "sightline-dashboards write | check";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sightline-dashboards: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match std::env::args().nth(1).as_deref() {
        Some("write") => {
            for path in files::write(root)? {
                println!("wrote {}", path.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Some("check") => {
            let drifted = files::drifted(root)?;
            for path in &drifted {
                eprintln!(
                    "{} is out of date: run `cargo run -p sightline-dashboards -- write`",
                    path.display()
                );
            }
            Ok(if drifted.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => {
            eprintln!("usage: {USAGE}");
            Ok(ExitCode::from(64))
        }
    }
}
