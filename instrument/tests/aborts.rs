//! A panic that ends the process at once is reported all the same: the last thing that it does.

use sightline_instrument::{Instrument, LogTarget};
use std::io::Read;
use std::net::TcpListener;
use std::process::Command;

const COLLECTOR: &str = "TEST_COLLECTOR";

/// The process that falls: it does nothing unless [`a_panic_that_cannot_unwind_is_sent_before_the_end`] started it.
#[test]
fn falling() {
    let Ok(collector) = std::env::var(COLLECTOR) else { return };
    let instrument = Instrument::builder("svc")
        .settings(|s| {
            s.service = "svc".to_owned();
            s.logs = LogTarget::Tcp(collector);
            s.statsd = None;
            s.otlp_traces = None;
        })
        .install();
    assert_eq!(instrument.settings().service, "svc");
    // No panic may leave a function that is called from C.
    extern "C" fn fall() {
        panic!("no way back");
    }
    fall();
}

#[test]
fn a_panic_that_cannot_unwind_is_sent_before_the_end() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "falling", "--nocapture"])
        .env(COLLECTOR, collector.local_addr().unwrap().to_string())
        .output()
        .unwrap();
    assert!(!child.status.success());
    collector.set_nonblocking(true).unwrap();
    let mut stream = collector.accept().expect("it spoke before it ended").0;
    stream.set_nonblocking(false).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let said = |message: &str| {
        let mut records = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        records.any(|r| r["event.dataset"] == "svc.panic" && r["error.message"] == message)
    };
    assert!(said("no way back"), "{text}");
    assert!(said("panic in a function that cannot unwind"), "{text}");
}
