//! Datagrams in batches: one system call for many, one flush of the counts for each batch.

use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::relay::Relay;
use super::{now, sys};
use crate::metrics::registry::Registry;
use crate::metrics::tally::{Batch, Lost};

/// Datagrams taken by one call. Only the pages that datagrams touch are resident.
const BATCH: usize = 64;
/// How long a call waits before it looks whether to stop.
const PATIENCE: Duration = Duration::from_millis(100);
/// When a batch has left nothing behind, the thread gives the next one time to gather: waking for each datagram costs more
/// than reading it, and so does looking for series that have left the processor's caches meanwhile. How long, by what
/// the kernel buffers for the socket (as it says itself, which is twice what was asked for): the buffer must hold what
/// comes meanwhile. Twice as long where little came the last time.
const REST: [(usize, Duration); 2] =
    [(16 << 20, Duration::from_millis(10)), (1 << 20, Duration::from_millis(1))];

/// One datagram socket and the thread that reads it.
pub(super) struct Receiver {
    socket: OwnedFd,
    unix: bool,
}

impl Receiver {
    pub(super) fn udp(socket: UdpSocket) -> Self {
        Receiver { socket: socket.into(), unix: false }
    }

    pub(super) fn unix(socket: UnixDatagram) -> Self {
        Receiver { socket: socket.into(), unix: true }
    }

    /// Reads until told to stop, and then what is left.
    pub(super) fn run(self, registry: &Registry, stop: &AtomicBool, mut relay: Option<Relay>) {
        let socket = self.socket.as_fd();
        if let Err(error) = sys::prepare(socket, PATIENCE) {
            tracing::warn!(%error, "cannot set options of a datagram socket");
        }
        let mut datagrams = match sys::Datagrams::new(BATCH) {
            Ok(datagrams) => datagrams,
            Err(error) => {
                tracing::error!(%error, "no memory to receive datagrams");
                return;
            }
        };
        let room = socket2::SockRef::from(&socket).recv_buffer_size().unwrap_or(0);
        // Senders to a unix socket wait for room instead of losing.
        let rest = REST.iter().find(|(needs, _)| room >= *needs && !self.unix).map(|(_, rest)| *rest);
        let (mut rests, mut gathered) = (true, 0);
        let mut batch = Batch::default();
        let mut failures = 0u32;
        loop {
            let stopping = stop.load(Relaxed);
            if let Some(rest) = rest.filter(|_| rests && !stopping) {
                // While something comes each time there is no need to wait for it first: that would be a second waking.
                if gathered == 0 && !sys::readable(socket, PATIENCE) {
                    continue;
                }
                std::thread::sleep(if gathered < BATCH { rest * 2 } else { rest });
                gathered = 0;
            }
            match datagrams.receive(socket, !stopping) {
                Ok(0) if stopping => break,
                Ok(0) => rests = true,
                Ok(count) => {
                    failures = 0;
                    self.take(registry, &mut datagrams, count, &mut batch, relay.as_mut());
                    gathered += count;
                    rests = count < BATCH;
                }
                Err(error) => {
                    failures += 1;
                    if stopping || failures > 100 {
                        tracing::error!(%error, "datagrams cannot be read any more");
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(u64::from(failures.min(50))));
                }
            }
        }
        registry.tally.flush(&mut batch);
    }

    fn take(
        &self,
        registry: &Registry,
        datagrams: &mut sys::Datagrams,
        count: usize,
        batch: &mut Batch,
        relay: Option<&mut Relay>,
    ) {
        let now = now();
        for at in 0..count {
            registry.ingest(datagrams.get(at), now, batch);
        }
        if let Some(relay) = relay {
            for at in 0..count {
                relay.push(datagrams.get(at), batch);
            }
            relay.flush(batch);
        }
        let packets = if self.unix { &mut batch.unix_packets } else { &mut batch.udp_packets };
        *packets += count as u64;
        let missed = datagrams.missed();
        batch.received += missed;
        batch.lose(Lost::Kernel, missed);
        registry.tally.flush(batch);
    }
}
