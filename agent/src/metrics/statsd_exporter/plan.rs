//! What the flags of statsd_exporter mean for this program: settings, a check, a version, a drawing.

use std::path::PathBuf;

use super::args::{Args, LogFormat, LogLevel};
use crate::metrics::mapping::Note;
use crate::metrics::naming::Rules;
use crate::metrics::naming::source::Source;
use crate::metrics::settings::Settings;
use crate::units::Bytes;

/// Names beside the agent's own that no input may use: those of this mode and of the process.
pub const RESERVED: [&str; 3] = ["statsd_exporter_", "statsd_metric_mapper_", "process_"];

/// What to do.
#[derive(Debug)]
pub enum Task {
    /// Print this and end well.
    Print(String),
    /// Run.
    Serve(Box<Plan>),
}

/// How to run.
#[derive(Debug)]
pub struct Plan {
    /// The metrics lane. Its listening defaults are those of statsd_exporter: every address.
    pub metrics: Settings,
    /// Where the rules come from, for reloads.
    pub source: Source,
    /// The rules as they are now.
    pub rules: Rules,
    /// Address of the HTTP port, in a form that can be bound.
    pub web_listen: String,
    /// Path of the exposition.
    pub telemetry_path: String,
    /// Whether `/-/reload` and `/-/quit` answer.
    pub lifecycle: bool,
    /// What to log.
    pub log_level: LogLevel,
    /// How to log.
    pub log_format: LogFormat,
    /// What to tell the user at the start.
    pub warnings: Vec<String>,
}

/// Why nothing can be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mapping file has a mistake.
    #[error("error loading config: {0}")]
    Mapping(#[from] Note),
    /// There is nothing to receive on.
    #[error(
        "at least one of --statsd.listen-udp, --statsd.listen-tcp and --statsd.listen-unixgram must be set"
    )]
    NoListener,
    /// The drawing of the matcher could not be written.
    #[error("cannot write {path}: {source}")]
    Dump {
        /// Where to.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Decides by the flags what to do; reads the mapping file and writes the drawing that they ask for.
pub fn task(args: &Args) -> Result<Task, Error> {
    if args.version() {
        return Ok(Task::Print(format!(
            "sightline statsd-exporter, version {} (flags and names of statsd_exporter 0.31.0)\n",
            env!("CARGO_PKG_VERSION")
        )));
    }
    let metrics = settings(args, has_ipv6());
    let source = Source::from(&metrics);
    let rules = source.read()?;
    let mut warnings: Vec<String> =
        rules.mapping.iter().flat_map(|mapping| &mapping.warnings).map(Note::to_string).collect();
    if !args.dump_fsm.is_empty() {
        match &rules.mapping {
            Some(mapping) => std::fs::write(&args.dump_fsm, mapping.dot())
                .map_err(|source| Error::Dump { path: args.dump_fsm.clone(), source })?,
            None => {
                warnings.push("--debug.dump-fsm draws nothing without --statsd.mapping-config".to_owned())
            }
        }
    }
    if args.check_config() {
        let mut text: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
        text.push_str("configuration check successful\n");
        return Ok(Task::Print(text));
    }
    let silent = metrics.listen_udp.is_empty()
        && metrics.listen_tcp.is_empty()
        && metrics.listen_unix_datagram.as_os_str().is_empty();
    if silent {
        return Err(Error::NoListener);
    }
    if u32::from_str_radix(&args.unixsocket_mode, 8).is_err() {
        warnings.push(format!("--statsd.unixsocket-mode={} is not octal; 755 is used", args.unixsocket_mode));
    }
    Ok(Task::Serve(Box::new(Plan {
        metrics,
        source,
        rules,
        web_listen: listen(&args.web_listen_address, has_ipv6()),
        telemetry_path: args.web_telemetry_path.clone(),
        lifecycle: args.lifecycle(),
        log_level: args.log_level,
        log_format: args.log_format,
        warnings,
    })))
}

/// The settings of the lane: what statsd_exporter does by default, and what the flags say.
fn settings(args: &Args, ipv6: bool) -> Settings {
    let mut settings = Settings {
        listen_udp: listen(&args.listen_udp, ipv6),
        listen_tcp: listen(&args.listen_tcp, ipv6),
        listen_unix_datagram: PathBuf::from(&args.listen_unixgram),
        unix_mode: args.unixsocket_mode.clone(),
        relay: args.relay_address.clone(),
        relay_packet: Bytes(args.relay_packet_length),
        // Names stay as they are sent: whoever replaces statsd_exporter has dashboards that ask for them.
        convention: false,
        mapping: args.mapping_config.clone().unwrap_or_default(),
        ..Settings::default()
    };
    if u32::from_str_radix(&settings.unix_mode, 8).is_err() {
        settings.unix_mode = Settings::default().unix_mode;
    }
    if let Some(bytes) = args.read_buffer.filter(|&bytes| bytes > 0) {
        settings.receive_buffer = Bytes(bytes);
    }
    settings.dialect.dogstatsd = args.dogstatsd();
    settings.dialect.influxdb = args.influxdb();
    settings.dialect.librato = args.librato();
    settings.dialect.signalfx = args.signalfx();
    settings.dialect.sets = false;
    settings.dialect.whole_weights = true;
    settings
}

/// `:9102` means every address, as in Go.
fn listen(address: &str, ipv6: bool) -> String {
    match address.strip_prefix(':') {
        Some(port) if ipv6 => format!("[::]:{port}"),
        Some(port) => format!("0.0.0.0:{port}"),
        None => address.to_owned(),
    }
}

/// Whether this machine has the address that stands for every address of both families.
fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::]:0").is_ok()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Args, Plan, Task, settings, task};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn args(args: &[&str]) -> Args {
        Cli::parse_from(std::iter::once("x").chain(args.iter().copied())).args
    }

    fn plan(flags: &[&str]) -> Plan {
        match task(&args(flags)).unwrap() {
            Task::Serve(plan) => *plan,
            Task::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn defaults_listen_everywhere_and_leave_names_alone() {
        let s = settings(&args(&[]), true);
        assert_eq!((s.listen_udp.as_str(), s.listen_tcp.as_str()), ("[::]:9125", "[::]:9125"));
        assert!(!s.convention && !s.dialect.sets && s.dialect.whole_weights && s.dialect.dogstatsd);
        assert_eq!(settings(&args(&[]), false).listen_udp, "0.0.0.0:9125");
        assert_eq!(plan(&["--web.listen-address=127.0.0.1:1"]).web_listen, "127.0.0.1:1");
    }

    #[test]
    fn flags_reach_the_settings() {
        let s = settings(
            &args(&[
                "--statsd.listen-udp=",
                "--statsd.listen-tcp=localhost:7",
                "--statsd.listen-unixgram=/tmp/x",
                "--statsd.unixsocket-mode=700",
                "--statsd.read-buffer=4096",
                "--no-statsd.parse-librato-tags",
                "--statsd.relay.address=127.0.0.1:9",
                "--statsd.relay.packet-length=512",
            ]),
            true,
        );
        assert_eq!((s.listen_udp.as_str(), s.listen_tcp.as_str()), ("", "localhost:7"));
        assert_eq!((s.unix_mode.as_str(), s.receive_buffer.0, s.relay_packet.0), ("700", 4096, 512));
        assert!(!s.dialect.librato && s.dialect.influxdb);
        assert_eq!(s.relay, "127.0.0.1:9");
    }

    #[test]
    fn a_check_reads_the_mapping_and_draws_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("good"), "mappings: [{match: a.*, name: x, match_metric_type: timer}]").unwrap();
        std::fs::write(path("bad"), "mappings:\n- match: a\n").unwrap();
        let flag = |name: &str| format!("--statsd.mapping-config={}", path(name));
        let dump = format!("--debug.dump-fsm={}", path("dot"));
        let Task::Print(text) = task(&args(&["--check-config", &flag("good"), &dump])).unwrap() else {
            panic!()
        };
        assert!(text.contains("warning: ") && text.ends_with("successful\n"), "{text}");
        assert!(std::fs::read_to_string(path("dot")).unwrap().starts_with("digraph"));
        let error = task(&args(&["--check-config", &flag("bad")])).unwrap_err().to_string();
        assert!(
            error.starts_with("error loading config: ") && error.contains(":2:10: 'name' is missing"),
            "{error}"
        );
        assert!(task(&args(&[&flag("none")])).unwrap_err().to_string().contains("cannot read"));
    }

    #[test]
    fn without_any_listener_it_does_not_start() {
        let error = task(&args(&["--statsd.listen-udp=", "--statsd.listen-tcp="])).unwrap_err();
        assert!(error.to_string().starts_with("at least one of"));
        assert!(
            matches!(task(&args(&["--version"])).unwrap(), Task::Print(text) if text.contains("version"))
        );
        let warned = plan(&["--statsd.unixsocket-mode=9x"]);
        assert!(warned.warnings[0].contains("is not octal") && warned.metrics.unix_mode == "755");
    }
}
