//! The process under load: the lane of this library, the program itself, the peer, or a loop that only receives.
//!
//! It is kept to one core and the load to another, so that neither takes time from the other.
#![allow(unsafe_code)] // `sched_setaffinity` takes a pointer: to a value on the stack

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sightline_agent::metrics::naming::Rules;
use sightline_agent::metrics::render::{Format, Renderer};
use sightline_agent::metrics::tally::Batch;
use sightline_agent::metrics::{self, Hooks, Registry, Settings};
use sightline_agent::units::Bytes;

use crate::send::Sent;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A child process with its addresses.
pub(crate) struct Server {
    child: Child,
    pub(crate) statsd: SocketAddr,
    http: Option<SocketAddr>,
    /// What its counters showed when measuring began.
    base: Mutex<f64>,
}

impl Server {
    pub(crate) fn start(kind: &str, args: &[&str]) -> Server {
        // A child inherits what its parent may use. The peer is told by the same means.
        keep_to(1);
        let server = match kind {
            "statsd_exporter" => Self::program(Command::new(std::env::var_os("STATSD_EXPORTER").unwrap())),
            "sightline statsd-exporter" => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_sightline"));
                command.arg("statsd-exporter");
                Self::program(command)
            }
            "bare" => Self::own("bare", &[]),
            _ => Self::own("serve", args),
        };
        keep_to(0);
        server
    }

    fn own(mode: &str, args: &[&str]) -> Server {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(mode)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addresses: Vec<SocketAddr> = line.split_whitespace().map(|a| a.parse().unwrap()).collect();
        Server { child, statsd: addresses[0], http: addresses.get(1).copied(), base: Mutex::new(0.0) }
    }

    /// statsd_exporter, or what takes its flags.
    fn program(mut command: Command) -> Server {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (statsd, http) = (free(), free());
        let child = command
            .arg(format!("--statsd.listen-udp={statsd}"))
            .arg(format!("--statsd.listen-tcp={statsd}"))
            .arg(format!("--web.listen-address={http}"))
            .arg("--statsd.read-buffer=8388608")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(http).is_err() {
            assert!(Instant::now() < until, "the program does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Server { child, statsd, http: Some(http), base: Mutex::new(0.0) }
    }

    /// Processor time of all threads so far, in seconds, to the nanosecond as the scheduler counts it.
    pub(crate) fn cpu(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let spent = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<f64>().ok()
        };
        tasks.filter_map(spent).sum::<f64>() / 1e9
    }

    fn status(&self, key: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// Resident memory in MiB.
    pub(crate) fn resident(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most there ever was.
    pub(crate) fn peak(&self) -> f64 {
        self.status("VmHWM:")
    }

    pub(crate) fn scrape(&self) -> String {
        let mut stream = TcpStream::connect(self.http.unwrap()).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut body = Vec::new();
        stream.read_to_end(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    fn counted(&self) -> f64 {
        let body = self.scrape();
        let counters = body.lines().filter(|l| l.starts_with("bench_app_counter_"));
        counters.map(|l| l.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Waits until everything is counted or nothing more comes. Returns the part that was lost.
    pub(crate) fn settle(&self, sent: Sent) -> f64 {
        let (mut last, mut changed) = (-1.0, Instant::now());
        loop {
            let counted = self.counted() - *self.base.lock();
            if counted >= sent.counted as f64 || changed.elapsed() > Duration::from_millis(500) {
                return 1.0 - counted / sent.counted as f64;
            }
            if counted != last {
                (last, changed) = (counted, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Measuring begins here.
    pub(crate) fn forget(&self) {
        *self.base.lock() = self.counted();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the lane until standard input ends.
pub(crate) fn serve(args: &[String]) {
    sightline_agent::memory::use_small_pages();
    let mut settings = Settings {
        listen_udp: "127.0.0.1:0".to_owned(),
        listen_tcp: "127.0.0.1:0".to_owned(),
        ..Settings::default()
    };
    match args.first().map(String::as_str) {
        Some("unbounded") => settings.budget.memory = Bytes(1 << 30),
        Some(size) => settings.budget.memory = Bytes::parse(size).unwrap(),
        None => {}
    }
    // One port for both transports, as in production.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    settings.listen_udp = free.to_string();
    settings.listen_tcp = free.to_string();
    tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap().block_on(
        async {
            sightline_agent::telemetry::install_metrics();
            let registry = Arc::new(Registry::new(&settings, Rules::default(), &[]));
            let handle = metrics::start(&settings, Arc::clone(&registry), Hooks::default()).unwrap();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            println!("{} {}", handle.udp.unwrap(), listener.local_addr().unwrap());
            let own = Arc::new(sightline_agent::telemetry::render);
            let router = metrics::http::router(registry, own);
            let server = tokio::spawn(async move { axum::serve(listener, router).await });
            tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
                .await
                .unwrap()
                .unwrap();
            server.abort();
            handle.stop(Duration::from_secs(5)).await;
        },
    );
}

/// How long the lines of one datagram take: the median, 99.9% of them, the worst. If `scraped`, another thread on the
/// other core renders everything over and over.
pub(crate) fn update_times(
    datagrams: &[crate::lines::Datagram],
    scraped: bool,
) -> (Duration, Duration, Duration) {
    let mut settings = Settings::default();
    settings.budget.memory = Bytes(1 << 30);
    let registry = Arc::new(Registry::new(&settings, Rules::default(), &[]));
    let ingest = |datagram: &crate::lines::Datagram| {
        let begun = Instant::now();
        registry.ingest(&datagram.bytes, 1, &mut Batch::default());
        begun.elapsed()
    };
    for datagram in datagrams {
        ingest(datagram);
    }
    let stop = AtomicBool::new(false);
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        scope.spawn(|| {
            keep_to(1);
            let mut out = Vec::new();
            while scraped && !stop.load(Relaxed) {
                let mut renderer = Renderer::new(Arc::clone(&registry), Format::Text, 1);
                while renderer.next_piece(&mut out) {
                    out.clear();
                }
            }
        });
        let times = (0..10).flat_map(|_| datagrams.iter().map(ingest)).collect();
        stop.store(true, Relaxed);
        times
    });
    times.sort();
    (times[times.len() / 2], times[times.len() * 999 / 1000], times[times.len() - 1])
}

/// Receives datagrams and does nothing with them, until standard input ends.
pub(crate) fn bare() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    println!("{}", socket.local_addr().unwrap());
    std::thread::spawn(move || crate::send::receive_only(&socket));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Keeps this thread, and what it starts from now on, to one core. Without that core all are as good.
pub(crate) fn keep_to(core: usize) {
    // SAFETY: a set of zeros is an empty one, and it outlives the call.
    unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut cores);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &cores);
    }
}
