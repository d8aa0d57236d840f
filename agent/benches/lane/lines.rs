//! Log lines of about 400 bytes, as an instrumented service sends them, over four connections.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

pub(crate) const CONNECTIONS: u64 = 4;

/// One line, with its end.
pub(crate) fn line(n: u64) -> String {
    let mut line = format!(
        r#"{{"@timestamp":"2026-01-01T00:00:{:02}.{:06}Z","message":"listed the kittens of this page","log.level":"info","service.name":"kittenserver","service.environment":"bench","host.name":"server1","handler":"list","status":200,"method":"GET","request_id":"5f2b9c1e-0000-4000-8000-{n:012x}","n":{n},"labels":{{"page":"{}","pad":""#,
        n / 1_000_000 % 60,
        n % 1_000_000,
        n % 97,
    );
    while line.len() < 396 {
        line.push('x');
    }
    line.push_str("\"}}\n");
    line
}

/// Sends so many lines; returns when the kernel has them all.
pub(crate) fn send(address: SocketAddr, records: u64) {
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                let mut buffer = String::new();
                for n in (connection..records).step_by(CONNECTIONS as usize) {
                    buffer.push_str(&line(n));
                    if buffer.len() > 64 << 10 {
                        stream.write_all(buffer.as_bytes()).unwrap();
                        buffer.clear();
                    }
                }
                stream.write_all(buffer.as_bytes()).unwrap();
            });
        }
    });
}
