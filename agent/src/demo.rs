//! `sightline demo`: the agent on its embedded store and the sample service with traffic, in one command that
//! leaves nothing behind.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, Command};

use crate::config::{Config, source};
use crate::run::{self, Agent};
use crate::units::Bytes;

/// What can be said on the command line.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address of the page; another free port is taken when this one is busy
    #[arg(long, default_value = "127.0.0.1:9102")]
    listen: SocketAddr,
    /// Requests that the sample service sends itself each second
    #[arg(long, default_value_t = 10.0)]
    traffic: f64,
    /// End by itself after so many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// A folder of classic Grafana dashboards to show beside the built-in ones
    #[arg(long, value_name = "FOLDER")]
    dashboards: Option<PathBuf>,
    /// Reads the page's files from here, for work on them
    #[arg(long, value_name = "FOLDER", hide = true)]
    page: Option<PathBuf>,
}

/// Runs until Ctrl-C, SIGTERM or the given time. `say` writes a line to the terminal.
pub async fn main(args: Args, say: impl Fn(&str)) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let ports = Ports::choose(args.listen)?;
    let mut config = ports.config(&folder.0)?;
    (config.web.dashboards, config.web.page) = (args.dashboards, args.page);
    let agent = Agent::start(config.into()).await.context("the agent did not start")?;
    let service = start_service(&ports, args.traffic)?;
    say(&welcome(&ports, args.traffic));
    let ended = watch(service, args.seconds).await;
    say("stopping…");
    agent.stop(Duration::from_secs(10)).await;
    drop(folder);
    ended
}

/// Where everything listens: the usual ports where they are free.
#[derive(Debug, Clone, Copy)]
struct Ports {
    web: SocketAddr,
    service: SocketAddr,
    statsd: SocketAddr,
    logs: SocketAddr,
    otlp: SocketAddr,
    zipkin: SocketAddr,
}

impl Ports {
    fn choose(web: SocketAddr) -> anyhow::Result<Self> {
        let local = |port| free(SocketAddr::from(([127, 0, 0, 1], port)));
        Ok(Ports {
            web: free(web)?,
            service: local(8080)?,
            statsd: local(9125)?,
            logs: local(5000)?,
            otlp: local(4318)?,
            zipkin: local(9411)?,
        })
    }

    fn config(&self, folder: &Path) -> anyhow::Result<Config> {
        let Ports { web, statsd, logs, otlp, zipkin, .. } = self;
        let text = format!(
            "web: {{listen: '{web}'}}\n\
             metrics: {{listen_udp: '{statsd}', listen_tcp: '{statsd}'}}\n\
             logs: {{tcp: {{listen: '{logs}'}}, udp: {{listen: '{logs}'}}, http: {{listen: off}}}}\n\
             otlp: {{http: {{listen: '{otlp}'}}, grpc: {{listen: off}}}}\n\
             spans: {{zipkin: {{listen: '{zipkin}'}}}}\n"
        );
        let mut config: Config = source::parse("demo", &text)?;
        config.data_dir = folder.to_owned();
        // Records show up as soon as they can.
        config.store.min_free = Bytes(256 << 20);
        config.queue.min_free = Bytes(256 << 20);
        Ok(config)
    }
}

fn start_service(ports: &Ports, traffic: f64) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    Command::new(program)
        .args(["kittenserver", "--listen", &ports.service.to_string(), "--traffic", &traffic.to_string()])
        .env("STATSD", ports.statsd.to_string())
        .env("LOGSTASH", ports.logs.to_string())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", ports.otlp))
        .env("ENVIRONMENT", "dev")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("the sample service did not start")
}

/// Waits for a reason to end; the service is gone afterwards in any case.
async fn watch(mut service: Child, seconds: Option<u64>) -> anyhow::Result<()> {
    let time = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        status = service.wait() => Err(anyhow::anyhow!("the sample service ended by itself: {}", status?)),
        () = run::asked_to_stop() => Ok(()),
        () = time => Ok(()),
    };
    if ended.is_ok() {
        // It may have ended in this very moment; then there is nothing to kill.
        let _ = service.kill().await;
    }
    ended
}

fn welcome(ports: &Ports, traffic: f64) -> String {
    let Ports { web, service, .. } = ports;
    format!(
        "\n  sightline demo\n\n    \
         page      http://{web}/\n    \
         service   http://{service}/   kittenserver, with {traffic} requests a second of its own\n\n  \
         look at\n    \
         http://{web}/          services: rate, errors, p99\n    \
         http://{web}/logs?q=status:200%20AND%20method:POST\n    \
         http://{web}/traces    open one: its waterfall and its logs\n    \
         http://{web}/panics    grouped, with stack and request\n\n  \
         make a request of your own and find it by its id\n    \
         curl -i http://{service}/upstream -H 'x-request-id: my-first'\n    \
         http://{web}/logs?q=request_id:my-first\n\n  \
         the first figures show within half a minute; Ctrl-C ends it and leaves nothing behind\n"
    )
}

/// `wanted`, or the same address with any free port when it is taken.
fn free(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    match TcpListener::bind(wanted) {
        Ok(_) => Ok(wanted),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let listener = TcpListener::bind(SocketAddr::new(wanted.ip(), 0))?;
            Ok(listener.local_addr()?)
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {wanted}")),
    }
}

/// A temporary folder that goes with the demo.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("sightline-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the demo's folder could not be removed");
        }
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
