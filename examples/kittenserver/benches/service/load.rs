//! Requests over kept connections, as fast as they are answered or at a fixed rate, and what came of them.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const CONNECTIONS: usize = 32;
/// How late tokio's timer may be.
const TIMER: Duration = Duration::from_millis(2);

/// What is asked for.
pub(crate) struct Load(Vec<String>);

/// What came of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) requests: usize,
    failed: usize,
    took: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Of the server's process.
    pub(crate) cpu_us: f64,
    pub(crate) threads: String,
    latencies: Vec<Duration>,
}

impl Load {
    /// The mixture of the sample service's own traffic without its bugs and waits, or one route.
    pub(crate) fn new(route: Option<String>) -> Self {
        let head = |method: &str, path: &str, body: &str| {
            let more = match body.len() {
                0 => String::new(),
                n => format!("content-type: application/json\r\ncontent-length: {n}\r\n"),
            };
            format!(
                "{method} {path} HTTP/1.1\r\nhost: kittens.example\r\nuser-agent: load/1\r\naccept: */*\r\n{more}\r\n{body}"
            )
        };
        let hello = head("POST", "/helloworld", r#"{"name":"Nic"}"#);
        let kittens = head("GET", "/kittens", "");
        let login = head("POST", "/login", r#"{"user":"nic","password":"whiskers"}"#);
        Load(match route.as_deref() {
            Some("/helloworld") => vec![hello],
            Some("/login") => vec![login],
            Some(path) => vec![head("GET", path, "")],
            None => {
                let upstream = head("GET", "/upstream", "");
                let mix =
                    [&hello, &kittens, &hello, &upstream, &hello, &kittens, &hello, &kittens, &hello, &login];
                mix.into_iter().cloned().collect()
            }
        })
    }

    /// `rate` in requests a second; none: as fast as they are answered.
    pub(crate) fn run(&self, server: SocketAddr, seconds: Duration, rate: Option<f64>) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pace = rate.map(|rate| Duration::from_secs_f64(CONNECTIONS as f64 / rate));
        let start = Instant::now();
        let mut outcome = Outcome::default();
        runtime.block_on(async {
            let mut tasks = Vec::new();
            for n in 0..CONNECTIONS {
                let requests = self.0.clone();
                tasks.push(tokio::spawn(connection(server, requests, n, start, start + seconds, pace)));
            }
            for task in tasks {
                let (latencies, failed) = task.await.unwrap();
                outcome.failed += failed;
                outcome.latencies.extend(latencies);
            }
        });
        outcome.took = start.elapsed();
        outcome.figure();
        outcome
    }
}

/// One connection's times.
async fn connection(
    server: SocketAddr,
    requests: Vec<String>,
    n: usize,
    start: Instant,
    end: Instant,
    pace: Option<Duration>,
) -> (Vec<Duration>, usize) {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut times, mut failed, mut buffer) = (Vec::with_capacity(65_536), 0, vec![0; 16_384]);
    let mut due = start + pace.map_or(Duration::ZERO, |p| p.mul_f64(n as f64 / CONNECTIONS as f64));
    for i in n.. {
        let mut began = Instant::now();
        if let Some(pace) = pace {
            tokio::time::sleep_until(due.into()).await;
            // The timer's own lateness is not the server's; that of an answer before is.
            began = Instant::now();
            if began - due > TIMER {
                began = due;
            }
            due += pace;
        }
        if Instant::now() >= end {
            break;
        }
        stream.write_all(requests[i % requests.len()].as_bytes()).await.unwrap();
        let status = answer(&mut stream, &mut buffer).await;
        failed += usize::from(status != 200);
        times.push(began.elapsed());
    }
    (times, failed)
}

/// Reads one answer to its end; its status.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> u16 {
    let mut have = 0;
    loop {
        let n = stream.read(&mut buffer[have..]).await.unwrap();
        assert!(n > 0, "the server closed the connection");
        have += n;
        let text = &buffer[..have];
        let Some(end) = text.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&text[..end]).unwrap();
        let length: usize = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "))
            .and_then(|v| v.parse().ok())
            .expect("kittenserver's answers have a length");
        if have >= end + 4 + length {
            return head[9..12].parse().unwrap();
        }
    }
}

impl Outcome {
    pub(crate) const HEAD: &'static str =
        "requests/s   failed    p50 us    p99 us  CPU us/request, by thread";

    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn join(&mut self, other: Outcome) {
        self.latencies.extend(other.latencies);
        self.failed += other.failed;
        self.took += other.took;
        self.figure();
    }

    fn figure(&mut self) {
        self.latencies.sort_unstable();
        self.requests = self.latencies.len();
        let at = |share: f64| self.latencies[(self.requests as f64 * share) as usize];
        (self.p50, self.p99) = (at(0.5), at(0.99));
    }

    /// Figure by figure.
    pub(crate) fn median(all: Vec<Outcome>) -> Outcome {
        let middle = |of: &dyn Fn(&Outcome) -> f64| {
            let mut values: Vec<f64> = all.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
        };
        let rate = middle(&Outcome::rate);
        Outcome {
            requests: rate as usize,
            took: Duration::from_secs(1),
            p50: Duration::from_secs_f64(middle(&|o| o.p50.as_secs_f64())),
            p99: Duration::from_secs_f64(middle(&|o| o.p99.as_secs_f64())),
            cpu_us: middle(&|o| o.cpu_us),
            ..Outcome::default()
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>10.0} {:>8} {:>9} {:>9}  {:.1}:{}",
            self.rate(),
            self.failed,
            self.p50.as_micros(),
            self.p99.as_micros(),
            self.cpu_us,
            self.threads
        )
    }
}
