//! kittenserver, the sample service: the book's hello world with a data store, a call downstream, sign-ins and panics.
//! Its telemetry is one line: `builder(..).serve(listener, app)`.

pub mod app;
mod store;
mod traffic;

use clap::Parser;
use sightline_instrument::Instrument;
use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// The sample service of Sightline.
#[derive(Debug, Parser)]
#[command(name = "kittenserver", version)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Requests a second that the service sends to itself, a realistic mixture with errors and panics; at most 500.
    #[arg(long, value_name = "RATE")]
    traffic: Option<f64>,
    /// File of the data store; in memory by default.
    #[arg(long)]
    database: Option<PathBuf>,
}

/// Runs the service with these arguments, the first being the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Options::try_parse_from(args) {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "kittenserver: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(options))
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(options.listen).await.map_err(|e| {
        anyhow::anyhow!("cannot listen at {}: {e}; choose another with --listen", options.listen)
    })?;
    let address = listener.local_addr()?;
    let state = app::State::open(options.database.as_deref(), address)?;
    let store = state.store.clone();
    if let Some(rate) = options.traffic {
        tokio::spawn(traffic::send(address, rate));
    }
    Instrument::builder("kittenserver")
        .version(env!("CARGO_PKG_VERSION"))
        .settings(|s| {
            // The service's own traffic comes through this machine and names its clients, as a balancer would.
            if options.traffic.is_some() && s.trusted_proxies.is_empty() {
                s.trusted_proxies.extend("127.0.0.0/8".parse::<sightline_instrument::Network>());
            }
        })
        .check("sqlite", move || {
            let store = store.clone();
            async move { store.ping().await.map_err(|e| e.to_string()) }
        })
        .serve(listener, app::router(state))
        .await?;
    Ok(())
}
