//! The logs lane: JSON lines and their relatives in, Elastic Common Schema records out to the queue.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::receive::address::BindError;
use crate::receive::listen::{self, Door};
use crate::receive::sink::Sink;
use crate::receive::tls::{Certificates, TlsError};

mod card;
pub mod draft;
pub mod ecs;
pub mod envelope;
pub mod events;
pub mod fields;
pub mod framing;
pub mod grok;
pub mod id;
pub mod ids;
pub mod intake;
pub mod labels;
pub mod level;
pub mod normalise;
pub mod otlp;
pub mod receive;
pub mod record;
pub mod redact;
pub mod rules;
pub mod scan;
pub mod settings;
pub mod sign_ins;
pub mod stream;
pub mod syslog;
pub mod testing;
pub mod timestamp;

pub use intake::{Busy, Intake};
pub use record::Source;
pub use settings::Settings;

/// The lane could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A record rule or a pattern for secrets is wrong.
    #[error("{0}")]
    Rule(String),
}

/// The lane at work.
pub struct Handle {
    intake: Intake,
    open: Vec<(&'static str, SocketAddr)>,
    tasks: Vec<JoinHandle<()>>,
}

impl Handle {
    /// The entrance, for lines that other parts of the agent have.
    pub fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Where it listens: `tcp`, `udp`, `http`, and the address of each that is open.
    pub fn open(&self) -> &[(&'static str, SocketAddr)] {
        &self.open
    }

    /// Waits until all receivers have drained, at most `deadline`. They begin when the `stop` given to [`start`]
    /// turns true.
    pub async fn stopped(self, deadline: Duration) {
        if !listen::joined(self.tasks, deadline).await {
            tracing::warn!("log connections were still open at the deadline");
        }
    }
}

/// The entrance that `settings` describe in front of `sink`, without any receiver. The error names the wrong rule.
pub fn intake(settings: &Settings, sink: Arc<dyn Sink>) -> Result<Intake, String> {
    Ok(Intake::new(policy(settings)?, sink, settings.max_line.as_usize()))
}

/// Says what is wrong with rules and patterns, if anything is.
///
/// # Errors
/// The first mistake, with its key.
pub fn verify(settings: &Settings) -> Result<(), String> {
    policy(settings).map(drop)
}

fn policy(settings: &Settings) -> Result<record::Policy, String> {
    let redactor = redact::Redactor::new(&settings.redact).map_err(|e| format!("logs.redact: {e}"))?;
    Ok(record::Policy {
        rules: rules::Rules::new(&settings.rules)?,
        redactor,
        environment: settings.environment.clone(),
        max_fields: settings.max_fields,
        syslog: settings.syslog,
        streams: stream::Streams::new(settings.max_streams),
        ids: id::Ids::new(fastrand::u64(..)),
    })
}

/// Starts the receivers that `settings` name. `host` is this machine's name.
pub async fn start(
    settings: &Settings,
    host: &str,
    sink: Arc<dyn Sink>,
    stop: watch::Receiver<bool>,
) -> Result<Handle, StartError> {
    let intake = intake(settings, sink).map_err(StartError::Rule)?;
    let (mut open, mut tasks) = (Vec::new(), Vec::new());
    if let Some(listener) = listen::bind(&settings.tcp.listen, "logs.tcp.listen").await? {
        open.extend(listener.local_addr().ok().map(|at| ("tcp", at)));
        let door = Door {
            receiver: "logs_tcp",
            listener,
            access: Arc::new(settings.tcp.access.clone()),
            limits: settings.tcp.limits.clone(),
            tls: Certificates::read(&settings.tcp.tls, "logs.tcp.tls", &[])?,
        };
        tasks.push(receive::tcp::serve(door, intake.clone(), host.to_owned(), stop.clone()));
    }
    if let Some(socket) = receive::udp::bind(&settings.udp.listen, settings.udp.buffer)? {
        open.extend(socket.local_addr().ok().map(|at| ("udp", at)));
        let access = Arc::new(settings.udp.access.clone());
        tasks.push(receive::udp::serve(socket, access, intake.clone(), host.to_owned(), stop.clone()));
    }
    if let Some(listener) = listen::bind(&settings.http.listen, "logs.http.listen").await? {
        open.extend(listener.local_addr().ok().map(|at| ("http", at)));
        let (access, limits) = (Arc::new(settings.http.access.clone()), settings.http.limits.clone());
        let router = receive::http::router(intake.clone(), host.to_owned(), limits.clone());
        let tls = Certificates::read(&settings.http.tls, "logs.http.tls", &[b"h2", b"http/1.1"])?;
        let door = Door { receiver: "logs_http", listener, access, limits, tls };
        tasks.push(crate::receive::http::serve(door, router, stop));
    }
    Ok(Handle { intake, open, tasks })
}
