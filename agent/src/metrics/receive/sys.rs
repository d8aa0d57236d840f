//! `recvmmsg` and socket options that the standard library does not have.
//!
//! Unsafe, because the kernel is handed pointers: all of them point into buffers that the same struct owns, that never
//! move while a call runs, and whose lengths are passed beside them.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// The largest datagram.
const DATAGRAM: usize = 65_536;
/// From one buffer to the next. Not a power of two: most datagrams are short, and buffers that begin at the same place
/// of their page would take each other's place in the processor's caches.
const STRIDE: usize = DATAGRAM + 1536;
/// Room for the control message that carries the kernel's drop counter.
const CONTROL: usize = 8;

/// Buffers for a batch of datagrams.
pub(super) struct Datagrams {
    bytes: Pages,
    control: Vec<[u64; CONTROL]>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: usize,
    /// The kernel's drop counter of this socket, as last seen.
    dropped: u32,
}

impl Datagrams {
    /// Room for `batch` datagrams of any size.
    pub(super) fn new(batch: usize) -> io::Result<Self> {
        let mut new = Datagrams {
            bytes: Pages::new(batch * STRIDE)?,
            control: vec![[0; CONTROL]; batch],
            vectors: Vec::with_capacity(batch),
            headers: Vec::with_capacity(batch),
            received: 0,
            dropped: 0,
        };
        for at in 0..batch {
            // SAFETY: within the allocation, because `at` is less than `batch`.
            let base = unsafe { new.bytes.start.as_ptr().add(at * STRIDE) };
            new.vectors.push(libc::iovec { iov_base: base.cast(), iov_len: DATAGRAM });
        }
        for at in 0..batch {
            // SAFETY: a header of zeros is a valid one without buffers.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = &raw mut new.vectors[at];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = new.control[at].as_mut_ptr().cast();
            new.headers.push(header);
        }
        Ok(new)
    }

    /// Waits for at least one datagram (if it may wait) and takes all that have come. 0 when none came in time.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, wait: bool) -> io::Result<usize> {
        for header in &mut self.headers[..] {
            header.msg_hdr.msg_controllen = size_of::<[u64; CONTROL]>();
        }
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: the headers point into buffers that `self` owns, which is borrowed for the whole call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        self.received = usize::try_from(count).unwrap_or(0);
        if count >= 0 {
            return Ok(self.received);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        }
    }

    /// One of the datagrams of the last call.
    pub(super) fn get(&self, at: usize) -> &[u8] {
        let len = (self.headers[at].msg_len as usize).min(DATAGRAM);
        &self.bytes.as_slice()[at * STRIDE..at * STRIDE + len]
    }

    /// How many datagrams the kernel dropped since the last time it said so.
    pub(super) fn missed(&mut self) -> u64 {
        let Some(last) = self.received.checked_sub(1) else { return 0 };
        let Some(total) = self.drop_counter(last) else { return 0 };
        let missed = total.wrapping_sub(self.dropped);
        self.dropped = total;
        u64::from(missed)
    }

    fn drop_counter(&self, at: usize) -> Option<u32> {
        let header = &self.headers[at].msg_hdr;
        // SAFETY: the kernel has filled `msg_control` up to `msg_controllen`; the macros stay within it.
        unsafe {
            let mut message = libc::CMSG_FIRSTHDR(header);
            while !message.is_null() {
                if (*message).cmsg_level == libc::SOL_SOCKET && (*message).cmsg_type == libc::SO_RXQ_OVFL {
                    return Some(libc::CMSG_DATA(message).cast::<u32>().read_unaligned());
                }
                message = libc::CMSG_NXTHDR(header, message);
            }
        }
        None
    }
}

/// Memory straight from the kernel, which gives a page only when it is touched: an allocator may clear all of it.
struct Pages {
    start: std::ptr::NonNull<u8>,
    len: usize,
}

impl Pages {
    fn new(len: usize) -> io::Result<Self> {
        // SAFETY: asks for fresh private memory at any address.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        match std::ptr::NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Pages { start, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn as_slice(&self) -> &[u8] {
        // SAFETY: mapped, readable, and zero until written.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the very range that was mapped. It cannot fail for that.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Waits until there is something to read, at most `patience`. An error of the socket counts as something: reading tells it.
pub(super) fn readable(socket: BorrowedFd<'_>, patience: Duration) -> bool {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let patience = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one entry is passed, and it outlives the call.
    unsafe { libc::poll(&raw mut poll, 1, patience) > 0 }
}

/// Makes calls return after `patience`, and the kernel report its drops.
pub(super) fn prepare(socket: BorrowedFd<'_>, patience: Duration) -> io::Result<()> {
    socket2::SockRef::from(&socket).set_read_timeout(Some(patience))?;
    set(socket, libc::SO_RXQ_OVFL, 1)
}

/// Sets the receive buffer beyond `net.core.rmem_max`, which only root may.
pub(super) fn force_receive_buffer(socket: &socket2::Socket, bytes: usize) -> io::Result<()> {
    use std::os::fd::AsFd;
    set(socket.as_fd(), libc::SO_RCVBUFFORCE, i32::try_from(bytes).unwrap_or(i32::MAX))
}

fn set(socket: BorrowedFd<'_>, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the value outlives the call and its length is passed beside it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
