//! What a service says that is built with `panic = "abort"`: its process ends with the first panic, and the report is
//! sent before. The program starts itself once more as that service, and is its collector.
//!
//! `cargo run -p last_words --profile abort`
#![allow(clippy::print_stdout, reason = "it shows something")]

use sightline_instrument::{Instrument, LogTarget, annotate};
use std::io::{Error, Read, Result};
use std::net::TcpListener;
use std::process::Command;

fn main() -> Result<()> {
    match std::env::args().nth(1) {
        Some(collector) => falls(collector),
        None => collects(),
    }
}

fn falls(collector: String) -> Result<()> {
    Instrument::builder("kittens").settings(|s| s.logs = LogTarget::Tcp(collector)).install();
    annotate("kittens", 3);
    panic!("the last kitten is gone");
}

fn collects() -> Result<()> {
    if cfg!(panic = "unwind") {
        return Err(Error::other("build it with --profile abort: this one would survive"));
    }
    let collector = TcpListener::bind("127.0.0.1:0")?;
    let address = collector.local_addr()?.to_string();
    let service = Command::new(std::env::current_exe()?).arg(address).output()?;
    if service.status.code().is_some() {
        return Err(Error::other(format!("it did not abort: {}", service.status)));
    }
    // It has ended: what it said waits in the socket, or was never said.
    collector.set_nonblocking(true)?;
    let (mut said, mut text) = (collector.accept()?.0, String::new());
    said.set_nonblocking(false)?;
    said.read_to_string(&mut text)?;
    let reports = |line: &&str| line.contains("kittens.panic") && line.contains("the last kitten is gone");
    let report = text.lines().find(reports).ok_or_else(|| Error::other(format!("no report in: {text}")))?;
    println!("{report}");
    Ok(())
}
