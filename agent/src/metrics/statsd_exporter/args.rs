//! The flags of statsd_exporter, spelled as there: `--flag=value` or `--flag value`, `--no-flag` to switch off.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ValueEnum};

use crate::metrics::mapping::duration;

/// `sightline statsd-exporter`: StatsD in, Prometheus out, in the place of statsd_exporter.
#[derive(Debug, Clone, clap::Args)]
#[command(disable_version_flag = true)]
pub struct Args {
    /// The address on which to expose the web interface and generated Prometheus metrics.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9102")]
    pub web_listen_address: String,

    #[command(flatten)]
    switches: Switches,

    /// Path under which to expose metrics.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    pub web_telemetry_path: String,

    /// The UDP address on which to receive statsd metric lines. "" disables it.
    #[arg(long = "statsd.listen-udp", value_name = "ADDRESS", default_value = ":9125")]
    pub listen_udp: String,

    /// The TCP address on which to receive statsd metric lines. "" disables it.
    #[arg(long = "statsd.listen-tcp", value_name = "ADDRESS", default_value = ":9125")]
    pub listen_tcp: String,

    /// The Unixgram socket path to receive statsd metric lines in datagram. "" disables it.
    #[arg(long = "statsd.listen-unixgram", value_name = "PATH", default_value = "")]
    pub listen_unixgram: String,

    /// The permission mode of the unix socket.
    #[arg(long = "statsd.unixsocket-mode", value_name = "MODE", default_value = "755")]
    pub unixsocket_mode: String,

    /// Metric mapping configuration file name.
    #[arg(long = "statsd.mapping-config", value_name = "FILE")]
    pub mapping_config: Option<PathBuf>,

    /// Size (in bytes) of the operating system's read buffer of the UDP or Unixgram socket.
    #[arg(long = "statsd.read-buffer", value_name = "BYTES")]
    pub read_buffer: Option<u64>,

    /// Accepted and without effect: the cache of names is bounded by memory.
    #[arg(long = "statsd.cache-size", value_name = "N", default_value_t = 1000)]
    pub cache_size: u64,

    /// Accepted and without effect.
    #[arg(long = "statsd.cache-type", value_name = "TYPE", default_value = "lru")]
    pub cache_type: CacheType,

    /// Accepted and without effect: there is no queue between receiving and keeping.
    #[arg(long = "statsd.event-queue-size", value_name = "N", default_value_t = 10_000)]
    pub event_queue_size: u64,

    /// Accepted and without effect.
    #[arg(long = "statsd.event-flush-threshold", value_name = "N", default_value_t = 1000)]
    pub event_flush_threshold: i64,

    /// Accepted and without effect.
    #[arg(long = "statsd.event-flush-interval", value_name = "DURATION", default_value = "200ms",
          value_parser = parse_duration)]
    pub event_flush_interval: Duration,

    /// Accepted and without effect.
    #[arg(long = "statsd.udp-packet-queue-size", value_name = "N", default_value_t = 10_000)]
    pub udp_packet_queue_size: i64,

    /// The path to dump the glob matcher to, as a Dot file.
    #[arg(long = "debug.dump-fsm", value_name = "PATH", default_value = "")]
    pub dump_fsm: String,

    /// The UDP relay target address (host:port).
    #[arg(long = "statsd.relay.address", value_name = "ADDRESS", default_value = "")]
    pub relay_address: String,

    /// Maximum relay output packet length to avoid fragmentation.
    #[arg(long = "statsd.relay.packet-length", value_name = "BYTES", default_value_t = 1400)]
    pub relay_packet_length: u64,

    /// Only log messages with the given severity or above.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub log_level: LogLevel,

    /// Output format of log messages.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub log_format: LogFormat,
}

/// The flags without a value; each also exists as `--no-…`, and the last one given holds.
#[derive(Debug, Clone, clap::Args)]
struct Switches {
    /// Enable shutdown and reload via HTTP request.
    #[arg(long = "web.enable-lifecycle", action = ArgAction::SetTrue, overrides_with = "no_lifecycle")]
    lifecycle: bool,
    #[arg(long = "no-web.enable-lifecycle", action = ArgAction::SetTrue, hide = true, overrides_with = "lifecycle")]
    no_lifecycle: bool,

    /// Check configuration and exit.
    #[arg(long = "check-config", action = ArgAction::SetTrue, overrides_with = "no_check_config")]
    check_config: bool,
    #[arg(long = "no-check-config", action = ArgAction::SetTrue, hide = true, overrides_with = "check_config")]
    no_check_config: bool,

    /// Show application version.
    #[arg(long = "version", action = ArgAction::SetTrue, overrides_with = "no_version")]
    version: bool,
    #[arg(long = "no-version", action = ArgAction::SetTrue, hide = true, overrides_with = "version")]
    no_version: bool,

    /// Parse DogStatsd style tags. Enabled by default; --no-statsd.parse-dogstatsd-tags disables.
    #[arg(long = "statsd.parse-dogstatsd-tags", action = ArgAction::SetTrue, overrides_with = "no_dogstatsd")]
    dogstatsd: bool,
    #[arg(long = "no-statsd.parse-dogstatsd-tags", action = ArgAction::SetTrue, hide = true,
          overrides_with = "dogstatsd")]
    no_dogstatsd: bool,

    /// Parse InfluxDB style tags. Enabled by default; --no-statsd.parse-influxdb-tags disables.
    #[arg(long = "statsd.parse-influxdb-tags", action = ArgAction::SetTrue, overrides_with = "no_influxdb")]
    influxdb: bool,
    #[arg(long = "no-statsd.parse-influxdb-tags", action = ArgAction::SetTrue, hide = true,
          overrides_with = "influxdb")]
    no_influxdb: bool,

    /// Parse Librato style tags. Enabled by default; --no-statsd.parse-librato-tags disables.
    #[arg(long = "statsd.parse-librato-tags", action = ArgAction::SetTrue, overrides_with = "no_librato")]
    librato: bool,
    #[arg(long = "no-statsd.parse-librato-tags", action = ArgAction::SetTrue, hide = true,
          overrides_with = "librato")]
    no_librato: bool,

    /// Parse SignalFX style tags. Enabled by default; --no-statsd.parse-signalfx-tags disables.
    #[arg(long = "statsd.parse-signalfx-tags", action = ArgAction::SetTrue, overrides_with = "no_signalfx")]
    signalfx: bool,
    #[arg(long = "no-statsd.parse-signalfx-tags", action = ArgAction::SetTrue, hide = true,
          overrides_with = "signalfx")]
    no_signalfx: bool,
}

/// `--statsd.cache-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CacheType {
    /// Least recently used.
    Lru,
    /// Random replacement.
    Random,
}

/// `--log.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words say it")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// `--log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl Args {
    /// Whether `/-/reload` and `/-/quit` answer.
    pub fn lifecycle(&self) -> bool {
        self.switches.lifecycle
    }

    /// Whether to check the configuration and exit.
    pub fn check_config(&self) -> bool {
        self.switches.check_config
    }

    /// Whether to print the version and exit.
    pub fn version(&self) -> bool {
        self.switches.version
    }

    /// Whether `key:value` behind `|#` is read.
    pub fn dogstatsd(&self) -> bool {
        !self.switches.no_dogstatsd
    }

    /// Whether `name,key=value` is read.
    pub fn influxdb(&self) -> bool {
        !self.switches.no_influxdb
    }

    /// Whether `name#key=value` is read.
    pub fn librato(&self) -> bool {
        !self.switches.no_librato
    }

    /// Whether `name[key=value]` is read.
    pub fn signalfx(&self) -> bool {
        !self.switches.no_signalfx
    }
}

impl LogLevel {
    /// As `tracing` filters are written.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "expected a duration such as 200ms or 1m30s".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Args, CacheType, LogFormat};

    #[derive(Debug, Parser)]
    #[command(disable_version_flag = true)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(args: &[&str]) -> Result<Args, String> {
        let args = std::iter::once("statsd-exporter").chain(args.iter().copied());
        Cli::try_parse_from(args).map(|cli| cli.args).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_those_of_statsd_exporter() {
        let args = parse(&[]).unwrap();
        assert_eq!(
            (args.web_listen_address.as_str(), args.web_telemetry_path.as_str()),
            (":9102", "/metrics")
        );
        assert_eq!((args.listen_udp.as_str(), args.listen_tcp.as_str()), (":9125", ":9125"));
        assert_eq!((args.listen_unixgram.as_str(), args.unixsocket_mode.as_str()), ("", "755"));
        assert!(args.dogstatsd() && args.influxdb() && args.librato() && args.signalfx());
        assert!(!args.lifecycle() && !args.check_config() && !args.version());
        assert_eq!(args.relay_packet_length, 1400);
    }

    #[test]
    fn every_flag_is_taken_in_both_spellings() {
        let joined = [
            "--web.listen-address=127.0.0.1:0",
            "--web.telemetry-path=/m",
            "--web.enable-lifecycle",
            "--statsd.listen-udp=",
            "--statsd.listen-tcp=localhost:1",
            "--statsd.listen-unixgram=/run/s.sock",
            "--statsd.unixsocket-mode=700",
            "--statsd.mapping-config=m.yaml",
            "--statsd.read-buffer=65536",
            "--statsd.cache-size=0",
            "--statsd.cache-type=random",
            "--statsd.event-queue-size=1",
            "--statsd.event-flush-threshold=2",
            "--statsd.event-flush-interval=1m30s",
            "--statsd.udp-packet-queue-size=3",
            "--debug.dump-fsm=x.dot",
            "--check-config",
            "--no-statsd.parse-dogstatsd-tags",
            "--no-statsd.parse-influxdb-tags",
            "--statsd.parse-librato-tags",
            "--no-statsd.parse-signalfx-tags",
            "--statsd.relay.address=127.0.0.1:1",
            "--statsd.relay.packet-length=500",
            "--log.level=debug",
            "--log.format=json",
        ];
        let split: Vec<&str> = joined.iter().flat_map(|flag| flag.splitn(2, '=')).collect();
        for spelling in [&joined[..], &split] {
            let args = parse(spelling).unwrap();
            assert_eq!((args.listen_udp.as_str(), args.listen_tcp.as_str()), ("", "localhost:1"));
            assert!(!args.dogstatsd() && !args.influxdb() && args.librato() && !args.signalfx());
            assert!(args.lifecycle() && args.check_config());
            assert_eq!((args.cache_type, args.log_format), (CacheType::Random, LogFormat::Json));
            assert_eq!(args.event_flush_interval.as_secs(), 90);
            assert_eq!(args.read_buffer, Some(65536));
        }
    }

    #[test]
    fn the_last_of_a_flag_and_its_negation_holds() {
        assert!(parse(&["--no-statsd.parse-librato-tags", "--statsd.parse-librato-tags"]).unwrap().librato());
        assert!(
            !parse(&["--statsd.parse-librato-tags", "--no-statsd.parse-librato-tags"]).unwrap().librato()
        );
        assert!(!parse(&["--web.enable-lifecycle", "--no-web.enable-lifecycle"]).unwrap().lifecycle());
    }

    #[test]
    fn what_statsd_exporter_refuses_is_refused() {
        for wrong in [
            &["--statsd.cache-type=fifo"][..],
            &["--log.level=trace"],
            &["--unknown"],
            &["extra"],
            &["--statsd.event-flush-interval=soon"],
            &["--check-config=true"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
