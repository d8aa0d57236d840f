//! A collector that reads everything and remembers nothing: StatsD by UDP, log lines by TCP, spans by HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

/// Prints the three addresses on one line, then works until it is killed.
pub(crate) fn run() {
    let statsd = UdpSocket::bind("127.0.0.1:0").unwrap();
    let logs = TcpListener::bind("127.0.0.1:0").unwrap();
    let spans = TcpListener::bind("127.0.0.1:0").unwrap();
    println!(
        "{} {} {}",
        statsd.local_addr().unwrap(),
        logs.local_addr().unwrap(),
        spans.local_addr().unwrap()
    );
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while statsd.recv(&mut buffer).is_ok() {}
    });
    thread::spawn(move || {
        for stream in logs.incoming().flatten() {
            thread::spawn(move || std::io::copy(&mut { stream }, &mut std::io::sink()));
        }
    });
    for stream in spans.incoming().flatten() {
        thread::spawn(move || while answer(&mut BufReader::new(&stream)).is_some() {});
    }
}

fn answer(stream: &mut BufReader<&TcpStream>) -> Option<()> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
    }
    std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink()).ok()?;
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}
