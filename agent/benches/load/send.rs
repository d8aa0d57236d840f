//! Senders: `sendmmsg` at a pace, TCP as fast as it goes.
#![allow(unsafe_code)] // `sendmmsg` takes pointers: into datagrams that outlive each call

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::lines::{Datagram, Line};

const BATCH: usize = 32;

/// What went out.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sent {
    pub(crate) lines: usize,
    pub(crate) counted: u64,
}

/// Sends datagrams, again from the first when they run out, until `lines` are out, at `rate` lines a second.
pub(crate) fn paced(to: SocketAddr, datagrams: &[Datagram], lines: usize, rate: u64) -> (Sent, Duration) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    let mut sent = Sent::default();
    let begun = Instant::now();
    let mut at = 0;
    while sent.lines < lines {
        assert!(begun.elapsed() < Duration::from_secs(120), "the load takes too long");
        let due = Duration::from_secs_f64(sent.lines as f64 / rate as f64);
        if let Some(wait) = due.checked_sub(begun.elapsed()).filter(|w| *w > Duration::from_micros(50)) {
            std::thread::sleep(wait);
        }
        let end = (at + BATCH).min(datagrams.len());
        // What the pace allows by now, so that a late wake-up is not followed by a burst of everything.
        let batch = &datagrams[at..end];
        send(&socket, batch);
        for datagram in batch {
            sent.lines += datagram.lines;
            sent.counted += datagram.counted;
        }
        at = if end == datagrams.len() { 0 } else { end };
    }
    (sent, begun.elapsed())
}

fn send(socket: &UdpSocket, batch: &[Datagram]) {
    let mut vectors: Vec<libc::iovec> = batch
        .iter()
        .map(|d| libc::iovec { iov_base: d.bytes.as_ptr().cast_mut().cast(), iov_len: d.bytes.len() })
        .collect();
    let mut headers: Vec<libc::mmsghdr> = vectors
        .iter_mut()
        .map(|vector| {
            // SAFETY: a header of zeros is a valid one without address and buffers.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header
        })
        .collect();
    let mut done = 0;
    while done < headers.len() {
        let rest = &mut headers[done..];
        // SAFETY: the headers point to `vectors`, and these to `batch`; both outlive the call.
        let count =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, 0) };
        assert!(count > 0, "sendmmsg: {}", std::io::Error::last_os_error());
        done += count as usize;
    }
}

/// Sends `lines` lines over some connections at once.
pub(crate) fn tcp(to: SocketAddr, load: &[Line], lines: usize, connections: usize) -> Sent {
    let mut text = Vec::new();
    let mut once = Sent::default();
    for line in load {
        text.extend_from_slice(line.text.as_bytes());
        text.push(b'\n');
        once.lines += 1;
        once.counted += line.counted;
    }
    let times = lines / connections / load.len();
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(to).unwrap();
                for _ in 0..times {
                    stream.write_all(&text).unwrap();
                }
            });
        }
    });
    let total = times * connections;
    Sent { lines: once.lines * total, counted: once.counted * total as u64 }
}

/// Sends lines that all differ in a tag, over TCP so that each arrives.
pub(crate) fn flood(to: SocketAddr, count: usize) -> usize {
    let mut stream = std::io::BufWriter::with_capacity(1 << 16, TcpStream::connect(to).unwrap());
    for at in 0..count {
        let metric = at % 200;
        writeln!(stream, "flood.m{metric}:1|c|#customer:c{at:07},region:eu").unwrap();
    }
    stream.flush().unwrap();
    count
}

/// The cheapest receiver: `recvmmsg` into buffers that nobody reads.
pub(crate) fn receive_only(socket: &UdpSocket) {
    const LEN: usize = 65_536;
    let mut bytes = vec![0u8; 64 * LEN];
    let mut vectors: Vec<libc::iovec> = bytes
        .chunks_mut(LEN)
        .map(|chunk| libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: chunk.len() })
        .collect();
    let mut headers: Vec<libc::mmsghdr> = vectors
        .iter_mut()
        .map(|vector| {
            // SAFETY: as in `send`.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header
        })
        .collect();
    loop {
        // SAFETY: the headers point to `vectors`, and these to `bytes`; both live as long as this loop.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_WAITFORONE as _,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            return;
        }
    }
}
