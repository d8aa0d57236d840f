//! A service that knows nothing of this crate but one line (`examples/todo.rs`), in two processes: one request is one trace
//! through both, and its records carry one id.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "../support/otlp.rs"]
mod otlp;
#[allow(dead_code, unreachable_pub, reason = "the example's own main")]
#[path = "../../examples/todo.rs"]
mod todo;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ADDRESS: &str = "TEST_ADDRESS";
const UPSTREAM: &str = "TEST_UPSTREAM";

/// The service's process: nothing unless the other test started it.
#[test]
fn serving() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(todo::serve(&address, std::env::var(UPSTREAM).ok())).unwrap();
}

struct Service(Child, SocketAddr);

impl Service {
    /// Configured as in production: by the environment.
    fn start(logs: SocketAddr, spans: SocketAddr, upstream: Option<SocketAddr>) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "serving", "--nocapture"])
            .stdout(Stdio::null())
            .env(ADDRESS, address.to_string())
            .env("STATSD", "off")
            .env("LOGSTASH", logs.to_string())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{spans}"))
            .env_remove("OTEL_SERVICE_NAME");
        if let Some(upstream) = upstream {
            command.env(UPSTREAM, format!("http://{upstream}"));
        }
        let service = Service(command.spawn().unwrap(), address);
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the service did not start");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        service
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.1).unwrap();
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: {}\r\nx-request-id: two-hops\r\nconnection: close\r\n\r\n",
            self.1
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_line_gives_one_trace_through_two_services() {
    let logs = TcpListener::bind("127.0.0.1:0").unwrap();
    let spans = TcpListener::bind("127.0.0.1:0").unwrap();
    let places = (logs.local_addr().unwrap(), spans.local_addr().unwrap());
    let records: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
    let traced: Arc<Mutex<Vec<otlp::Span>>> = Arc::default();
    let seen = records.clone();
    std::thread::spawn(move || {
        for stream in logs.incoming().flatten() {
            let seen = seen.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    seen.lock().unwrap().push(serde_json::from_str(&line).unwrap());
                }
            });
        }
    });
    let seen = traced.clone();
    std::thread::spawn(move || {
        for stream in spans.incoming().flatten() {
            let seen = seen.clone();
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while let Some(body) = otlp::request(&mut stream) {
                    seen.lock().unwrap().extend(otlp::spans(&body));
                    stream.get_mut().write_all(otlp::OK).unwrap();
                }
            });
        }
    });

    let todos = Service::start(places.0, places.1, None);
    let front = Service::start(places.0, places.1, Some(todos.1));
    let answer = front.ask("GET /remember/milk");
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
    assert!(answer.contains(r#""text":"milk""#), "{answer}");

    // The server's span above, the client's between, the other server's below.
    let order = ["GET /remember/{text}", "POST todos", "POST /todos"];
    let deadline = Instant::now() + Duration::from_secs(20);
    let spans = loop {
        let spans = traced.lock().unwrap().clone();
        let found: Vec<_> =
            order.iter().filter_map(|n| spans.iter().find(|s| s.name == *n).cloned()).collect();
        if found.len() == 3
            && records.lock().unwrap().iter().filter(|r| r["request_id"] == "two-hops").count() >= 3
        {
            break found;
        }
        assert!(Instant::now() < deadline, "{spans:#?}");
        std::thread::park_timeout(Duration::from_millis(20));
    };
    assert_eq!(spans[0].parent, Vec::<u8>::new());
    for pair in spans.windows(2) {
        assert_eq!(pair[1].trace, pair[0].trace);
        assert_eq!(pair[1].parent, pair[0].id, "{spans:#?}");
    }
    let records = records.lock().unwrap();
    let of: Vec<_> = records.iter().filter(|r| r["request_id"] == "two-hops").collect();
    let trace: String = spans[0].trace.iter().map(|b| format!("{b:02x}")).collect();
    for (service, handler) in [("front", "remember_text"), ("todos", "todos")] {
        let found =
            of.iter().find(|r| r["service.name"] == service && r["handler"] == handler && r["status"] == 201);
        assert_eq!(found.unwrap_or_else(|| panic!("{of:#?}"))["trace.id"], trace);
    }
    assert!(
        of.iter().any(|r| r["message"] == "something to do"),
        "what a handler says belongs to the request"
    );
}
