//! The real agent with one receiver and one back end, on a processor of its own.

use std::io::{Read, Write};
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

/// A running agent. It ends with this value, at once.
pub(crate) struct Agent {
    child: Child,
    web: SocketAddr,
}

impl Agent {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The value of a metric of its own.
    pub(crate) fn metric(&self, start: &str) -> Option<f64> {
        let mut stream = TcpStream::connect(self.web).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: agent\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.lines().find(|line| line.starts_with(start))?.rsplit(' ').next()?.parse().ok()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the agent in `dir` with all receivers off but what `extra` turns on, and waits until `input` accepts.
pub(crate) fn start(dir: &Path, input: SocketAddr, extra: &str) -> Agent {
    let web = port();
    let sections = [
        ("metrics", "{listen_udp: '', listen_tcp: ''}"),
        ("logs", "{tcp: {listen: 'off'}, udp: {listen: 'off'}, http: {listen: 'off'}}"),
        ("otlp", "{grpc: {listen: 'off'}, http: {listen: 'off'}}"),
        ("spans", "{zipkin: {listen: 'off'}}"),
    ];
    let mut text = format!("data_dir: {}/data\nweb: {{listen: '{}'}}\n{extra}\n", dir.display(), web);
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
    Agent { child, web }
}
