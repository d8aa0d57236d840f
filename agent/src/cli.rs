//! The command line: what can be said, and which room answers.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use crate::config::{self, Config, ProcessEnv};
use crate::run::{self, Agent};
use crate::telemetry;

/// Something in the command line or the configuration is wrong (sysexits.h EX_USAGE).
const USAGE: u8 = 64;

/// Takes StatsD, JSON logs, OTLP and Zipkin; ships them to Prometheus, Elasticsearch and Zipkin, or keeps and
/// shows them itself.
#[derive(Debug, Parser)]
#[command(name = "sightline", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent
    Run(Run),
    /// Check a configuration file and say what it means, without starting anything
    Check(Check),
    /// Give Elasticsearch and Kibana what the stack needs: templates, retention, users, data views, dashboards
    Setup(crate::setup::Args),
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The configuration file; without it, defaults and the environment
    #[arg(long, short, value_name = "FILE", env = "SIGHTLINE_CONFIG")]
    config: Option<PathBuf>,
    /// Print the whole configuration as it would be used, and exit
    #[arg(long)]
    print_config: bool,
}

#[derive(Debug, clap::Args)]
struct Check {
    /// The configuration file
    #[arg(value_name = "FILE")]
    config: PathBuf,
}

/// How long a stop may take to deliver what was received.
const DRAIN: Duration = Duration::from_secs(20);

/// Runs the command line `args` and says how it went.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors" of clap's that belong on stdout. A closed pipe is nobody's trouble.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            if error.is::<config::Error>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(run) => {
            let loaded = config::load(run.config.as_deref(), &ProcessEnv)?;
            if run.print_config {
                say(&serde_saphyr::to_string(&loaded.settings)?);
                return Ok(ExitCode::SUCCESS);
            }
            telemetry::install_log();
            runtime()?.block_on(serve(loaded.settings))?;
        }
        Command::Check(check) => {
            config::load(Some(&check.config), &ProcessEnv)?;
            say(&format!("{}: ok\n", check.config.display()));
        }
        Command::Setup(setup) => return crate::setup::run(&setup),
    }
    Ok(ExitCode::SUCCESS)
}

/// The agent from start to stop.
async fn serve(config: Config) -> anyhow::Result<()> {
    let agent = Agent::start(config).await?;
    tracing::info!(web = %agent.addresses().web, version = env!("CARGO_PKG_VERSION"), "sightline is running");
    run::asked_to_stop().await;
    tracing::info!("stopping: draining what was received");
    agent.stop(DRAIN).await;
    tracing::info!("stopped");
    Ok(())
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("the runtime did not start")
}

/// One of the two places that write to a terminal.
#[allow(clippy::print_stdout, reason = "the command line's own output")]
fn say(text: &str) {
    print!("{text}");
}

#[allow(clippy::print_stderr, reason = "the command line's own errors")]
fn complain(error: &anyhow::Error) {
    eprintln!("sightline: {error:#}");
}
