//! The real binary as a child process: the agent and the sample service, each on ports of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{eventually, free_port, get_text};

/// A child that ends with the test. What it wrote to stderr stays readable.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Runs the `sightline` binary with `args` and only the environment given.
    pub(crate) fn start(args: &[&str], env: &[(&str, &str)], log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_sightline"))
            .args(args)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Process { child, log: log.to_owned() }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success(), "kill {signal} {pid}");
    }

    /// Waits for the end, at most `seconds`; the exit code.
    pub(crate) async fn ended(&mut self, seconds: u64) -> Option<i32> {
        let log = self.log.clone();
        eventually("the process ends", seconds, async || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status.code()),
            None => {
                Err(format!("still running; its log: {}", std::fs::read_to_string(&log).unwrap_or_default()))
            }
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}

/// The ports of one agent and the folder of its data; a restart takes the same ones.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) web: u16,
    pub(crate) statsd: u16,
    pub(crate) logs: u16,
    pub(crate) otlp: u16,
    pub(crate) zipkin: u16,
    /// Logs over HTTP, `_bulk` too.
    pub(crate) bulk: u16,
    pub(crate) dir: tempfile::TempDir,
}

impl Ports {
    pub(crate) fn new() -> Self {
        Ports {
            web: free_port(),
            statsd: free_port(),
            logs: free_port(),
            otlp: free_port(),
            zipkin: free_port(),
            bulk: free_port(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.web)
    }

    /// Runs the agent with `more` settings (lines of YAML) and waits until it is ready.
    pub(crate) async fn agent(&self, more: &str) -> Process {
        self.start(&format!("http: {{listen: '127.0.0.1:{}'}}", self.bulk), more, &[]).await
    }

    /// `logs_more` is what the section `logs` has beside its ports.
    pub(crate) async fn start(&self, logs_more: &str, more: &str, env: &[(&str, &str)]) -> Process {
        let config = self.dir.path().join("sightline.yaml");
        let text = format!(
            "data_dir: {dir}\n\
             web: {{listen: '127.0.0.1:{}'}}\n\
             metrics: {{listen_udp: '127.0.0.1:{statsd}', listen_tcp: '127.0.0.1:{statsd}'}}\n\
             logs: {{tcp: {{listen: '127.0.0.1:{logs}'}}, udp: {{listen: '127.0.0.1:{logs}'}}, {logs_more}}}\n\
             otlp: {{http: {{listen: '127.0.0.1:{}'}}, grpc: {{listen: off}}}}\n\
             spans: {{zipkin: {{listen: '127.0.0.1:{}'}}}}\n\
             {more}\n",
            self.web,
            self.otlp,
            self.zipkin,
            dir = self.dir.path().join("data").display(),
            statsd = self.statsd,
            logs = self.logs,
        );
        std::fs::write(&config, text).unwrap();
        let log = self.dir.path().join("agent.log");
        let process = Process::start(&["run", "--config", config.to_str().unwrap()], env, &log);
        eventually("the agent is ready", 30, async || {
            get_text(&self.url("/-/ready")).await.map_err(|e| format!("{e}; its log: {}", process.log()))
        })
        .await;
        process
    }

    /// Runs the sample service against this agent's ports and waits until it answers.
    pub(crate) async fn kittenserver(&self, more: &[&str]) -> (Process, String) {
        let address = format!("127.0.0.1:{}", free_port());
        let (statsd, logs) = (format!("127.0.0.1:{}", self.statsd), format!("127.0.0.1:{}", self.logs));
        let otlp = format!("http://127.0.0.1:{}", self.otlp);
        let env = [
            ("STATSD", statsd.as_str()),
            ("LOGSTASH", logs.as_str()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str()),
            ("ENVIRONMENT", "test"),
            ("HOSTNAME", "kitten-1.example"),
        ];
        let log = self.dir.path().join("kittenserver.log");
        let args = [&["kittenserver", "--listen", address.as_str()], more].concat();
        let process = Process::start(&args, &env, &log);
        let url = format!("http://{address}");
        eventually("kittenserver answers", 20, async || {
            get_text(&format!("{url}/health")).await.map_err(|e| format!("{e}; its log: {}", process.log()))
        })
        .await;
        (process, url)
    }
}
