//! Opens the sockets that the settings name.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use crate::metrics::settings::Settings;

/// What was opened.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Option<TcpListener>,
    pub(super) unix_datagram: Option<UnixDatagram>,
    pub(super) unix_stream: Option<UnixListener>,
    /// Files to take away at a stop.
    pub(super) paths: Vec<PathBuf>,
}

/// Whether an address of the configuration is one; the other receivers say `off` for none.
fn wanted(address: &str) -> bool {
    !address.is_empty() && address != "off"
}

/// Opens everything, or nothing.
pub(super) fn all(settings: &Settings) -> Result<Sockets, StartError> {
    let fails = |what: String, setting| move |source| StartError::Bind { what, setting, source };
    let mut sockets = Sockets::default();
    if wanted(&settings.listen_udp) {
        sockets.udp =
            udp(settings).map_err(fails(format!("udp {}", settings.listen_udp), "metrics.listen_udp"))?;
    }
    if wanted(&settings.listen_tcp) {
        let tcp = tcp(&settings.listen_tcp)
            .map_err(fails(format!("tcp {}", settings.listen_tcp), "metrics.listen_tcp"))?;
        sockets.tcp = Some(tcp);
    }
    let mode = u32::from_str_radix(&settings.unix_mode, 8)
        .map_err(|_| StartError::Mode(settings.unix_mode.clone()))?;
    let path = &settings.listen_unix_datagram;
    if !path.as_os_str().is_empty() {
        let error = fails(format!("unix datagram socket {}", path.display()), "metrics.listen_unix_datagram");
        sockets.unix_datagram = Some(unix_datagram(settings, path, mode).map_err(error)?);
        sockets.paths.push(path.clone());
    }
    let path = &settings.listen_unix_stream;
    if !path.as_os_str().is_empty() {
        let error = fails(format!("unix stream socket {}", path.display()), "metrics.listen_unix_stream");
        sockets.unix_stream = Some(unix_stream(path, mode).map_err(error)?);
        sockets.paths.push(path.clone());
    }
    Ok(sockets)
}

/// `:9125` means all addresses, of both families, as in Go.
pub(super) fn address(text: &str) -> io::Result<SocketAddr> {
    let full = if text.starts_with(':') { format!("[::]{text}") } else { text.to_owned() };
    let mut found = full.to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such address"))
}

fn udp(settings: &Settings) -> io::Result<Vec<UdpSocket>> {
    let mut address = address(&settings.listen_udp)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = if settings.udp_sockets == 0 { cores.min(4) } else { settings.udp_sockets.min(64) };
    // Without sharing first: a port that another program shares is taken, too.
    if address.port() != 0 {
        drop(bound(address, Type::DGRAM, false)?);
    }
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = bound(address, Type::DGRAM, true)?;
        receive_buffer(&socket, settings);
        let socket = UdpSocket::from(socket);
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn tcp(text: &str) -> io::Result<TcpListener> {
    let socket = bound(address(text)?, Type::STREAM, false)?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bound(address: SocketAddr, kind: Type, shared: bool) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The kernel may grant less; as root the limit does not hold.
fn receive_buffer(socket: &Socket, settings: &Settings) {
    let wanted = settings.receive_buffer.as_usize();
    if wanted == 0 {
        return;
    }
    if let Err(error) =
        super::sys::force_receive_buffer(socket, wanted).or_else(|_| socket.set_recv_buffer_size(wanted))
    {
        tracing::warn!(%error, wanted, "cannot set the receive buffer of a socket");
    }
    // The kernel doubles what it grants, for its own bookkeeping.
    let granted = socket.recv_buffer_size().unwrap_or(0) / 2;
    if granted < wanted {
        tracing::warn!(
            wanted,
            granted,
            "the receive buffer is smaller than asked for: raise net.core.rmem_max"
        );
    }
}

fn unix_datagram(settings: &Settings, path: &Path, mode: u32) -> io::Result<UnixDatagram> {
    take_over(path, || UnixDatagram::unbound().is_ok_and(|probe| probe.connect(path).is_ok()))?;
    let socket = UnixDatagram::bind(path)?;
    receive_buffer(&Socket::from(socket.try_clone()?), settings);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(socket)
}

fn unix_stream(path: &Path, mode: u32) -> io::Result<UnixListener> {
    take_over(path, || UnixStream::connect(path).is_ok())?;
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Removes the socket file of a program that is gone. Leaves anything else alone.
fn take_over(path: &Path, is_served: impl FnOnce() -> bool) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(meta) if !meta.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is in the way"))
        }
        Ok(_) if is_served() => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program serves it")),
        Ok(_) => std::fs::remove_file(path),
    }
}
