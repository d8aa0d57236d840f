//! Settings of the metrics lane, each with its default.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sightline_instrument::wire;

use super::line::Dialect;
use crate::units::{Bytes, Span};

/// The metrics lane.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address for StatsD over UDP; `off` or nothing switches it off.
    pub listen_udp: String,
    /// Address for StatsD over TCP; `off` or nothing switches it off.
    pub listen_tcp: String,
    /// Path of a unix datagram socket; empty switches it off. A stale file is taken over.
    pub listen_unix_datagram: PathBuf,
    /// Path of a unix stream socket; empty switches it off. A stale file is taken over.
    pub listen_unix_stream: PathBuf,
    /// Permissions of the unix sockets, in octal.
    pub unix_mode: String,
    /// UDP sockets that share the port, one thread each; 0 is one for each core, at most four.
    pub udp_sockets: usize,
    /// What to ask the kernel to buffer for each datagram socket; it may grant less.
    pub receive_buffer: Bytes,
    /// Stream connections at once, TCP and unix together.
    pub max_connections: usize,
    /// A stream connection that is silent for this long is closed.
    pub idle_timeout: Span,
    /// Longer lines of a stream are counted and skipped; the connection goes on.
    pub max_line: Bytes,
    /// Every line is also sent to this StatsD server over UDP; empty sends nothing.
    pub relay: String,
    /// Relayed datagrams hold at most this many bytes.
    pub relay_packet: Bytes,
    /// Which spellings of tags and types are read.
    pub dialect: Dialect,
    /// Whether the names of the instrument crate become labels.
    pub convention: bool,
    /// First parts that make a six-part name the convention's.
    pub environments: Vec<String>,
    /// Mapping rules in statsd_exporter's format; empty has none.
    pub mapping: PathBuf,
    /// A series that is silent for this long ends; 0 keeps all.
    pub ttl: Span,
    /// How long a member of a set counts.
    pub set_window: Span,
    /// What may be kept.
    pub budget: Budget,
    /// Where counters are kept over a restart; empty starts from zero each time.
    pub state: PathBuf,
    /// How often the state is written; it is also written at a stop.
    pub state_interval: Span,
}

/// Limits that keep memory and scrapes bounded whatever comes in. Beyond them samples go to `_other` series.
#[derive(Debug, Clone, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Series of one metric.
    pub series_per_metric: usize,
    /// Series of all metrics.
    pub series: usize,
    /// Memory for series.
    pub memory: Bytes,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen_udp: "127.0.0.1:9125".to_owned(),
            listen_tcp: "127.0.0.1:9125".to_owned(),
            listen_unix_datagram: PathBuf::new(),
            listen_unix_stream: PathBuf::new(),
            unix_mode: "755".to_owned(),
            udp_sockets: 0,
            receive_buffer: Bytes(8 << 20),
            max_connections: 1024,
            idle_timeout: Span::secs(600),
            max_line: Bytes(16 << 10),
            relay: String::new(),
            relay_packet: Bytes(1400),
            dialect: Dialect::default(),
            convention: true,
            environments: wire::ENVIRONMENTS.iter().map(|&e| e.to_owned()).collect(),
            mapping: PathBuf::new(),
            ttl: Span::secs(0),
            set_window: Span::secs(600),
            budget: Budget::default(),
            state: PathBuf::new(),
            state_interval: Span::secs(60),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget { series_per_metric: 10_000, series: 200_000, memory: Bytes(128 << 20) }
    }
}
