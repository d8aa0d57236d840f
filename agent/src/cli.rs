//! The command line: what can be said, and which room answers.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use crate::client::Target;
use crate::config::{self, Config, Loaded, ProcessEnv};
#[cfg(feature = "demo")]
use crate::demo;
use crate::export::dead_letters;
use crate::logs;
use crate::memory;
use crate::metrics::statsd_exporter::{self, Task};
use crate::metrics::{explain, testing};
use crate::run::{self, Agent};
#[cfg(feature = "embedded")]
use crate::store;
use crate::{tap, telemetry, web};

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
    /// Check a configuration file and say what is wrong with it, without starting anything
    Check(Check),
    /// Print the JSON schema of the configuration, from which editors complete and check
    Schema,
    /// Give Elasticsearch and Kibana what the stack needs: templates, retention, users, data views, dashboards
    Setup(crate::setup::Args),
    /// Run the expectations that stand beside the rules in a configuration (`tests:`)
    Test(Check),
    /// Stand in for statsd_exporter, with its own flags and ports
    #[command(name = "statsd-exporter")]
    StatsdExporter(Box<statsd_exporter::Args>),
    /// Say what a StatsD name becomes, and which rule decides it
    Explain(Explain),
    /// Ask a running agent whether it is ready; exit 0 if it is. An address with a path (`--url http://HOST:PORT/health`) is asked
    /// as it is: any service will do
    Health(Target),
    /// Name the metrics of a running agent with the most series or samples, and the labels to blame
    Top(crate::metrics::top::Args),
    /// Watch what passes through a lane of a running agent, live
    Tap(tap::client::Args),
    /// List, show, replay or drop what a back end refused for good
    Dlq(Dlq),
    /// Show, prune or export what the embedded store holds
    #[cfg(feature = "embedded")]
    Store(Store),
    /// Run the agent with a sample service and its traffic, on the embedded store
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    /// The sample service itself
    #[cfg(feature = "demo")]
    #[command(hide = true, disable_help_flag = true)]
    Kittenserver {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The configuration file; without it, defaults and the environment
    #[arg(long, short, value_name = "FILE", env = "SIGHTLINE_CONFIG")]
    config: Option<PathBuf>,
    /// Print the whole configuration as it would be used, each key explained, and exit
    #[arg(long)]
    print_config: bool,
}

#[derive(Debug, clap::Args)]
struct Explain {
    /// The configuration file whose rules hold
    #[arg(long, short, value_name = "FILE", env = "SIGHTLINE_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    args: explain::Args,
}

#[cfg(feature = "embedded")]
#[derive(Debug, clap::Args)]
struct Store {
    /// The configuration file of the agent whose store is meant
    #[arg(long, short, value_name = "FILE", env = "SIGHTLINE_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    args: store::command::Args,
}

#[derive(Debug, clap::Args)]
struct Dlq {
    /// The configuration file of the agent whose dead letters are meant
    #[arg(long, short, value_name = "FILE", env = "SIGHTLINE_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    args: dead_letters::cli::Args,
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
        // Whoever reads no further (`| head`) wants no more.
        Err(error) if hung_up(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            let usage = error.is::<config::Error>() || error.is::<crate::setup::Wrong>();
            if usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn hung_up(error: &anyhow::Error) -> bool {
    let broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(run) => {
            let loaded = config::load(run.config.as_deref(), &ProcessEnv)?;
            if run.print_config {
                say(&config::describe::yaml(&loaded.settings)?);
                return Ok(ExitCode::SUCCESS);
            }
            telemetry::install_log("info,tantivy=warn");
            runtime()?.block_on(serve(loaded))?;
        }
        Command::Test(asked) => {
            let config = config::load(Some(&asked.config), &ProcessEnv)?.settings;
            let rules = run::mapping_source(&config.metrics, &config.mapping).read();
            let rules = rules.map_err(|note| anyhow::anyhow!("{note}"))?;
            let cases = &config.tests.metrics;
            let metrics = testing::main(&config.metrics, &rules, cases, &mut io::stdout().lock())?;
            let wrong = logs::testing::run(&config.logs, &config.tests.logs).map_err(anyhow::Error::msg)?;
            wrong.iter().for_each(|line| say(&format!("{line}\n")));
            say(&format!(
                "{} of {} log tests passed\n",
                config.tests.logs.len() - wrong.len(),
                config.tests.logs.len()
            ));
            if !metrics || !wrong.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::StatsdExporter(args) => match statsd_exporter::task(&args)? {
            Task::Print(text) => say(&text),
            Task::Serve(plan) => {
                telemetry::install_log(plan.log_level.as_str());
                telemetry::install_metrics();
                runtime()?.block_on(statsd_exporter::run(&plan, Arc::new(telemetry::render)))?;
            }
        },
        Command::Explain(explain) => {
            let config = config::load(explain.config.as_deref(), &ProcessEnv)?.settings;
            let rules = run::mapping_source(&config.metrics, &config.mapping).read();
            let rules = rules.map_err(|note| anyhow::anyhow!("{note}"))?;
            explain::main(&explain.args, rules, &mut io::stdout().lock())?;
        }
        Command::Health(target) => return runtime()?.block_on(health(&target)),
        Command::Top(top) => say(&runtime()?.block_on(crate::metrics::top::main(&top))?),
        Command::Tap(args) => {
            // Not locked: whoever waits for a line must not hold up what else writes.
            let mut out = io::stdout();
            runtime()?.block_on(tap::client::main(&args, &mut out, &mut |text| note(text)))?;
        }
        Command::Dlq(dlq) => {
            let config = config::load(dlq.config.as_deref(), &ProcessEnv)?.settings;
            let folder = config.data_dir.join("dead_letters");
            let said =
                dead_letters::cli::main(&dlq.args, &folder, &config.dead_letters, &mut io::stdout().lock())?;
            if let Some(said) = said {
                note(&format!("{said} in {}\n", folder.display()));
            }
        }
        #[cfg(feature = "embedded")]
        Command::Store(asked) => {
            let config = config::load(asked.config.as_deref(), &ProcessEnv)?.settings;
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let (folder, now) = (config.data_dir.join("store"), now.as_millis() as i64);
            store::command::main(&asked.args, &folder, &config.store, now, &mut io::stdout().lock())?;
        }
        #[cfg(feature = "demo")]
        Command::Demo(args) => {
            telemetry::install_log("warn");
            runtime()?.block_on(demo::main(args, |line| say(&format!("{line}\n"))))?;
        }
        #[cfg(feature = "demo")]
        Command::Kittenserver { args } => {
            return Ok(kittenserver::main(std::iter::once("kittenserver".into()).chain(args)));
        }
        Command::Check(check) => {
            let loaded = config::load(Some(&check.config), &ProcessEnv)?;
            let config = &loaded.settings;
            let rules = run::mapping_source(&config.metrics, &config.mapping).read();
            let rules = rules
                .map_err(|note| config::Error { place: note.source.clone(), reason: note.to_string() })?;
            for note in rules.mapping.iter().flat_map(|mapping| &mapping.warnings) {
                say(&format!("warning: {note}\n"));
            }
            let file = check.config.display();
            let problems = run::verify(config);
            for missing in &problems.files {
                say(&format!("warning: {}: {missing}\n", loaded.place(&run::key(missing))));
            }
            let mistake = |reason: &String| {
                let place = loaded.place(&run::key(reason));
                config::Error { place, reason: reason.clone() }
            };
            if let Some((last, others)) = problems.mistakes.split_last() {
                others.iter().for_each(|reason| note(&format!("sightline: {}\n", mistake(reason))));
                return Err(mistake(last).into());
            }
            say(&format!("{file}: ok\n"));
        }
        Command::Schema => say(&format!("{:#}\n", config::describe::schema())),
        Command::Setup(setup) => return crate::setup::run(&setup),
    }
    Ok(ExitCode::SUCCESS)
}

/// The agent from start to stop.
async fn serve(loaded: Loaded<Config>) -> anyhow::Result<()> {
    let chosen = loaded.settings.web.token.is_some() || loaded.settings.web.token_file.is_some();
    let agent = Agent::start(loaded).await?;
    // A token that the agent made itself is known to nobody yet; it is said here once, and never logged.
    if let Some(token) = agent.token().filter(|_| !chosen) {
        let port = agent.web().port();
        say(&format!("the page, from other machines: http://THIS-HOST:{port}/?token={token}\n"));
    }
    tracing::info!(web = %agent.web(), version = env!("CARGO_PKG_VERSION"), "sightline is running");
    memory::forget_the_start();
    tokio::select! {
        () = run::asked_to_stop() => {}
        () = run::on_hangup(|| agent.reload()) => {}
    }
    tracing::info!("stopping: draining what was received");
    agent.stop(DRAIN).await;
    tracing::info!("stopped");
    Ok(())
}

async fn health(target: &Target) -> anyhow::Result<ExitCode> {
    let (_, after) = target.url.split_once("://").unwrap_or(("", &target.url));
    let of_its_own = after.split_once('/').is_some_and(|(_, path)| !path.is_empty());
    let (status, body) = target.get(if of_its_own { "" } else { "/-/ready" }).await?;
    say(&web::health::text(&body));
    Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("the runtime did not start")
}

/// One of the two places that write to a terminal.
#[allow(clippy::exit, reason = "the command has said all that somebody wanted to read")]
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

#[allow(clippy::print_stderr, reason = "the command line's own remarks")]
fn note(text: &str) {
    eprint!("{text}");
}

#[allow(clippy::print_stderr, reason = "the command line's own errors")]
fn complain(error: &anyhow::Error) {
    // Some errors have their cause in their own words already.
    let said = error.chain().skip(1).map(ToString::to_string).fold(error.to_string(), |said, cause| {
        if said.contains(&cause) { said } else { format!("{said}: {cause}") }
    });
    eprintln!("sightline: {said}");
}
