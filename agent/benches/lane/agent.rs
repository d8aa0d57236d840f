//! The real agent with one receiver and one back end, on a processor of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::flag;

/// A port that was free a moment ago.
pub(crate) fn port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// This program with all its threads to the second processor; the agent gets the first (see [`start`]). With
/// `--free` the kernel places both.
pub(crate) fn stand_aside() {
    if !flag("free") {
        let pid = std::process::id().to_string();
        let done = Command::new("taskset").args(["-acp", "1", &pid]).stdout(Stdio::null()).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("taskset does not work here: both run where the kernel puts them");
        }
    }
}

/// Starts the agent in `dir` with all receivers off but what `extra` turns on, and waits until `input` accepts.
pub(crate) fn start(dir: &Path, input: SocketAddr, extra: &str) -> Child {
    let sections = [
        ("metrics", "{listen_udp: '', listen_tcp: ''}"),
        ("logs", "{tcp: {listen: 'off'}, udp: {listen: 'off'}, http: {listen: 'off'}}"),
        ("otlp", "{grpc: {listen: 'off'}, http: {listen: 'off'}}"),
        ("spans", "{zipkin: {listen: 'off'}}"),
    ];
    let mut text = format!("data_dir: {}/data\nweb: {{listen: '{}'}}\n{extra}\n", dir.display(), port());
    for (name, value) in sections {
        if !extra.lines().any(|line| line.starts_with(&format!("{name}:"))) {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    let config = dir.join("sightline.yaml");
    std::fs::write(&config, text).unwrap();
    let agent = env!("CARGO_BIN_EXE_sightline");
    let mut command = match flag("free") {
        true => Command::new(agent),
        false => {
            let mut command = Command::new("taskset");
            command.args(["-c", "0", agent]);
            command
        }
    };
    let child = command.args(["run", "--config"]).arg(&config).stdin(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while TcpStream::connect(input).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the agent does not listen on {input}");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}
