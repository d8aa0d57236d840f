//! `sightline setup`: gives Elasticsearch and Kibana what the stack needs, reads each object back, and says what differs.
//!
//! Idempotent: a second run changes nothing. It waits for a server that is still starting, and says what it waited for.
//! The content is part of the program (`dashboards/elasticsearch` and `dashboards/kibana`), so no file has to be found.

mod content;
mod differences;
mod elasticsearch;
mod http;
mod kibana;
mod report;
mod security;
#[cfg(test)]
mod tests;
mod wait;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::units::Span;
use report::Report;

/// The service asked for was not there in time (sysexits.h EX_UNAVAILABLE).
const UNAVAILABLE: u8 = 69;

/// What to set up, and where.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which of the two; both if not given and both have an address
    #[arg(value_enum)]
    part: Option<Part>,
    /// Address of Elasticsearch
    #[arg(long, env = "ELASTICSEARCH_URL", value_name = "URL", value_parser = address)]
    elasticsearch: Option<String>,
    /// Address of Kibana
    #[arg(long, env = "KIBANA_URL", value_name = "URL", value_parser = address)]
    kibana: Option<String>,
    /// User for both
    #[arg(long, env = "ELASTICSEARCH_USERNAME", value_name = "NAME")]
    username: Option<String>,
    /// File that holds the user's password
    #[arg(long, env = "ELASTICSEARCH_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Folder of files named like users, each holding that user's password; without it no users are made
    #[arg(long, env = "ELASTICSEARCH_USERS_DIR", value_name = "FOLDER")]
    users: Option<PathBuf>,
    /// How long log records are kept
    #[arg(long, env = "LOG_RETENTION", value_name = "SPAN", default_value = "30d", value_parser = retention)]
    log_retention: String,
    /// How long audit records are kept
    #[arg(long, env = "AUDIT_RETENTION", value_name = "SPAN", default_value = "365d", value_parser = retention)]
    audit_retention: String,
    /// How long spans are kept
    #[arg(long, env = "SPAN_RETENTION", value_name = "SPAN", default_value = "7d", value_parser = retention)]
    span_retention: String,
    /// Leave the retention of spans alone: for a server without index lifecycle management
    #[arg(long)]
    without_span_retention: bool,
    /// PEM file of the authority that signed the servers' certificates
    #[arg(long, env = "KIBANA_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Name that Kibana's certificate is for, if it is not the one in its address
    #[arg(long, env = "KIBANA_SERVER_NAME", value_name = "NAME")]
    server_name: Option<String>,
    /// How long to wait for a server that is not ready
    #[arg(long, value_name = "SPAN", default_value = "1m", value_parser = Span::parse)]
    wait: Span,
}

/// What is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Templates, retention, roles and users
    Elasticsearch,
    /// Data views, saved searches and dashboards
    Kibana,
}

/// The command line asks for something that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(&'static str);

/// An address of a server that speaks HTTP.
fn address(text: &str) -> Result<String, String> {
    let good = text.parse::<::http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    good.then(|| text.to_owned()).ok_or_else(|| "write http://HOST:PORT or https://HOST:PORT".to_owned())
}

/// A span as Elasticsearch writes it: a whole number and one unit.
fn retention(text: &str) -> Result<String, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.len() - unit.len();
    if number == 0 || !["d", "h", "m", "s"].contains(&unit) || text.starts_with('0') {
        return Err(format!("'{text}' is not a span that Elasticsearch knows: write 30d, 12h or 90m"));
    }
    Ok(text.to_owned())
}

/// Name and password, read from where they are kept.
#[derive(Clone)]
struct Login {
    name: String,
    password: String,
}

/// Runs the command: 0 when everything is as it should be, 69 when a server was not there in time, 1 otherwise.
///
/// # Errors
/// When an argument is missing or a file cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(apply(args))?;
    Ok(match report.outcome() {
        report::Outcome::Done => ExitCode::SUCCESS,
        report::Outcome::Differs => ExitCode::FAILURE,
        report::Outcome::Unavailable => ExitCode::from(UNAVAILABLE),
    })
}

async fn apply(args: &Args) -> anyhow::Result<Report> {
    let login = args.login()?;
    let mut report = Report::default();
    if args.part.is_none() && args.elasticsearch.is_none() && args.kibana.is_none() {
        let what =
            "nothing to set up: give --elasticsearch or --kibana, or set ELASTICSEARCH_URL or KIBANA_URL";
        return Err(Wrong(what).into());
    }
    if args.part != Some(Part::Kibana) && (args.part.is_some() || args.elasticsearch.is_some()) {
        let url = args
            .elasticsearch
            .as_deref()
            .ok_or(Wrong("no address: give --elasticsearch, or set ELASTICSEARCH_URL"))?;
        elasticsearch::apply(url, login.as_ref(), args, &mut report).await?;
    }
    if args.part != Some(Part::Elasticsearch) && (args.part.is_some() || args.kibana.is_some()) {
        let url = args.kibana.as_deref().ok_or(Wrong("no address: give --kibana, or set KIBANA_URL"))?;
        kibana::apply(url, login.as_ref(), args, &mut report).await?;
    }
    report.close();
    Ok(report)
}

impl Args {
    fn login(&self) -> anyhow::Result<Option<Login>> {
        let Some(name) = self.username.clone() else { return Ok(None) };
        let file = self.password_file.as_ref();
        let file = file.ok_or(Wrong(
            "a user without a password: give --password-file, or set ELASTICSEARCH_PASSWORD_FILE",
        ))?;
        Ok(Some(Login { name, password: secret(file)? }))
    }
}

/// The certificates in a PEM file, of which there has to be one.
fn authorities(file: &std::path::Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.with_context(|| format!("cannot read certificates from {}", file.display()))?;
    anyhow::ensure!(!found.is_empty(), "{} holds no certificate in PEM form", file.display());
    Ok(found)
}

/// The content of a secret's file without the newline that editors add.
fn secret(file: &std::path::Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    anyhow::ensure!(!text.is_empty(), "{} is empty", file.display());
    Ok(text)
}
