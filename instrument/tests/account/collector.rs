//! A collector for metrics, logs and spans that can be slow, stop, and start again at the same place.

use super::otlp;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// What arrived. Records and spans that were sent twice count once.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    hits: u64,
    timings: f64,
    made_up: u64,
    /// By time and span: an application's record and the access record of each request.
    logs: HashSet<String>,
    spans: HashSet<Vec<u8>>,
    told: bool,
}

impl Seen {
    pub(crate) fn hits(&self) -> u64 {
        self.hits
    }

    pub(crate) fn timings(&self) -> u64 {
        self.timings.round() as u64
    }

    pub(crate) fn made_up(&self) -> u64 {
        self.made_up
    }

    pub(crate) fn logs(&self) -> u64 {
        self.logs.len() as u64
    }

    pub(crate) fn spans(&self) -> u64 {
        self.spans.len() as u64
    }

    pub(crate) fn told(&self) -> bool {
        self.told
    }

    fn metric(&mut self, line: &str) {
        let mut fields = line.split('|');
        let (name, values) = fields.next().unwrap().split_once(':').unwrap();
        let sum = || values.split(':').map(|v| v.parse::<u64>().unwrap()).sum::<u64>();
        let rate = fields.find_map(|f| f.strip_prefix('@')).map_or(1.0, |r| r.parse::<f64>().unwrap());
        match name {
            "svc.cache.kittens.hit" => self.hits += sum(),
            "svc.sqlite.select.timing" => self.timings += values.split(':').count() as f64 / rate,
            name if name.starts_with("svc.names.") => self.made_up += sum(),
            _ => {}
        }
    }

    fn log(&mut self, line: &str) {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        self.told |= record["message"].as_str().is_some_and(|m| m.contains("were dropped"));
        if let Some(span) = record["span.id"].as_str() {
            self.logs.insert(format!("{span} {}", record["log.logger"]));
        }
    }
}

/// See the module.
pub(crate) struct Collector {
    addresses: [SocketAddr; 3],
    seen: Arc<Mutex<Seen>>,
    slow: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

const TICK: Duration = Duration::from_millis(20);

impl Collector {
    /// At new places, or where `before` was, with what it saw.
    pub(crate) fn start(before: Option<Collector>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (at, seen) = before.map_or(([any; 3], Arc::default()), |b| (b.addresses, b.seen.clone()));
        let statsd = UdpSocket::bind(at[0]).unwrap();
        let logs = TcpListener::bind(at[1]).unwrap();
        let spans = TcpListener::bind(at[2]).unwrap();
        let addresses =
            [statsd.local_addr().unwrap(), logs.local_addr().unwrap(), spans.local_addr().unwrap()];
        let mut all =
            Collector { addresses, seen, slow: Arc::default(), stopped: Arc::default(), threads: Vec::new() };
        statsd.set_read_timeout(Some(TICK)).unwrap();
        all.thread(move |seen| {
            let mut buffer = [0; 2_048];
            let Ok(n) = statsd.recv(&mut buffer) else { return };
            let mut seen = seen.lock().unwrap();
            std::str::from_utf8(&buffer[..n]).unwrap().lines().for_each(|l| seen.metric(l));
        });
        let mut stream: Option<BufReader<TcpStream>> = None;
        let mut line = String::new();
        all.thread(move |seen| {
            let Some(open) = accept(&logs, &mut stream) else { return };
            match open.read_line(&mut line) {
                Ok(0) => stream = None,
                Ok(_) => {
                    seen.lock().unwrap().log(&line);
                    line.clear();
                }
                // What was read of a line so far stays in `line`.
                Err(_) => {}
            }
        });
        let mut stream: Option<BufReader<TcpStream>> = None;
        all.thread(move |seen| {
            let Some(open) = accept(&spans, &mut stream) else { return };
            match open.fill_buf().map(<[u8]>::len) {
                Ok(0) => stream = None,
                Ok(_) => {
                    open.get_ref().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                    let body = otlp::request(open).expect("a whole request");
                    seen.lock().unwrap().spans.extend(otlp::spans(&body).into_iter().map(|s| s.id));
                    open.get_ref().set_read_timeout(Some(TICK)).unwrap();
                    open.get_mut().write_all(otlp::OK).unwrap();
                }
                Err(_) => {}
            }
        });
        all
    }

    /// Calls `work` again and again, except while it is slow.
    fn thread(&mut self, mut work: impl FnMut(&Mutex<Seen>) + Send + 'static) {
        let (seen, slow, stopped) = (self.seen.clone(), self.slow.clone(), self.stopped.clone());
        self.threads.push(std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if slow.load(Ordering::Relaxed) {
                    std::thread::park_timeout(TICK);
                } else {
                    work(&seen);
                }
            }
        }));
    }

    pub(crate) fn addresses(&self) -> [SocketAddr; 3] {
        self.addresses
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    pub(crate) fn slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::Relaxed);
    }

    /// Closes all sockets.
    pub(crate) fn stop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

fn accept<'a>(
    listener: &TcpListener,
    stream: &'a mut Option<BufReader<TcpStream>>,
) -> Option<&'a mut BufReader<TcpStream>> {
    if stream.is_none() {
        listener.set_nonblocking(true).unwrap();
        let Ok((open, _)) = listener.accept() else {
            std::thread::park_timeout(TICK);
            return None;
        };
        open.set_nonblocking(false).unwrap();
        open.set_read_timeout(Some(TICK)).unwrap();
        *stream = Some(BufReader::new(open));
    }
    stream.as_mut()
}
