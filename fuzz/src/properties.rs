//! What must hold for any input. Shared by the fuzz targets and by the bounded run in the agent's tests.

#![allow(dead_code, reason = "each target uses one of them")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use sightline_agent::logs::framing::Framer;
use sightline_agent::logs::id::Ids;
use sightline_agent::logs::record::{Batch as Records, Policy, Scratch, Source};
use sightline_agent::logs::redact::Redactor;
use sightline_agent::logs::stream::Streams;
use sightline_agent::metrics::exposition::Exposition;
use sightline_agent::metrics::line::Kind;
use sightline_agent::metrics::mapping::Mapping;
use sightline_agent::metrics::naming::{Rules, resolve};
use sightline_agent::metrics::registry::Registry;
use sightline_agent::metrics::render::{Format, to_string};
use sightline_agent::metrics::settings::Settings;
use sightline_agent::metrics::tally::Batch;
use sightline_agent::queue;
use sightline_agent::receive::payloads::Payloads;
use sightline_agent::spans::{otlp, zipkin};
use sightline_agent::units::Bytes;

/// Any lines: the exposition stays readable, every sample is accounted for, and other series keep their values.
pub(crate) fn line(data: &[u8]) {
    let registry = Arc::new(Registry::new(&Settings::default(), Rules::default(), &[]));
    let mut batch = Batch::default();
    registry.ingest(b"guard.of.this.test:5|c", 1, &mut batch);
    registry.ingest(data, 2, &mut batch);
    registry.sweep(3);
    let lost: u64 = batch.lost.iter().sum();
    assert_eq!(batch.received, batch.applied + lost, "a sample is neither kept nor lost");
    let text = to_string(&registry, Format::Text, 4);
    let all = Exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let own = |data: &[u8]| data.windows(5).any(|w| w == b"guard");
    let guard = all.samples.iter().find(|s| s.name == "guard_of_this_test" && s.labels.is_empty());
    assert!(own(data) || guard.is_some_and(|s| s.value == 5.0), "another series was touched\n{text}");
    for sample in &all.samples {
        assert!(all.type_of(&sample.name).is_some(), "{sample} has no type\n{text}");
        assert!(sample.labels.is_sorted_by(|a, b| a.0 < b.0), "{sample} has a label twice");
    }
    let open = to_string(&registry, Format::OpenMetrics, 4);
    assert!(open.lines().all(|line| line.starts_with('#') || Exposition::parse(&open_to_text(line)).is_ok()));
}

/// An exemplar stands behind `#` in OpenMetrics only.
fn open_to_text(line: &str) -> String {
    line.split(" # ").next().unwrap_or_default().to_owned()
}

/// Any mapping file: an error with its place, or rules that give every name a valid metric or none.
pub(crate) fn mapping(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, names) = text.split_once('\0').unwrap_or((text, "a.b.c\nx"));
    let mapping = match Mapping::parse("m.yaml", text) {
        Ok(mapping) => mapping,
        Err(error) => return assert!(error.to_string().starts_with("m.yaml:"), "{error}"),
    };
    let rules = Rules::default().with_mapping(Arc::new(mapping));
    for name in names.lines() {
        for kind in [Kind::Counter, Kind::Gauge, Kind::Timer, Kind::Set] {
            let resolved = resolve(name, kind, &[("tag", "value")], &rules);
            let clean = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            assert!(clean(&resolved.family), "{name} becomes {}", resolved.family);
            assert!(!resolved.family.starts_with(|c: char| c.is_ascii_digit()), "{}", resolved.family);
            assert!(resolved.labels.iter().all(|(key, _)| clean(key)), "{:?}", resolved.labels);
            assert!(resolved.labels.is_sorted_by(|a, b| a.0 < b.0), "{:?}", resolved.labels);
        }
    }
}

thread_local! {
    /// Made once: it takes a hundred times as long as what it is tried with.
    static POLICY: Policy = Policy {
        environment: "dev".to_owned(),
        max_fields: 50,
        syslog: true,
        streams: Streams::new(4),
        ids: Ids::new(1),
        rules: Default::default(),
        redactor: Redactor::new(&Default::default()).unwrap_or_default(),
    };
}

/// Any bytes from a client: however they are cut into reads, the lines are the same and none is too long; every
/// line that is not blank becomes a record.
pub(crate) fn logs(data: &[u8]) {
    const MOST: usize = 512;
    let lines = |cut: usize| {
        let mut framer = Framer::default();
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for part in data.chunks(cut.max(1)) {
            framer.feed(part, MOST, &mut |line| lines.push(line.to_vec()));
            assert!(framer.held() <= 2 * MOST + cut, "holds {} bytes", framer.held());
        }
        framer.finish(MOST, &mut |line| lines.push(line.to_vec()));
        lines
    };
    let whole = lines(data.len().max(1));
    let (mut scratch, mut records) = (Scratch::default(), Records::default());
    for line in &whole {
        let before = records.payloads.len();
        POLICY.with(|policy| {
            policy.line(line, Source::default(), 1_700_000_000_000_000_000, &mut scratch, &mut records);
        });
        let blank = line.trim_ascii().is_empty();
        assert!(blank || records.payloads.len() > before, "lost: {:?}", String::from_utf8_lossy(line));
    }
    let _ = lines(1 + data.first().copied().unwrap_or(0) as usize);
}

/// Any request, in each of the three encodings: what becomes a span is JSON with whole ids.
pub(crate) fn spans(data: &[u8]) {
    let check = |out: &Payloads| {
        for payload in out.slices() {
            let span: serde_json::Value = serde_json::from_slice(payload)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(payload)));
            let hex = |key: &str, len: usize| {
                let id = span[key].as_str().unwrap_or_default();
                id.len() == len && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            };
            assert!(hex("traceId", 32) && hex("id", 16), "{span}");
        }
    };
    let mut out = Payloads::default();
    if otlp::translate::translate(data, &mut Default::default(), &mut out, &mut |_| true).is_ok() {
        check(&out);
    }
    out.clear();
    if zipkin::json::translate(data, &mut out, &mut |_, _, _| true).is_ok() {
        check(&out);
    }
    out.clear();
    if zipkin::proto::translate(data, &mut out, &mut |_, _, _| true).is_ok() {
        check(&out);
    }
}

/// A queue whose files were damaged in any way opens, gives back only what was put in, and goes on working.
pub(crate) fn queue(data: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let settings = queue::Settings {
        max_bytes: Bytes(1 << 20),
        min_free: Bytes(0),
        segment_bytes: Bytes(256),
        fsync: false,
        ..queue::Settings::default()
    };
    let payload = |n: u64| format!("record number {n}").into_bytes();
    let open = || queue::Queue::open(dir.path(), "fuzz", &settings).unwrap();
    let soon = || Instant::now() + Duration::from_secs(10);
    let first = open();
    for n in 0..20 {
        first.append(&[payload(n)]).unwrap();
    }
    first.close(soon());
    drop(first);
    damage(&dir.path().join("fuzz"), data);
    let again = open();
    let mut reader = again.reader();
    loop {
        let batch = reader.next_batch(100, 1 << 20).unwrap();
        if batch.entries.is_empty() && batch.lost.is_empty() {
            break;
        }
        for entry in batch.entries {
            assert_eq!(
                entry.payload.as_ref(),
                payload(entry.seq).as_slice(),
                "record {} is another",
                entry.seq
            );
        }
    }
    again.append(&[b"after"]).unwrap();
    again.close(soon());
}

/// Writes over, cuts or lengthens files as `data` says: four bytes a change.
fn damage(folder: &std::path::Path, data: &[u8]) {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.is_file() && file.file_name().is_some_and(|name| name != "lock"));
    files.sort();
    for change in data.chunks_exact(4) {
        let Some(file) = files.get(change[0] as usize % files.len().max(1)) else { return };
        let Ok(mut bytes) = std::fs::read(file) else { continue };
        let at = usize::from(u16::from_le_bytes([change[2], change[3]])) % (bytes.len() + 1);
        match change[1] % 4 {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_slice(change),
            2 => bytes.iter_mut().skip(at).take(1 + change[1] as usize / 4).for_each(|b| *b = 0),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|b| *b ^= change[1] | 1),
        }
        std::fs::write(file, bytes).unwrap();
    }
}
