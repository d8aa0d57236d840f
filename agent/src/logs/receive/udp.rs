//! Lines over UDP: one or more a datagram. What finds no room is dropped and counted, also by the kernel.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::tcp::sender;
use crate::logs::events;
use crate::logs::intake::{Intake, now};
use crate::logs::record::Source;
use crate::receive::access::Access;
use crate::receive::address::{Address, BindError};
use crate::receive::events as door;
use crate::receive::listen::stopped;
use crate::units::Bytes;

const RECEIVER: &str = "logs_udp";
const DATAGRAM: usize = 65_536;
/// Datagrams taken in one go before the queue is asked.
const TOGETHER: usize = 64;

/// Binds `address` with a receive buffer of `buffer` bytes; `None` if off or the default port is taken.
pub fn bind(address: &Address, buffer: Bytes) -> Result<Option<UdpSocket>, BindError> {
    let Some(socket) = address.socket() else { return Ok(None) };
    match open(socket, buffer) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) => address.tolerate("logs.udp.listen", error).map(|()| None),
    }
}

fn open(address: SocketAddr, buffer: Bytes) -> std::io::Result<UdpSocket> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    // The kernel grants what it allows; less is not an error, the drops are counted.
    let _ = socket.set_recv_buffer_size(buffer.as_usize());
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Reads datagrams until `stop` turns true, then what the kernel still holds.
pub fn serve(
    socket: UdpSocket,
    access: Arc<Access>,
    intake: Intake,
    own_host: String,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut buffer = vec![0; DATAGRAM];
        let mut drops = Drops::of(&socket);
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(5));
        loop {
            tokio::select! {
                ready = socket.readable() => {
                    if ready.is_err() {
                        break;
                    }
                    while burst(&socket, &mut buffer, &access, &intake, &own_host) {}
                }
                _ = tick.tick() => drops.count(),
                () = stopped(&mut stop) => break,
            }
        }
        while burst(&socket, &mut buffer, &access, &intake, &own_host) {}
        drops.count();
    })
}

/// Takes up to [`TOGETHER`] datagrams; false when the kernel has no more.
fn burst(socket: &UdpSocket, buffer: &mut [u8], access: &Access, intake: &Intake, own_host: &str) -> bool {
    let mut more = true;
    let taken = intake.collect(|policy, scratch, batch| {
        let now = now();
        for _ in 0..TOGETHER {
            let (length, peer) = match socket.try_recv_from(buffer) {
                Ok(received) => received,
                Err(_) => {
                    more = false;
                    return;
                }
            };
            if !access.admits(peer.ip()) {
                door::refused(RECEIVER, "not_allowed", peer);
                continue;
            }
            let host = sender(peer, own_host);
            let source = Source { host: Some(&host), service: None };
            for line in buffer[..length].split(|&b| b == b'\n') {
                policy.line(line, source, now, scratch, batch);
            }
        }
    });
    if let Err(batch) = taken {
        events::dropped("queue_full", batch.payloads.len() as u64);
    }
    more
}

/// The kernel's own count of datagrams that it dropped on this socket.
struct Drops {
    inode: Option<u64>,
    before: u64,
}

impl Drops {
    fn of(socket: &UdpSocket) -> Self {
        use std::os::fd::AsRawFd;
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok();
        let inode =
            link.and_then(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        Drops { inode, before: 0 }
    }

    fn count(&mut self) {
        let Some(inode) = self.inode else { return };
        let found = ["/proc/net/udp", "/proc/net/udp6"]
            .iter()
            .find_map(|table| kernel_drops(&std::fs::read_to_string(table).ok()?, inode));
        if let Some(drops) = found {
            events::kernel_drops(drops.saturating_sub(self.before));
            self.before = drops;
        }
    }
}

/// The last column of the socket's row.
fn kernel_drops(table: &str, inode: u64) -> Option<u64> {
    let inode = inode.to_string();
    let row = table.lines().find(|row| row.split_whitespace().nth(9) == Some(&inode))?;
    row.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1: 0100007F:1388 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 42\n";
        assert_eq!(super::kernel_drops(table, 4711), Some(42));
        assert_eq!(super::kernel_drops(table, 1), None);
    }
}
