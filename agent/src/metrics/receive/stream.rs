//! Streams: TCP and unix. A connection costs a buffer only while something is there to be read.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::lines::Lines;
use super::now;
use super::relay::Relay;
use crate::metrics::line::Refusal;
use crate::metrics::registry::Registry;
use crate::metrics::settings::Settings;
use crate::metrics::tally::Batch;

/// Bytes taken by one read.
const READ: usize = 128 << 10;
/// After a read of less than this a connection rests for [`COALESCE`].
const SMALL: usize = 16 << 10;
/// See [`SMALL`].
const COALESCE: Duration = Duration::from_millis(1);
/// At a stop, how long to wait for what is under way.
const GRACE: Duration = Duration::from_millis(50);

thread_local! {
    /// Lines that a read leaves unfinished are kept by their connection, so that connections share this.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// Limits of connections, shared between listeners.
#[derive(Clone)]
pub(super) struct Limits {
    room: Arc<Semaphore>,
    idle: Duration,
    max_line: usize,
    relay: Option<Arc<Relay>>,
}

impl Limits {
    pub(super) fn new(settings: &Settings, relay: Option<&Relay>) -> Self {
        Limits {
            relay: relay.map(|relay| Arc::new(relay.fork())),
            room: Arc::new(Semaphore::new(settings.max_connections.clamp(1, Semaphore::MAX_PERMITS))),
            idle: settings.idle_timeout.0,
            max_line: settings.max_line.as_usize().max(64),
        }
    }
}

/// A stream that can be asked to read without waiting.
trait Source: Send + Sync + 'static {
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize>;
}

/// Where streams come from.
trait Listener: Send + Sync {
    type Stream: Source;
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Listener for tokio::net::UnixListener {
    type Stream = UnixStream;
    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Source for TcpStream {
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send {
        self.readable()
    }
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.try_read(into)
    }
}

impl Source for UnixStream {
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send {
        self.readable()
    }
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.try_read(into)
    }
}

/// Accepts TCP connections until told to stop.
pub(super) async fn tcp(
    listener: std::net::TcpListener,
    registry: Arc<Registry>,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    match TcpListener::from_std(listener) {
        Ok(listener) => serve(listener, registry, limits, stop).await,
        Err(error) => tracing::error!(%error, "cannot accept StatsD over TCP"),
    }
}

/// Accepts connections to a unix socket until told to stop.
pub(super) async fn unix(
    listener: UnixListener,
    registry: Arc<Registry>,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    match tokio::net::UnixListener::from_std(listener) {
        Ok(listener) => serve(listener, registry, limits, stop).await,
        Err(error) => tracing::error!(%error, "cannot accept StatsD over a unix socket"),
    }
}

async fn serve<L: Listener>(
    listener: L,
    registry: Arc<Registry>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.next() => accepted,
            // Whoever is in the kernel's queue by now may have written already.
            () = silence(&mut stop, None) => break,
        };
        while connections.try_join_next().is_some() {}
        let mut batch = Batch::default();
        match accepted {
            Ok(stream) => match Arc::clone(&limits.room).try_acquire_owned() {
                Ok(permit) => {
                    batch.connections += 1;
                    let (registry, limits, stop) = (Arc::clone(&registry), limits.clone(), stop.clone());
                    connections.spawn(async move {
                        connection(stream, &registry, &limits, stop).await;
                        drop(permit);
                    });
                }
                Err(_) => batch.connections_refused += 1,
            },
            Err(error) => {
                batch.connection_errors += 1;
                // Out of descriptors, most likely: it passes when connections end.
                tracing::warn!(%error, "cannot accept a StatsD connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        registry.tally.flush(&mut batch);
    }
    while connections.join_next().await.is_some() {}
}

/// Ends when nothing has come for too long: for `idle`, or, once told to stop, for a moment.
async fn silence(stop: &mut watch::Receiver<bool>, idle: Option<Duration>) {
    let stopping = async {
        // An error means that the lane is gone, which is a stop, too.
        let _ = stop.wait_for(|stop| *stop).await;
        tokio::time::sleep(GRACE).await;
    };
    match idle {
        Some(idle) => {
            let _ = tokio::time::timeout(idle, stopping).await;
        }
        None => stopping.await,
    }
}

/// Reads one connection to its end, until it is silent for too long, or, at a stop, until nothing is left to read.
async fn connection(
    stream: impl Source,
    registry: &Registry,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
) {
    let mut lines = Lines::new(limits.max_line);
    let mut batch = Batch::default();
    let mut relay = limits.relay.as_ref().map(|relay| relay.fork());
    loop {
        let ready = tokio::select! {
            ready = stream.readable() => ready,
            () = silence(&mut stop, Some(limits.idle)) => break,
        };
        if ready.is_err() {
            batch.connection_errors += 1;
            break;
        }
        match read(&stream, registry, &mut lines, &mut batch, relay.as_mut()) {
            Ok(0) => break,
            Ok(count) => {
                registry.tally.flush(&mut batch);
                if count < SMALL && !*stop.borrow() {
                    // Waking for each line costs more than reading it.
                    tokio::time::sleep(COALESCE).await;
                } else {
                    // A fast sender must not keep others from this thread.
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                batch.connection_errors += 1;
                break;
            }
        }
    }
    lines.finish(|line| {
        registry.ingest(line, now(), &mut batch);
        if let Some(relay) = &mut relay {
            relay.push(line, &mut batch);
            relay.flush(&mut batch);
        }
    });
    registry.tally.flush(&mut batch);
}

fn read(
    stream: &impl Source,
    registry: &Registry,
    lines: &mut Lines,
    batch: &mut Batch,
    mut relay: Option<&mut Relay>,
) -> io::Result<usize> {
    BUFFER.with_borrow_mut(|buffer| {
        let count = stream.try_read(buffer)?;
        let now = now();
        let long = lines.push(&buffer[..count], |stretch| {
            registry.ingest(stretch, now, batch);
            if let Some(relay) = relay.as_deref_mut() {
                relay.push(stretch, batch);
                relay.flush(batch);
            }
        });
        for _ in 0..long {
            batch.refuse(Refusal::TooLong);
        }
        Ok(count)
    })
}
