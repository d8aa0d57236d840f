//! Sockets and threads of the metrics lane: everything that arrives goes into the registry.

mod bind;
mod datagram;
mod lines;
mod relay;
mod stream;
mod sys;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use super::registry::{Loaded, Registry};
use super::settings::Settings;
use crate::hooks::LogLineHook;

/// How often silent series are looked for.
const EXPIRE: Duration = Duration::from_secs(1);
/// Every so many rounds memory is measured too.
const MEASURE: u32 = 15;

/// What other lanes offer to this one.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Takes DogStatsD events and service checks as JSON lines.
    pub log_line: Option<LogLineHook>,
}

/// Why the lane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is none, or cannot be used.
    #[error("metrics: cannot use {what}: {source}; change {setting}")]
    Bind {
        /// Transport and address.
        what: String,
        /// The setting that holds it.
        setting: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a receiver thread: {0}")]
    Thread(#[source] io::Error),
    /// The mode is no octal number.
    #[error("metrics.unix_mode is '{0}': write permissions in octal, such as 755")]
    Mode(String),
}

/// The running lane.
pub struct Handle {
    /// Where UDP is received, with the port that was chosen.
    pub udp: Option<SocketAddr>,
    /// Where TCP is received, with the port that was chosen.
    pub tcp: Option<SocketAddr>,
    registry: Arc<Registry>,
    stop: Arc<AtomicBool>,
    stopping: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    sockets: Vec<PathBuf>,
    state: Option<PathBuf>,
}

/// Starts the receivers that the settings name. Must be called within a tokio runtime.
pub fn start(settings: &Settings, registry: Arc<Registry>, hooks: Hooks) -> Result<Handle, StartError> {
    if let Some(hook) = hooks.log_line {
        registry.on_log_line(hook);
    }
    let (stopping, stopped) = watch::channel(false);
    let mut handle = Handle {
        udp: None,
        tcp: None,
        registry: Arc::clone(&registry),
        stop: Arc::new(AtomicBool::new(false)),
        stopping,
        threads: Vec::new(),
        tasks: Vec::new(),
        sockets: Vec::new(),
        state: Some(settings.state.clone()).filter(|path| !path.as_os_str().is_empty()),
    };
    if let Some(path) = &handle.state {
        match registry.load(path, now()) {
            Ok(Loaded { series: 0, skipped: 0 }) => {}
            Ok(Loaded { series, skipped: 0 }) => {
                tracing::info!(series, "took over the state of the last run")
            }
            Ok(Loaded { series, skipped }) => {
                tracing::error!(series, skipped, "a part of the state of the last run cannot be read");
            }
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "cannot read the state of the last run")
            }
        }
    }
    let sockets = bind::all(settings)?;
    handle.udp = sockets.udp.first().and_then(|socket| socket.local_addr().ok());
    handle.tcp = sockets.tcp.as_ref().and_then(|listener| listener.local_addr().ok());
    handle.sockets = sockets.paths;

    let relay = relay::Relay::new(settings).map_err(|source| StartError::Bind {
        what: format!("relay to {}", settings.relay),
        setting: "metrics.relay",
        source,
    })?;
    for (at, socket) in sockets.udp.into_iter().enumerate() {
        handle.thread(format!("statsd-udp-{at}"), datagram::Receiver::udp(socket), relay.as_ref())?;
    }
    if let Some(socket) = sockets.unix_datagram {
        handle.thread("statsd-unix".to_owned(), datagram::Receiver::unix(socket), relay.as_ref())?;
    }
    let streams = stream::Limits::new(settings, relay.as_ref());
    if let Some(listener) = sockets.tcp {
        let accept = stream::tcp(listener, Arc::clone(&registry), streams.clone(), stopped.clone());
        handle.tasks.push(tokio::spawn(accept));
    }
    if let Some(listener) = sockets.unix_stream {
        let accept = stream::unix(listener, Arc::clone(&registry), streams, stopped.clone());
        handle.tasks.push(tokio::spawn(accept));
    }
    handle.tasks.push(tokio::spawn(housekeeping(registry, stopped)));
    if let Some(path) = handle.state.clone() {
        let every = settings.state_interval.0.max(Duration::from_secs(1));
        handle.tasks.push(tokio::spawn(keep(
            Arc::clone(&handle.registry),
            path,
            every,
            handle.stopping.subscribe(),
        )));
    }
    Ok(handle)
}

impl Handle {
    fn thread(
        &mut self,
        name: String,
        receiver: datagram::Receiver,
        relay: Option<&relay::Relay>,
    ) -> Result<(), StartError> {
        let relay = relay.map(relay::Relay::fork);
        let (registry, stop) = (Arc::clone(&self.registry), Arc::clone(&self.stop));
        let spawned =
            std::thread::Builder::new().name(name).spawn(move || receiver.run(&registry, &stop, relay));
        self.threads.push(spawned.map_err(StartError::Thread)?);
        Ok(())
    }

    /// Stops listening and takes in what the kernel has already received. False if that lasted beyond the deadline.
    pub async fn stop(mut self, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        self.stop.store(true, Relaxed);
        let _ = self.stopping.send(true);
        let mut clean = true;
        for task in self.tasks.drain(..) {
            let left = until.saturating_duration_since(Instant::now());
            let abort = task.abort_handle();
            if tokio::time::timeout(left, task).await.is_err() {
                abort.abort();
                clean = false;
            }
        }
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() >= until {
                clean = false;
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if let Some(path) = self.state.take() {
            save(Arc::clone(&self.registry), path).await;
        }
        for path in &self.sockets {
            // Somebody may have cleaned up already.
            let _ = std::fs::remove_file(path);
        }
        clean
    }
}

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

async fn housekeeping(registry: Arc<Registry>, mut stopped: watch::Receiver<bool>) {
    let mut round = 0u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EXPIRE) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        round = round.wrapping_add(1);
        if round.is_multiple_of(MEASURE) || registry.has_ttl() {
            registry.sweep(now());
        }
    }
}

/// Writes the state now and then; a stop writes it for the last time.
async fn keep(registry: Arc<Registry>, path: PathBuf, every: Duration, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        save(Arc::clone(&registry), path.clone()).await;
    }
}

async fn save(registry: Arc<Registry>, path: PathBuf) {
    let saved = tokio::task::spawn_blocking(move || registry.save(&path)).await;
    if let Ok(Err(error)) = saved {
        tracing::warn!(%error, "cannot write the state of the metrics: a restart would start counters from zero");
    }
}

#[cfg(test)]
mod tests;
