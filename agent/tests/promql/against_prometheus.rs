//! The same samples and the same queries, here and in a real Prometheus: the same JSON. The queries are of all kinds,
//! and every one that the dashboards and rules of this project ask.
//!
//! Runs where `prometheus` and `promtool` are installed (Debian: `apt-get install prometheus`), and says so where not.
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use sightline_agent::store::api::prometheus::router;
use sightline_agent::store::metrics::{Settings, Store};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tower::ServiceExt;

const ROUNDS: i64 = 480;
const EVERY: i64 = 15_000;

/// Off the grid of the queries, so that no sample lies on a window's border: versions of Prometheus differ there.
const OFF_GRID: i64 = 3_713;

const QUERIES: &[&str] = &[
    "http_requests_total",
    "sum by (job) (rate(http_requests_total[5m]))",
    "sum without (code) (increase(http_requests_total[10m]))",
    "irate(http_requests_total{code=\"500\"}[2m])",
    "sum(rate(http_requests_total{code=~\"5..\"}[5m])) / sum(rate(http_requests_total[5m]))",
    "http_requests_total / on(job) group_left sum by (job) (http_requests_total)",
    "histogram_quantile(0.9, sum by (le, job) (rate(took_seconds_bucket[5m])))",
    "histogram_quantile(0.5, rate(took_seconds_bucket[5m]))",
    "topk(2, http_requests_total)",
    "bottomk by (job) (1, temperature)",
    "temperature > 20",
    "temperature > bool 20",
    "temperature and on(job) http_requests_total{code=\"500\"} > 30",
    "temperature unless temperature > 20",
    "temperature or vector(3)",
    "absent(nothing{job=\"x\"})",
    "absent_over_time(nothing{job=\"x\"}[5m])",
    "avg_over_time(temperature[10m])",
    "max_over_time(temperature[10m]) - min_over_time(temperature[10m])",
    "stddev_over_time(temperature[10m])",
    "quantile_over_time(0.95, temperature[10m])",
    "deriv(temperature[10m])",
    "predict_linear(temperature[10m], 600)",
    "delta(temperature[10m])",
    "changes(temperature[10m])",
    "resets(http_requests_total[20m])",
    "count_values(\"t\", round(temperature))",
    "quantile(0.25, temperature)",
    "stdvar(temperature)",
    "label_replace(temperature, \"where\", \"in-$1\", \"job\", \"(.).*\")",
    "label_join(temperature, \"both\", \"/\", \"job\", \"instance\")",
    "max_over_time(rate(http_requests_total[2m])[10m:1m])",
    "sum_over_time(temperature[10m] offset 5m)",
    "rate(http_requests_total[5m] offset -1m)",
    "temperature @ end()",
    "time() - timestamp(temperature)",
    "hour() * 60 + minute()",
    "clamp(temperature, 19, 21)",
    "ln(temperature) ^ 2 % 3",
    "scalar(sum(temperature))",
    "-temperature",
    "count(temperature) by (job)",
    "sum(up) by (missing)",
];

/// Series with their value at each round; none where the series has no sample.
fn walk(round: i64, each: &mut dyn FnMut(&str, &[(&str, &str)], f64)) {
    let r = round as f64;
    for (job, factor) in [("api", 1.0), ("web", 2.5)] {
        // A restart half-way.
        let age = if job == "web" && round >= 300 { r - 300.0 } else { r };
        for (code, rate) in [("200", 7.0), ("404", 1.0), ("500", 0.25)] {
            each("http_requests_total", &[("code", code), ("job", job)], (age * rate * factor).floor());
        }
        for (le, part) in [("0.1", 0.5), ("0.5", 0.8), ("1", 0.97), ("+Inf", 1.0)] {
            each("took_seconds_bucket", &[("job", job), ("le", le)], (age * factor * 10.0 * part).floor());
        }
        for instance in ["a", "b", "c"] {
            let swing = (r / 20.0 + f64::from(instance.as_bytes()[0])).sin();
            each("temperature", &[("instance", instance), ("job", job)], 20.0 + factor * swing);
        }
        each("up", &[("job", job)], 1.0);
    }
    instrument(r, each);
    agent(r, each);
}

/// What the crate's services show.
fn instrument(r: f64, each: &mut dyn FnMut(&str, &[(&str, &str)], f64)) {
    for (service, factor) in [("kittens", 1.0), ("shop", 3.0)] {
        for (group, segment) in [
            ("handlers", "list"),
            ("handlers", "show"),
            ("mysql", "select"),
            ("auth", "login"),
            ("http", "geo"),
        ] {
            let of = [("environment", "prod"), ("group", group), ("host", "h1")];
            let more = [("segment", segment), ("service", service)];
            let labels = |extra: &[(&'static str, &'static str)]| {
                let mut all = [&of[..], &more[..]].concat();
                all.extend(extra);
                all.sort_unstable();
                all
            };
            let calls = (r * factor * (segment.len() as f64)).floor();
            each("instrument_calls_total", &labels(&[]), calls);
            for (outcome, part) in [("success", 0.9), ("failed", 0.08), ("panic", 0.01)] {
                each("instrument_outcomes_total", &labels(&[("outcome", outcome)]), (calls * part).floor());
            }
            for (le, part) in [("0.05", 0.4), ("0.25", 0.7), ("1", 0.95), ("+Inf", 1.0)] {
                each("instrument_timing_seconds_bucket", &labels(&[("le", le)]), (calls * part).floor());
            }
            each("instrument_timing_seconds_sum", &labels(&[]), calls * 0.2);
            each("instrument_timing_seconds_count", &labels(&[]), calls);
        }
        let of = [("environment", "prod"), ("host", "h1"), ("service", service)];
        let with = |extra: &[(&'static str, &'static str)]| {
            let mut all = [&of[..], extra].concat();
            all.sort_unstable();
            all
        };
        let ill = f64::from(u8::from(service == "shop" && r > 200.0 && r < 420.0));
        each(
            "instrument_health_status",
            &with(&[("check", "db"), ("group", "health"), ("segment", "db")]),
            ill,
        );
        each("instrument_build_info", &with(&[("version", "1.2.3")]), 1.0);
        for (group, segment, measure) in [("process", "memory", "bytes"), ("health", "requests", "in_flight")]
        {
            let labels = with(&[("group", group), ("measure", measure), ("segment", segment)]);
            each("instrument_gauge", &labels, 1000.0 + (r / 9.0).cos() * factor * 100.0);
        }
    }
}

/// What the agent shows of itself.
fn agent(r: f64, each: &mut dyn FnMut(&str, &[(&str, &str)], f64)) {
    let instance = ("instance", "agent:9102");
    for lane in ["logs", "metrics", "spans"] {
        let labels = [instance, ("lane", lane)];
        each("sightline_received_total", &labels, r * 100.0);
        each("sightline_ledger_difference", &labels, 0.0);
        each("sightline_queued", &labels, if r > 300.0 { r } else { 0.0 });
        each("sightline_queue_bytes", &labels, r * 512.0);
        each("sightline_queue_oldest_seconds", &labels, (r - 100.0).max(0.0) * 4.0);
        for name in ["sightline_dropped_total", "sightline_rejected_total"] {
            each(name, &[instance, ("lane", lane), ("reason", "full")], (r / 7.0).floor());
        }
        let to = [("exporter", "embedded"), instance, ("lane", lane)];
        each("sightline_exported_total", &to, (r * 100.0).min(20_000.0));
        each("sightline_dead_lettered_total", &to, (r / 50.0).floor());
    }
    each("sightline_exporter_up", &[("exporter", "embedded"), instance], f64::from(u8::from(r < 400.0)));
    let retries = [("exporter", "embedded"), instance, ("reason", "timeout")];
    each("sightline_exporter_retries_total", &retries, (r / 3.0).floor());
    each("sightline_build_info", &[instance, ("version", "0.1.0")], 1.0);
    for (name, value) in [
        ("sightline_process_cpu_seconds", r * 0.3),
        ("sightline_process_open_fds", 40.0),
        ("sightline_process_resident_bytes", 5e7 + r),
        ("sightline_series", 1000.0 + r),
        ("sightline_series_bytes", 1e6 + r),
        ("sightline_series_overflow_samples_total", (r - 350.0).max(0.0)),
    ] {
        each(name, &[instance], value);
    }
}

pub(crate) struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    pub(crate) fn start(dir: &Path, flags: &[&str]) -> Prometheus {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, "global: {}\n").unwrap();
        let log = std::fs::File::create(dir.join("prometheus.log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Prometheus { child, port };
        let deadline = Instant::now() + Duration::from_secs(60);
        while server.get("/-/ready").is_none_or(|r| !r.starts_with("HTTP/1.0 200")) {
            assert!(Instant::now() < deadline, "prometheus did not get ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Remote write 1.0; it has to be taken.
    pub(crate) fn write(&self, body: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!(
            "POST /api/v1/write HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n\
             Content-Encoding: snappy\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 204"), "{answer}");
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"))
    }
}

fn open_metrics(start: i64) -> String {
    let mut text = String::new();
    for round in 0..ROUNDS {
        let seconds = (start + round * EVERY) as f64 / 1000.0;
        walk(round, &mut |name, labels, value| {
            let labels: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
            text.push_str(&format!("{name}{{{}}} {value} {seconds:.3}\n", labels.join(",")));
        });
    }
    text.push_str("# EOF\n");
    text
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// The same shape and text, numbers equal to a part in a thousand million.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|other| same(v, other)))
        }
        (Value::String(x), Value::String(y)) if x != y => match (x.parse::<f64>(), y.parse::<f64>()) {
            (Ok(x), Ok(y)) => (x - y).abs() <= 1e-9 * x.abs().max(y.abs()),
            _ => false,
        },
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

/// Prometheus gives the series of an instant vector in no order.
pub(crate) fn sorted(mut answer: Value) -> Value {
    if let Some(rows) = answer["data"]["result"].as_array_mut() {
        rows.sort_by_key(|row| row["metric"].to_string());
    }
    // A remark may have come or gone between versions.
    if let Some(fields) = answer.as_object_mut() {
        fields.remove("infos");
    }
    answer
}

pub(crate) fn found(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success())
}

/// What our own API answers.
pub(crate) async fn ask(router: &axum::Router, path: &str) -> Value {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_a_real_prometheus() {
    if !found("prometheus") || !found("promtool") {
        println!("not run: prometheus and promtool are not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let start = (now - 6 * 3600) / 3600 * 3_600_000 + OFF_GRID;
    let text = dir.path().join("samples.txt");
    std::fs::write(&text, open_metrics(start)).unwrap();
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&text, &dir.path().join("data")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let prometheus = Prometheus::start(dir.path(), &[]);

    let store = Store::open(&dir.path().join("ours"), &Settings::default()).unwrap();
    for round in 0..ROUNDS {
        store.sample(start + round * EVERY, &mut |each| walk(round, each));
        store.maintain(start + round * EVERY).unwrap();
    }
    let router = router(
        store,
        std::sync::Arc::new(sightline_agent::store::rules::Rules::load(&Default::default()).unwrap()),
    );
    let mut wrong = Vec::new();
    let (from, to) = ((start / 1000) + 900, start / 1000 + ROUNDS * EVERY / 1000 - 60);
    let shipped = super::shipped::expressions();
    let mut with_data = 0;
    for query in QUERIES.iter().copied().chain(shipped.iter().map(String::as_str)) {
        let query = encoded(query);
        let mut filled = false;
        for path in [
            format!("/api/v1/query_range?query={query}&start={from}&end={to}&step=60"),
            format!("/api/v1/query?query={query}&time={to}"),
        ] {
            let ours = sorted(ask(&router, &path).await);
            let theirs = sorted(prometheus.json(&path));
            filled |= ours["data"]["result"].as_array().is_some_and(|rows| !rows.is_empty());
            if !same(&ours, &theirs) {
                let short = |v: &Value| v.to_string().chars().take(600).collect::<String>();
                wrong.push(format!("{path}\n  ours   {}\n  theirs {}", short(&ours), short(&theirs)));
            }
        }
        with_data += usize::from(filled);
    }
    println!(
        "{} queries of its own and {} of the dashboards and rules; {with_data} of them find something",
        QUERIES.len(),
        shipped.len()
    );
    // Two empty answers are equal, too, and prove little.
    assert!(with_data * 4 >= (QUERIES.len() + shipped.len()) * 3, "only {with_data} queries find something");
    for path in [
        "/api/v1/labels".to_owned(),
        "/api/v1/label/job/values".to_owned(),
        "/api/v1/label/le/values".to_owned(),
        format!("/api/v1/series?match[]={}", encoded("{job=\"api\",code!=\"\"}")),
    ] {
        let (ours, theirs) = (ask(&router, &path).await, prometheus.json(&path));
        if ours != theirs {
            wrong.push(format!("{path}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}
