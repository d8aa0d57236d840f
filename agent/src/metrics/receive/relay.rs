//! Sends every line on to a second StatsD server, packed into datagrams. Never waits: what the kernel refuses is
//! counted and gone.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

use crate::metrics::settings::Settings;
use crate::metrics::tally::Batch;

/// One sender; senders share a socket.
pub(super) struct Relay {
    socket: Arc<UdpSocket>,
    packet: Vec<u8>,
    limit: usize,
}

impl Relay {
    /// None if the settings name no target.
    pub(super) fn new(settings: &Settings) -> io::Result<Option<Self>> {
        if settings.relay.is_empty() {
            return Ok(None);
        }
        let target = super::bind::address(&settings.relay)?;
        let socket = UdpSocket::bind(if target.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" })?;
        socket.connect(target)?;
        socket.set_nonblocking(true)?;
        let limit = settings.relay_packet.as_usize().clamp(64, 65_507);
        Ok(Some(Relay { socket: Arc::new(socket), packet: Vec::with_capacity(limit), limit }))
    }

    /// Another sender to the same target.
    pub(super) fn fork(&self) -> Self {
        Relay { socket: Arc::clone(&self.socket), packet: Vec::new(), limit: self.limit }
    }

    /// Takes lines. They are out after the next [`Relay::flush`] at the latest.
    pub(super) fn push(&mut self, lines: &[u8], batch: &mut Batch) {
        for line in lines.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            if line.len() + 1 > self.limit {
                batch.relay_long_lines += 1;
                continue;
            }
            if self.packet.len() + line.len() + 1 > self.limit {
                self.flush(batch);
            }
            self.packet.extend_from_slice(line);
            self.packet.push(b'\n');
            batch.relay_lines += 1;
        }
    }

    /// Sends what is waiting.
    pub(super) fn flush(&mut self, batch: &mut Batch) {
        if self.packet.is_empty() {
            return;
        }
        match self.socket.send(&self.packet) {
            Ok(_) => batch.relay_packets += 1,
            Err(_) => batch.relay_errors += 1,
        }
        self.packet.clear();
    }
}
