//! `sightline-dashboards`: writes the generated files, says which are out of date, or runs every query that is shipped.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to a terminal")]

use std::path::Path;
use std::process::ExitCode;

use sightline_dashboards::{files, queries};

const USAGE: &str =
    "sightline-dashboards write | check | queries [--prometheus URL] [--elasticsearch URL] [--all]";

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
        Some("queries") => {
            let words: Vec<String> = std::env::args().skip(2).collect();
            let value = |name: &str| words.iter().skip_while(|word| *word != name).nth(1).map(String::as_str);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let findings = runtime.block_on(queries::run(value("--prometheus"), value("--elasticsearch")))?;
            anyhow::ensure!(!findings.is_empty(), "nothing was asked: give --prometheus or --elasticsearch");
            let bad = findings.iter().filter(|finding| finding.is_bad()).count();
            for finding in findings.iter().filter(|f| f.is_bad() || words.iter().any(|word| word == "--all"))
            {
                println!("{finding}");
            }
            println!("{} questions asked, {bad} without a proper answer", findings.len());
            Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => {
            eprintln!("usage: {USAGE}");
            Ok(ExitCode::from(64))
        }
    }
}
