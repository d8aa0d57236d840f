//! A request's worth of samples: built row by row, kept packed while it waits, cut in half when it is refused.
//!
//! What waits is always a message of 2.0; one for an endpoint of 1.0 is translated on its way out.

use std::collections::HashMap;

use prost::Message;

use super::Protocol;
use super::proto::{v1, v2};

/// What a metric is, as both versions number it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Kind {
    /// Not known.
    Unknown = 0,
    /// Only grows.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// Buckets.
    Histogram = 3,
    /// Quantiles.
    Summary = 5,
}

/// One series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row<'a> {
    /// Labels by ascending name, `__name__` among them, none empty.
    pub labels: &'a [(&'a str, &'a str)],
    /// Its value.
    pub value: Value,
    /// What the metric is.
    pub kind: Kind,
    /// HELP.
    pub help: &'a str,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// Since when it counts, in milliseconds since the epoch; 0 if it does not count or that is not known.
    pub created_ms: i64,
    /// The trace behind the newest observation: id, value, time.
    pub exemplar: Option<(&'a str, f64, i64)>,
}

/// The value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A number.
    Float(f64),
    /// A native histogram; its times are set when it is added.
    Native(Box<v2::Histogram>),
}

/// Builds batches of bounded size.
#[derive(Debug)]
pub(super) struct Builder {
    request: v2::Request,
    symbols: HashMap<String, u32>,
    most: usize,
}

/// A packed request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Batch {
    packed: Vec<u8>,
    samples: usize,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wire {
    /// The body, snappy-compressed.
    pub body: Vec<u8>,
    /// Samples that this version cannot carry, and that are not in the body.
    pub left_out: usize,
}

impl Builder {
    /// Batches of at most `most` samples.
    pub(super) fn new(most: usize) -> Self {
        let mut builder =
            Builder { request: v2::Request::default(), symbols: HashMap::new(), most: most.max(1) };
        builder.symbol("");
        builder
    }

    /// Adds a row; returns a batch when it is full.
    pub(super) fn add(&mut self, row: &Row<'_>) -> Option<Batch> {
        let mut series = v2::TimeSeries {
            labels_refs: row.labels.iter().flat_map(|(k, v)| [*k, *v]).map(|s| self.symbol(s)).collect(),
            metadata: Some(v2::Metadata {
                r#type: row.kind as i32,
                help_ref: self.symbol(row.help),
                unit_ref: 0,
            }),
            created_timestamp: row.created_ms,
            ..v2::TimeSeries::default()
        };
        match &row.value {
            Value::Float(value) => series.samples.push(v2::Sample {
                value: *value,
                timestamp: row.at_ms,
                start_timestamp: row.created_ms,
            }),
            Value::Native(histogram) => series.histograms.push(v2::Histogram {
                timestamp: row.at_ms,
                start_timestamp: row.created_ms,
                ..(**histogram).clone()
            }),
        }
        if let Some((trace_id, value, timestamp)) = row.exemplar {
            let labels_refs = vec![self.symbol("trace_id"), self.symbol(trace_id)];
            series.exemplars.push(v2::Exemplar { labels_refs, value, timestamp });
        }
        self.request.timeseries.push(series);
        (self.request.timeseries.len() >= self.most).then(|| self.finish()).flatten()
    }

    /// What is left, if anything.
    pub(super) fn finish(&mut self) -> Option<Batch> {
        if self.request.timeseries.is_empty() {
            return None;
        }
        self.symbols.clear();
        let request = std::mem::take(&mut self.request);
        self.symbol("");
        Some(Batch::pack(&request))
    }

    fn symbol(&mut self, text: &str) -> u32 {
        if let Some(&place) = self.symbols.get(text) {
            return place;
        }
        let place = self.request.symbols.len() as u32;
        self.request.symbols.push(text.to_owned());
        self.symbols.insert(text.to_owned(), place);
        place
    }
}

impl Batch {
    fn pack(request: &v2::Request) -> Self {
        Batch { packed: compress(&request.encode_to_vec()), samples: request.timeseries.len() }
    }

    /// As a queue keeps it: the number of samples, and the packed request.
    pub(super) fn record(&self) -> Vec<u8> {
        [&(self.samples as u32).to_le_bytes(), self.packed.as_slice()].concat()
    }

    /// What [`Batch::record`] made; `None` for anything else.
    pub(super) fn read(record: &[u8]) -> Option<Self> {
        let (samples, packed) = record.split_first_chunk::<4>()?;
        let batch = Batch { packed: packed.to_vec(), samples: u32::from_le_bytes(*samples) as usize };
        (batch.samples > 0 && batch.unpack().timeseries.len() == batch.samples).then_some(batch)
    }

    fn unpack(&self) -> v2::Request {
        // What was packed here, or was looked at when it was read, unpacks; if it did not, nothing is sent.
        snap::raw::Decoder::new()
            .decompress_vec(&self.packed)
            .ok()
            .and_then(|plain| v2::Request::decode(plain.as_slice()).ok())
            .unwrap_or_default()
    }

    /// How many samples it holds, a native histogram counting as one.
    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// The body in a version of the protocol.
    pub(super) fn wire(&self, protocol: Protocol) -> Wire {
        match protocol {
            Protocol::V2 | Protocol::Auto => Wire { body: self.packed.clone(), left_out: 0 },
            Protocol::V1 => {
                let (request, left_out) = to_v1(&self.unpack());
                Wire { body: compress(&request.encode_to_vec()), left_out }
            }
        }
    }

    /// Its two halves; `None` when it holds one series only.
    pub(super) fn split(&self) -> Option<(Batch, Batch)> {
        if self.samples < 2 {
            return None;
        }
        let request = self.unpack();
        let (first, second) = request.timeseries.split_at(request.timeseries.len() / 2);
        Some((Batch::pack(&part(&request, first)), Batch::pack(&part(&request, second))))
    }

    /// The series of a batch as a person reads it, for messages about the last one of a split.
    pub(super) fn first_series(&self) -> String {
        let request = self.unpack();
        let Some(series) = request.timeseries.first() else { return String::new() };
        let mut name = "";
        let mut labels = Vec::new();
        for pair in series.labels_refs.chunks_exact(2) {
            match (text(&request, pair[0]), text(&request, pair[1])) {
                ("__name__", value) => name = value,
                (key, value) => labels.push(format!("{key}={value:?}")),
            }
        }
        format!("{name}{{{}}}", labels.join(","))
    }
}

fn text(request: &v2::Request, place: u32) -> &str {
    request.symbols.get(place as usize).map_or("", String::as_str)
}

/// Some series of a request, with the symbols that they use.
fn part(request: &v2::Request, series: &[v2::TimeSeries]) -> v2::Request {
    let mut builder = Builder::new(usize::MAX);
    for one in series {
        let mut one = one.clone();
        let exemplars = one.exemplars.iter_mut().flat_map(|e| e.labels_refs.iter_mut());
        let metadata = one.metadata.iter_mut().map(|m| &mut m.help_ref);
        for place in one.labels_refs.iter_mut().chain(exemplars).chain(metadata) {
            *place = builder.symbol(text(request, *place));
        }
        builder.request.timeseries.push(one);
    }
    builder.request
}

/// The same in 1.0, and how many native histograms it cannot carry.
fn to_v1(request: &v2::Request) -> (v1::WriteRequest, usize) {
    let labels = |places: &[u32]| -> Vec<v1::Label> {
        let label = |pair: &[u32]| v1::Label {
            name: text(request, pair[0]).to_owned(),
            value: text(request, pair[1]).to_owned(),
        };
        places.chunks_exact(2).map(label).collect()
    };
    let mut out = v1::WriteRequest::default();
    let mut left_out = 0;
    let mut described = std::collections::HashSet::new();
    for series in &request.timeseries {
        if series.samples.is_empty() {
            left_out += 1;
            continue;
        }
        let labels_of_series = labels(&series.labels_refs);
        if let Some(metadata) = &series.metadata
            && let Some(family) = family(&labels_of_series, metadata.r#type)
            && described.insert(family.to_owned())
        {
            out.metadata.push(v1::MetricMetadata {
                r#type: metadata.r#type,
                metric_family_name: family.to_owned(),
                help: text(request, metadata.help_ref).to_owned(),
            });
        }
        out.timeseries.push(v1::TimeSeries {
            labels: labels_of_series,
            histograms: Vec::new(),
            samples: series
                .samples
                .iter()
                .map(|s| v1::Sample { value: s.value, timestamp: s.timestamp })
                .collect(),
            exemplars: series
                .exemplars
                .iter()
                .map(|e| v1::Exemplar {
                    labels: labels(&e.labels_refs),
                    value: e.value,
                    timestamp: e.timestamp,
                })
                .collect(),
        });
    }
    (out, left_out)
}

/// The metric that a series belongs to: histograms and summaries lose their suffix.
fn family(labels: &[v1::Label], kind: i32) -> Option<&str> {
    let name = labels.iter().find(|label| label.name == "__name__")?.value.as_str();
    let suffixes: &[&str] = match kind {
        kind if kind == Kind::Histogram as i32 => &["_bucket", "_sum", "_count"],
        kind if kind == Kind::Summary as i32 => &["_sum", "_count"],
        _ => &[],
    };
    Some(suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name))
}

fn compress(plain: &[u8]) -> Vec<u8> {
    // The block format refuses only inputs of 4 GiB and more; a batch is bounded by its samples.
    snap::raw::Encoder::new().compress_vec(plain).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::super::proto::{v1, v2};
    use super::{Batch, Builder, Kind, Protocol, Row, Value};

    fn batch(names: &[&str]) -> Batch {
        let mut builder = Builder::new(1000);
        for name in names {
            let row = Row {
                labels: &[("__name__", name), ("host", "h1")],
                value: Value::Float(1.5),
                kind: Kind::Counter,
                help: "Help.",
                at_ms: 2000,
                created_ms: 1000,
                exemplar: Some(("00000000000000000000000000000001", 0.5, 1999)),
            };
            assert!(builder.add(&row).is_none());
        }
        builder.finish().unwrap()
    }

    fn plain(body: &[u8]) -> Vec<u8> {
        snap::raw::Decoder::new().decompress_vec(body).unwrap()
    }

    #[test]
    fn symbols_stand_once_and_the_first_is_empty() {
        let wire = batch(&["a", "b"]).wire(Protocol::V2);
        let request = v2::Request::decode(plain(&wire.body).as_slice()).unwrap();
        let expected =
            ["", "__name__", "a", "host", "h1", "Help.", "trace_id", "00000000000000000000000000000001", "b"];
        assert_eq!(request.symbols, expected);
        assert_eq!(request.timeseries[1].labels_refs, [1, 8, 3, 4]);
        assert_eq!(request.timeseries[1].samples[0].start_timestamp, 1000);
        assert_eq!(request.timeseries[1].exemplars[0].labels_refs, [6, 7]);
    }

    #[test]
    fn says_the_same_in_1_0() {
        let wire = batch(&["a", "b"]).wire(Protocol::V1);
        let request = v1::WriteRequest::decode(plain(&wire.body).as_slice()).unwrap();
        let series = &request.timeseries[1];
        let labels: Vec<_> = series.labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
        assert_eq!(labels, [("__name__", "b"), ("host", "h1")]);
        assert_eq!(series.samples, [v1::Sample { value: 1.5, timestamp: 2000 }]);
        assert_eq!(series.exemplars[0].labels[0].name, "trace_id");
        assert_eq!((request.metadata.len(), request.metadata[0].r#type), (2, 1));
        assert_eq!(wire.left_out, 0);
    }

    #[test]
    fn halves_hold_everything_once() {
        let whole = batch(&["a", "b", "c"]);
        let (first, second) = whole.split().unwrap();
        assert_eq!((first.samples(), second.samples()), (1, 2));
        assert_eq!(first.first_series(), "a{host=\"h1\"}");
        assert!(first.split().is_none());
        let (b, c) = second.split().unwrap();
        assert_eq!((b.first_series(), c.first_series()), ("b{host=\"h1\"}".into(), "c{host=\"h1\"}".into()));
    }

    #[test]
    fn a_record_is_read_as_it_was_and_nothing_else_is() {
        let batch = batch(&["a", "b"]);
        let record = batch.record();
        assert_eq!(Batch::read(&record), Some(batch));
        for other in
            [&b""[..], b"abc", b"\x02\0\0\0", &record[..record.len() - 1], &[&[9], &record[1..]].concat()]
        {
            assert_eq!(Batch::read(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_full_batch_comes_out_at_once() {
        let mut builder = Builder::new(2);
        let row = Row {
            labels: &[("__name__", "a")],
            value: Value::Native(Box::default()),
            kind: Kind::Histogram,
            help: "",
            at_ms: 1,
            created_ms: 0,
            exemplar: None,
        };
        assert!(builder.add(&row).is_none());
        let full = builder.add(&row).unwrap();
        assert_eq!((full.samples(), full.wire(Protocol::V1).left_out), (2, 2));
        assert!(builder.finish().is_none());
    }
}
