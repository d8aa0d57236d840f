//! The processes under test: kittenserver with or without its instrumentation, and the collector.

use kittenserver::app;
use sightline_instrument::{Instrument, LogTarget};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Serves until standard input ends. `collectors`: the addresses for StatsD, logs and spans, or nothing: without
/// instrumentation.
pub(crate) fn serve(collectors: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = app::router(app::State::open(None, address).unwrap());
        println!("{address}");
        let ended = async {
            let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
        };
        if collectors.is_empty() {
            axum::serve(listener, router).with_graceful_shutdown(ended).await.unwrap();
            return;
        }
        let addresses: Vec<String> = collectors.split(',').map(str::to_owned).collect();
        let instrument = Instrument::builder("kittenserver")
            .settings(|s| {
                s.statsd = Some(addresses[0].clone());
                s.logs = LogTarget::Tcp(addresses[1].clone());
                s.otlp_traces = Some(format!("http://{}/v1/traces", addresses[2]));
                s.console = false;
                // Load makes every service slow: it is not to be sent away by its health.
                s.log_filter = "info".to_owned();
            })
            .install();
        instrument.serve(listener, router, ended).await.unwrap();
    });
}

/// This program in another role, on one core.
fn role(core: &str, args: &[&str]) -> (Child, String) {
    let mut child = Command::new("taskset")
        .args(["-c", core])
        .arg(std::env::current_exe().unwrap())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("taskset, of util-linux, is needed");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().to_owned())
}

/// Keeps a process, or one thread, to these cores.
pub(crate) fn pin(id: u32, cores: &str, all_threads: bool) {
    let what = if all_threads { "-acp" } else { "-cp" };
    let done = Command::new("taskset").args([what, cores, &id.to_string()]).stdout(Stdio::null()).status();
    assert!(done.is_ok_and(|s| s.success()), "taskset, of util-linux, is needed");
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// `collectors` as for [`serve`].
    pub(crate) fn start(collectors: String) -> Self {
        let (child, line) = role("0", &["--role", "server", "--collectors", &collectors]);
        Server { child, address: line.parse().expect("the server's address") }
    }

    /// Lets the crate's own threads use both cores.
    pub(crate) fn spread(&self) {
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().flatten() {
            if std::fs::read_to_string(task.path().join("comm")).is_ok_and(|n| n.starts_with("sightline")) {
                pin(task.file_name().to_string_lossy().parse().unwrap(), "0,1", false);
            }
        }
    }

    /// CPU seconds by thread, and how often a thread was exchanged for another.
    pub(crate) fn figures(&self) -> Figures {
        let mut cpu: BTreeMap<String, f64> = BTreeMap::new();
        let mut switches = 0.0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().flatten() {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            // Nanoseconds on a processor come first.
            let ns: f64 = read("schedstat").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
            switches += read("status")
                .lines()
                .filter(|l| l.contains("ctxt_switches"))
                .filter_map(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok())
                .sum::<f64>();
            let name = read("comm").trim().to_owned();
            let name = if name.starts_with("sightline") { name } else { "serving".to_owned() };
            *cpu.entry(name).or_default() += ns / 1e9;
        }
        Figures { cpu, switches }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// CPU seconds by thread, and switches from one thread to another.
pub(crate) struct Figures {
    cpu: BTreeMap<String, f64>,
    switches: f64,
}

impl Figures {
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu.values().sum()
    }

    /// Microseconds a request by thread; switches a request.
    pub(crate) fn since(&self, before: &Figures, requests: usize) -> String {
        let mut out = String::new();
        for (name, cpu) in &self.cpu {
            let us = (cpu - before.cpu.get(name).copied().unwrap_or(0.0)) * 1e6 / requests as f64;
            out.push_str(&format!(" {} {us:.1}", name.trim_start_matches("sightline-")));
        }
        let switches = (self.switches - before.switches) / requests as f64;
        out.push_str(&format!(", {switches:.1} switches"));
        out
    }
}

/// The collector's process.
pub(crate) struct Collectors {
    child: Child,
    /// Of the real agent.
    data: Option<PathBuf>,
    /// For [`serve`].
    pub(crate) addresses: String,
}

impl Collectors {
    /// One that reads and forgets, or the agent of this path with its embedded store.
    pub(crate) fn start(agent: Option<&str>) -> Self {
        let Some(agent) = agent else {
            let (child, line) = role("1", &["--role", "collector"]);
            return Collectors { child, data: None, addresses: line.replace(' ', ",") };
        };
        let free =
            [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string());
        let data = std::env::temp_dir().join(format!("sightline-bench-service-{}", std::process::id()));
        let mut command = Command::new("taskset");
        command.args(["-c", "1", agent, "run"]).env("SIGHTLINE_DATA_DIR", &data).stderr(Stdio::null());
        for (key, address) in [
            ("WEB__LISTEN", "127.0.0.1:0"),
            ("METRICS__LISTEN_UDP", &free[0]),
            ("METRICS__LISTEN_TCP", "off"),
            ("LOGS__TCP__LISTEN", &free[1]),
            ("LOGS__UDP__LISTEN", "off"),
            ("LOGS__HTTP__LISTEN", "off"),
            ("SPANS__ZIPKIN__LISTEN", "off"),
            ("OTLP__HTTP__LISTEN", &free[2]),
            ("OTLP__GRPC__LISTEN", "off"),
        ] {
            command.env(format!("SIGHTLINE_{key}"), address);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the agent");
        let collectors = Collectors { child, data: Some(data), addresses: free.join(",") };
        let deadline = Instant::now() + Duration::from_secs(20);
        while free[1..].iter().any(|a| TcpStream::connect(a).is_err()) {
            assert!(Instant::now() < deadline, "the agent does not listen: try `{agent} run`");
            std::thread::sleep(Duration::from_millis(20));
        }
        collectors
    }

    /// As a crash would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Collectors {
    fn drop(&mut self) {
        self.kill();
        if let Some(data) = &self.data {
            let _ = std::fs::remove_dir_all(data);
        }
    }
}
