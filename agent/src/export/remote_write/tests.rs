//! A strict endpoint on the loopback address, and everything that it may answer.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use prost::Message;
use tempfile::TempDir;

use super::proto::{v1, v2};
use super::{Balance, Handle, Keep, Protocol, Settings, start};
use crate::export::dead_letters::{self, DeadLetters};
use crate::ledger;
use crate::metrics::naming::Rules;
use crate::metrics::registry::Registry;
use crate::metrics::settings::Settings as Metrics;
use crate::metrics::tally::Batch;
use crate::queue;
use crate::units::{Bytes as Size, Span};

/// Series (`name{label=value}`) with their values in the order of arrival.
type Received = BTreeMap<String, Vec<(i64, f64)>>;

/// What the endpoint does next; when the script is over it accepts.
#[derive(Clone)]
enum Step {
    Status(u16),
    RetryAfter(u16),
}

#[derive(Default)]
struct Fake {
    /// Knows 2.0.
    newer: bool,
    /// Answers 415 to 2.0 instead of reading nothing out of it.
    honest: bool,
    /// Refuses requests with a series of this name.
    bad: Option<&'static str>,
    down: bool,
    /// Refuses what is older than what it has, as Prometheus does.
    strict: bool,
    script: VecDeque<Step>,
    requests: Vec<(HeaderMap, Instant)>,
    received: Received,
    mistakes: Vec<String>,
}

type Shared = Arc<Mutex<Fake>>;

async fn serve(fake: Fake) -> (SocketAddr, Shared) {
    let shared = Arc::new(Mutex::new(fake));
    let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, shared)
}

async fn answer(State(fake): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut fake = fake.lock();
    fake.requests.push((headers.clone(), Instant::now()));
    if fake.down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match fake.script.pop_front() {
        Some(Step::Status(status)) => return StatusCode::from_u16(status).unwrap().into_response(),
        Some(Step::RetryAfter(status)) => {
            return (StatusCode::from_u16(status).unwrap(), [("retry-after", "1")]).into_response();
        }
        None => {}
    }
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let newer = header("content-type") == "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let version = if newer { "2.0.0" } else { "0.1.0" };
    if header("content-encoding") != "snappy" || header("x-prometheus-remote-write-version") != version {
        fake.mistakes.push(format!("headers: {headers:?}"));
    }
    if !newer && header("content-type") != "application/x-protobuf" {
        fake.mistakes.push(format!("content type: {headers:?}"));
    }
    let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    if newer && !fake.newer {
        // An old endpoint finds no field that it knows.
        let status = if fake.honest { StatusCode::UNSUPPORTED_MEDIA_TYPE } else { StatusCode::NO_CONTENT };
        return status.into_response();
    }
    let rows = if newer { read_v2(&plain, &mut fake.mistakes) } else { read_v1(&plain, &mut fake.mistakes) };
    if fake.bad.is_some_and(|bad| rows.iter().any(|(series, _)| series.starts_with(bad))) {
        return (StatusCode::BAD_REQUEST, "out of bounds").into_response();
    }
    let late = |(series, sample): &(String, (i64, f64))| {
        fake.received.get(series).and_then(|known| known.last()).is_some_and(|last| last.0 > sample.0)
    };
    if fake.strict && rows.iter().any(late) {
        return (StatusCode::BAD_REQUEST, "out of order sample").into_response();
    }
    let written = rows.len().to_string();
    for (series, sample) in rows {
        let known = fake.received.entry(series.clone()).or_default();
        let ordered = known.last().is_none_or(|last| last.0 < sample.0 || *last == sample);
        known.push(sample);
        if !ordered {
            fake.mistakes.push(format!("{series} went backwards"));
        }
    }
    let head = [("x-prometheus-remote-write-samples-written", written)];
    if newer {
        (StatusCode::NO_CONTENT, head).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}

fn read_v2(plain: &[u8], mistakes: &mut Vec<String>) -> Vec<(String, (i64, f64))> {
    let request = v2::Request::decode(plain).unwrap();
    let mut unique = request.symbols.clone();
    unique.sort();
    unique.dedup();
    if request.symbols.first().is_none_or(|s| !s.is_empty()) || unique.len() != request.symbols.len() {
        mistakes.push(format!("symbols: {:?}", request.symbols));
    }
    let mut out = Vec::new();
    for series in &request.timeseries {
        let text = |place: u32| request.symbols[place as usize].as_str();
        let labels: Vec<_> = series.labels_refs.chunks_exact(2).map(|p| (text(p[0]), text(p[1]))).collect();
        let one_kind = series.samples.is_empty() != series.histograms.is_empty();
        if !one_kind || series.metadata.is_none() || series.labels_refs.len() % 2 != 0 {
            mistakes.push(format!("series: {series:?}"));
        }
        let name = name(&labels, mistakes);
        out.extend(series.samples.iter().map(|s| (name.clone(), (s.timestamp, s.value))));
        out.extend(series.histograms.iter().map(|h| (format!("native {name}"), (h.timestamp, h.sum))));
    }
    out
}

fn read_v1(plain: &[u8], mistakes: &mut Vec<String>) -> Vec<(String, (i64, f64))> {
    let request = v1::WriteRequest::decode(plain).unwrap();
    let mut out = Vec::new();
    for series in &request.timeseries {
        let labels: Vec<_> = series.labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
        let name = name(&labels, mistakes);
        out.extend(series.samples.iter().map(|s| (name.clone(), (s.timestamp, s.value))));
    }
    out
}

fn name(labels: &[(&str, &str)], mistakes: &mut Vec<String>) -> String {
    if !labels.is_sorted_by(|a, b| a.0 < b.0) || labels.iter().any(|(_, v)| v.is_empty()) {
        mistakes.push(format!("labels: {labels:?}"));
    }
    let name = labels.iter().find(|l| l.0 == "__name__").map_or("", |l| l.1);
    let rest: Vec<String> =
        labels.iter().filter(|l| l.0 != "__name__").map(|(k, v)| format!("{k}={v}")).collect();
    format!("{name}{{{}}}", rest.join(","))
}

fn settings(address: SocketAddr, protocol: Protocol) -> Settings {
    Settings {
        url: format!("http://{address}/api/v1/write"),
        protocol,
        interval: Span(Duration::from_millis(100)),
        min_backoff: Span(Duration::from_millis(10)),
        max_backoff: Span(Duration::from_millis(50)),
        labels: [("job".to_owned(), String::new()), ("instance".to_owned(), "i".to_owned())].into(),
        ..Settings::default()
    }
}

fn registry(lines: &str) -> Arc<Registry> {
    let registry = Arc::new(Registry::new(&Metrics::default(), Rules::default(), &[]));
    registry.ingest(lines.as_bytes(), 1000, &mut Batch::default());
    registry
}

/// Writes with queues in a folder of its own.
fn write(settings: &[Settings], registry: Arc<Registry>) -> (Handle, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (write_from(&dir, settings, &registry), dir)
}

fn write_from(dir: &TempDir, settings: &[Settings], registry: &Arc<Registry>) -> Handle {
    let letters = DeadLetters::open(&dir.path().join("letters"), &dead_letters::Settings::default()).unwrap();
    let queue = queue::Settings { min_free: Size(0), ..queue::Settings::default() };
    let queues = dir.path().join("queue");
    let keep = Keep { queues: &queues, queue: &queue, letters: Arc::new(letters) };
    let own: super::OwnMetrics = Arc::new(String::new);
    start(settings, registry, &own, &keep).unwrap()
}

/// Waits until `done`, ten seconds at most.
async fn until(what: &str, fake: &Shared, done: impl Fn(&Fake) -> bool) {
    for _ in 0..1000 {
        if done(&fake.lock()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {what}: {:?}", fake.lock().received.keys().collect::<Vec<_>>());
}

/// Stops, and returns the last books and what the endpoint had to object to.
async fn end(handle: Handle, fake: &Shared) -> (bool, Balance) {
    let (books, lane) = (Arc::clone(&handle.endpoints[0].books), handle.endpoints[0].queue.lane());
    let clean = handle.stop(Duration::from_secs(5)).await;
    assert_eq!(fake.lock().mistakes, [""; 0]);
    let ledger = ledger::lane(lane).balance();
    assert_eq!(ledger.difference(), 0, "{ledger}");
    (clean, books.balance())
}

#[tokio::test(flavor = "multi_thread")]
async fn says_in_2_0_what_there_is() {
    let (address, fake) = serve(Fake { newer: true, ..Fake::default() }).await;
    let mut settings = settings(address, Protocol::Auto);
    settings.auth.username = "me".to_owned();
    settings.auth.password = "secret".into();
    settings.headers.insert("X-Scope-OrgID".to_owned(), "tenant".to_owned());
    let (handle, _dir) = write(&[settings], registry("hits:3|c|#a:b\ndev.h.s.http.geo.timing:300|ms"));
    until("sent", &fake, |fake| fake.received.contains_key("hits{a=b,instance=i}")).await;
    let (clean, balance) = end(handle, &fake).await;
    assert!(clean && balance.sent == balance.taken, "{balance:?}");
    let fake = fake.lock();
    assert_eq!(fake.received["hits{a=b,instance=i}"][0].1, 3.0);
    assert!(
        fake.received.keys().any(|k| k.starts_with("native instrument_timing_seconds{")),
        "no native one"
    );
    let (headers, _) = &fake.requests[0];
    assert_eq!(headers["authorization"], "Basic bWU6c2VjcmV0");
    assert_eq!(headers["x-scope-orgid"], "tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_1_0_is_spoken_to_in_1_0() {
    for honest in [true, false] {
        let (address, fake) = serve(Fake { honest, ..Fake::default() }).await;
        let lines = "hits:3|c\ndev.h.s.http.geo.timing:300|ms";
        let (handle, _dir) = write(&[settings(address, Protocol::Auto)], registry(lines));
        until("sent", &fake, |fake| fake.received.contains_key("hits{instance=i}")).await;
        let (clean, balance) = end(handle, &fake).await;
        assert!(clean && balance.rejected == 0, "{balance:?}");
        assert!(balance.dropped > 0, "1.0 has no native histograms, and that is counted: {balance:?}");
        let fake = fake.lock();
        let newer = |h: &HeaderMap| h["x-prometheus-remote-write-version"] == "2.0.0";
        assert_eq!(fake.requests.iter().filter(|(h, _)| newer(h)).count(), 1, "asked again and again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_now_is_sent_later_and_in_order() {
    let script = [Step::Status(503), Step::Status(429), Step::Status(500), Step::RetryAfter(429)];
    let (address, fake) = serve(Fake { script: script.into(), ..Fake::default() }).await;
    let registry = registry("hits:1|c");
    let (handle, _dir) = write(&[settings(address, Protocol::V1)], Arc::clone(&registry));
    until("asked often enough", &fake, |fake| fake.requests.len() > 6).await;
    let (clean, balance) = end(handle, &fake).await;
    assert!(clean && balance.sent == balance.taken, "{balance:?}");
    let fake = fake.lock();
    let waited = fake.requests[4].1 - fake.requests[3].1;
    assert!(waited >= Duration::from_millis(990), "asked to wait a second, waited {waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_400_loses_only_what_caused_it() {
    for (protocol, newer) in [(Protocol::V1, false), (Protocol::V2, true)] {
        let (address, fake) = serve(Fake { bad: Some("bad"), newer, ..Fake::default() }).await;
        let lines: String = (0..100).map(|i| format!("good{i}:1|c\n")).collect();
        let (handle, _dir) = write(&[settings(address, protocol)], registry(&format!("{lines}bad:1|c")));
        until("all good ones", &fake, |fake| fake.received.len() >= 100).await;
        let (clean, balance) = end(handle, &fake).await;
        assert!(clean);
        assert_eq!(balance.rejected * 101, balance.taken, "one of 101 in each snapshot: {balance:?}");
        assert_eq!(balance.sent, balance.rejected * 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_400_for_everything_is_no_storm() {
    let (address, fake) = serve(Fake { bad: Some("bad"), ..Fake::default() }).await;
    let lines: String = (0..1000).map(|i| format!("bad:1|c|#i:{i}\n")).collect();
    let mut settings = settings(address, Protocol::V1);
    settings.interval = Span::secs(3600);
    let (handle, _dir) = write(&[settings], registry(&lines));
    let books = Arc::clone(&handle.endpoints[0].books);
    until("refused", &fake, |_| books.balance().rejected == 1000).await;
    assert!(fake.lock().requests.len() <= 1 + 2 * super::endpoint::CUTS, "{}", fake.lock().requests.len());
    fake.lock().bad = None;
    end(handle, &fake).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_not_repeated() {
    let script: VecDeque<Step> = std::iter::repeat_n(Step::Status(401), 3).collect();
    let (address, fake) = serve(Fake { script, ..Fake::default() }).await;
    let (handle, _dir) = write(&[settings(address, Protocol::V1)], registry("hits:1|c"));
    until("asked often enough", &fake, |fake| fake.requests.len() > 4).await;
    let (_, balance) = end(handle, &fake).await;
    assert_eq!((balance.rejected, balance.sent), (3, balance.taken - 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_endpoint_is_away_a_bounded_number_of_samples_wait() {
    let (address, fake) = serve(Fake { down: true, ..Fake::default() }).await;
    let settings = Settings { buffer: Size(1200), ..settings(address, Protocol::V1) };
    let (handle, _dir) = write(&[settings], registry("hits:1|c"));
    let books = Arc::clone(&handle.endpoints[0].books);
    until("over its buffer", &fake, |_| books.balance().dropped > 3).await;
    let (before, depth) = (books.balance(), handle.endpoints[0].queue.depth());
    assert!(before.sent == 0 && depth.records > 0 && depth.bytes <= 1200, "{before:?} {depth:?}");
    fake.lock().down = false;
    until("sent what waited", &fake, |_| books.balance().sent > depth.records).await;
    end(handle, &fake).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_before_the_end_is_sent_after_the_next_start() {
    let (address, fake) = serve(Fake { down: true, ..Fake::default() }).await;
    let registry = registry("hits:1|c");
    let (handle, dir) = write(&[settings(address, Protocol::V1)], Arc::clone(&registry));
    let books = Arc::clone(&handle.endpoints[0].books);
    until("taken a few", &fake, |_| books.balance().taken > 2).await;
    assert!(!handle.stop(Duration::from_millis(50)).await);
    let first = books.balance();
    assert!(first.sent == 0 && first.dropped == 0, "{first:?}");

    fake.lock().down = false;
    let handle = write_from(&dir, &[settings(address, Protocol::V1)], &registry);
    let books = Arc::clone(&handle.endpoints[0].books);
    until("sent the old ones", &fake, |_| books.balance().sent > first.taken).await;
    let (clean, second) = end(handle, &fake).await;
    assert!(clean && second.rejected == 0, "{second:?}");
    assert_eq!(second.sent, first.taken + second.taken, "each once, and in order");
    let samples = &fake.lock().received["hits{instance=i}"];
    assert_eq!(samples.len() as u64, second.sent);
}

/// A process was killed between the answer of the endpoint and the note that it came.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_process_has_sent_is_no_loss() {
    let (address, fake) = serve(Fake { down: true, strict: true, ..Fake::default() }).await;
    let registry = registry("hits:1|c\nlevel:1|g");
    let (handle, dir) = write(&[settings(address, Protocol::V1)], Arc::clone(&registry));
    let books = Arc::clone(&handle.endpoints[0].books);
    until("taken a few", &fake, |_| books.balance().taken > 4).await;
    assert!(!handle.stop(Duration::from_millis(50)).await);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());

    fake.lock().down = false;
    let handle = write_from(&dir, &[settings(address, Protocol::V1)], &registry);
    let books = Arc::clone(&handle.endpoints[0].books);
    until("sent", &fake, |_| books.balance().sent > 4).await;
    end(handle, &fake).await;
    let handle = write_from(&copy, &[settings(address, Protocol::V1)], &registry);
    let books = Arc::clone(&handle.endpoints[0].books);
    until("sent new ones", &fake, |_| books.balance().sent > 8).await;
    let (clean, balance) = end(handle, &fake).await;
    assert!(clean && balance.rejected == 0 && balance.dropped == 0, "{balance:?}");
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_does_not_wait_for_another() {
    let (away, _) = serve(Fake { down: true, ..Fake::default() }).await;
    let (address, fake) = serve(Fake::default()).await;
    let both = [settings(address, Protocol::V1), settings(away, Protocol::V1)];
    let (handle, _dir) = write(&both, registry("hits:1|c"));
    until("sent twice", &fake, |fake| fake.received.values().any(|samples| samples.len() > 1)).await;
    assert_eq!(handle.balances()[1].sent, 0);
    handle.stop(Duration::from_millis(50)).await;
}

#[test]
fn mistakes_in_the_settings_name_the_endpoint() {
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings { url: "http://127.0.0.1:1/x".to_owned(), ..Settings::default() };
        change(&mut settings);
        super::Endpoint::new(&settings).map(|e| e.name).map_err(|e| e.to_string())
    };
    assert_eq!(with(&|_| {}).unwrap(), "127.0.0.1:1");
    assert_eq!(with(&|s| s.name = "mimir".to_owned()).unwrap(), "mimir");
    assert!(
        with(&|s| s.url = "mimir:9009".to_owned()).unwrap_err().starts_with("remote write to 'mimir:9009': ")
    );
    let header = with(&|s| drop(s.headers.insert("a b".to_owned(), String::new()))).unwrap_err();
    assert!(header.contains("'a b' is not a header"), "{header}");
    let unknown = serde_saphyr::from_str::<Settings>("url: http://x\nprotocl: auto\n").unwrap_err();
    assert!(unknown.to_string().contains("protocl"), "{unknown}");
    for (text, protocol) in [("auto", Protocol::Auto), ("'1.0'", Protocol::V1), ("2.0", Protocol::V2)] {
        let read: Settings = serde_saphyr::from_str(&format!("protocol: {text}\n")).unwrap();
        assert_eq!(read.protocol, protocol);
    }
}
