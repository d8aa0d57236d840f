//! The accept loop of every stream receiver: allow-list, connection cap, handshake deadline, drain on stop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use super::access::Access;
use super::address::{Address, BindError};
use super::events;
use super::settings::Limits;
use super::stream::Stream;
use super::tls::Certificates;

/// A receiver's socket and rules, ready to be served.
pub struct Door {
    /// A bounded name for counters and messages: `logs_tcp`, `otlp_grpc`, …
    pub receiver: &'static str,
    /// The socket.
    pub listener: TcpListener,
    /// Who may come in.
    pub access: Arc<Access>,
    /// What one may hold.
    pub limits: Limits,
    /// Certificates, if it speaks TLS.
    pub tls: Option<Certificates>,
}

/// Binds `address`; `None` if the receiver is off or its default port is taken.
pub async fn bind(address: &Address, setting: &'static str) -> Result<Option<TcpListener>, BindError> {
    let Some(socket) = address.socket() else { return Ok(None) };
    match TcpListener::bind(socket).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => address.tolerate(setting, error).map(|()| None),
    }
}

/// Serves connections with `each` until `stop` turns true; then waits for those that are open. Runs as a task.
pub fn serve<F, Fut>(door: Door, stop: watch::Receiver<bool>, each: F) -> JoinHandle<()>
where
    F: Fn(Stream, SocketAddr, watch::Receiver<bool>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(accept_all(door, stop, Arc::new(each)))
}

async fn accept_all<F, Fut>(door: Door, mut stop: watch::Receiver<bool>, each: Arc<F>)
where
    F: Fn(Stream, SocketAddr, watch::Receiver<bool>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let Door { receiver, listener, access, limits, tls } = door;
    let slots = Arc::new(Semaphore::new(limits.connections));
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    rest_after(receiver, &error).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => break,
        };
        if !access.admits(peer.ip()) {
            events::refused(receiver, "not_allowed", peer);
            continue;
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            events::refused(receiver, "too_many_connections", peer);
            continue;
        };
        // Losing this option costs latency only.
        let _ = stream.set_nodelay(true);
        events::connected(receiver);
        let (each, stop) = (Arc::clone(&each), stop.clone());
        let tls = tls.as_ref().map(|tls| tls.acceptor(Instant::now()));
        let (idle, handshake) = (limits.idle.0, limits.handshake.0);
        tokio::spawn(async move {
            let _open = Open { receiver, _slot: slot };
            let stream = match tls {
                None => Stream::plain(stream, idle),
                Some(tls) => match tokio::time::timeout(handshake, tls.accept(stream)).await {
                    Ok(Ok(stream)) => Stream::tls(stream, idle),
                    Ok(Err(error)) => return events::handshake_failed(receiver, peer, &error),
                    Err(_) => return events::refused(receiver, "handshake_timeout", peer),
                },
            };
            each(stream, peer, stop).await;
        });
    }
    // All slots back means all connections have ended; the caller bounds the wait.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

/// Resolves when the agent is told to stop.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits for all `tasks`, at most `deadline`; false if some were still at work then.
pub async fn joined(tasks: Vec<JoinHandle<()>>, deadline: Duration) -> bool {
    let all = async {
        for task in tasks {
            // A task that panicked has ended, too.
            let _ = task.await;
        }
    };
    tokio::time::timeout(deadline, all).await.is_ok()
}

/// A listener out of descriptors fails at once for ever: without a rest it would burn a core.
async fn rest_after(receiver: &'static str, error: &io::Error) {
    events::accept_failed(receiver, error);
    tokio::time::sleep(Duration::from_millis(50)).await;
}

struct Open {
    receiver: &'static str,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Open {
    fn drop(&mut self) {
        events::disconnected(self.receiver);
    }
}
