//! OTLP's protobuf with text that is not UTF-8. A strict reader refuses the whole request for one such text, and with it the
//! records of everybody else in it; here each is mended (`U+FFFD` for what cannot be read) and the request is read again.
//!
//! The numbers are the fields of `opentelemetry/proto`: which of them are text, and in which messages they stand.

use prost::Message;

use super::Refusal;

/// The fields of a message that are text, or have text further in.
pub struct Shape(&'static [(u64, Kind)]);

enum Kind {
    Text,
    In(&'static Shape),
}

use Kind::{In, Text};

static ANY_VALUE: Shape = Shape(&[(1, Text), (5, In(&ARRAY)), (6, In(&LIST))]);
static ARRAY: Shape = Shape(&[(1, In(&ANY_VALUE))]);
static LIST: Shape = Shape(&[(1, In(&ATTRIBUTE))]);
static ATTRIBUTE: Shape = Shape(&[(1, Text), (2, In(&ANY_VALUE))]);
static ENTITY: Shape = Shape(&[(1, Text), (2, Text), (3, Text), (4, Text)]);
static RESOURCE: Shape = Shape(&[(1, In(&ATTRIBUTE)), (3, In(&ENTITY))]);
static SCOPE: Shape = Shape(&[(1, Text), (2, Text), (3, In(&ATTRIBUTE))]);

/// `ExportLogsServiceRequest`.
pub static LOGS: Shape = Shape(&[(1, In(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Shape = Shape(&[(1, In(&RESOURCE)), (2, In(&SCOPE_LOGS)), (3, Text)]);
static SCOPE_LOGS: Shape = Shape(&[(1, In(&SCOPE)), (2, In(&LOG)), (3, Text)]);
static LOG: Shape = Shape(&[(3, Text), (5, In(&ANY_VALUE)), (6, In(&ATTRIBUTE)), (12, Text)]);

/// `ExportMetricsServiceRequest`.
pub static METRICS: Shape = Shape(&[(1, In(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Shape = Shape(&[(1, In(&RESOURCE)), (2, In(&SCOPE_METRICS)), (3, Text)]);
static SCOPE_METRICS: Shape = Shape(&[(1, In(&SCOPE)), (2, In(&METRIC)), (3, Text)]);
static METRIC: Shape = Shape(&[
    (1, Text),
    (2, Text),
    (3, Text),
    (5, In(&NUMBERS)),
    (7, In(&NUMBERS)),
    (9, In(&HISTOGRAMS)),
    (10, In(&EXPONENTIALS)),
    (11, In(&SUMMARIES)),
    (12, In(&ATTRIBUTE)),
]);
static NUMBERS: Shape = Shape(&[(1, In(&NUMBER))]);
static NUMBER: Shape = Shape(&[(7, In(&ATTRIBUTE)), (5, In(&EXEMPLAR))]);
static HISTOGRAMS: Shape = Shape(&[(1, In(&HISTOGRAM))]);
static HISTOGRAM: Shape = Shape(&[(9, In(&ATTRIBUTE)), (8, In(&EXEMPLAR))]);
static EXPONENTIALS: Shape = Shape(&[(1, In(&EXPONENTIAL))]);
static EXPONENTIAL: Shape = Shape(&[(1, In(&ATTRIBUTE)), (11, In(&EXEMPLAR))]);
static SUMMARIES: Shape = Shape(&[(1, In(&SUMMARY))]);
static SUMMARY: Shape = Shape(&[(7, In(&ATTRIBUTE))]);
static EXEMPLAR: Shape = Shape(&[(7, In(&ATTRIBUTE))]);

/// As deep as prost reads.
const DEPTH: u32 = 100;

/// Reads a request, and how many of its texts had to be mended for it.
///
/// # Errors
/// When it is no such message, whatever its texts.
pub fn decode<T: Message + Default>(request: &[u8], shape: &Shape) -> Result<(T, u64), Refusal> {
    let error = match T::decode(request) {
        Ok(message) => return Ok((message, 0)),
        Err(error) => error,
    };
    let mut mended = Vec::with_capacity(request.len() + 64);
    match mend(request, shape, DEPTH, &mut mended) {
        Some(texts @ 1..) => T::decode(&*mended).map(|message| (message, texts)),
        _ => Err(error),
    }
    .map_err(|error| Refusal::Malformed(error.to_string()))
}

/// Writes `message` into `out` with its texts mended; how many. `None` if it is no protobuf.
fn mend(mut message: &[u8], shape: &Shape, depth: u32, out: &mut Vec<u8>) -> Option<u64> {
    let mut texts = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        prost::encoding::encode_varint(tag, out);
        let fixed = match tag & 7 {
            0 => {
                prost::encoding::encode_varint(varint(&mut message)?, out);
                continue;
            }
            1 => 8,
            5 => 4,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (inside, rest) = message.split_at_checked(length)?;
                message = rest;
                let kind = shape.0.iter().find(|(field, _)| *field == tag >> 3).map(|(_, kind)| kind);
                match kind {
                    Some(In(shape)) if depth > 0 => {
                        let mut mended = Vec::with_capacity(inside.len() + 16);
                        texts += mend(inside, shape, depth - 1, &mut mended)?;
                        put(&mended, out);
                    }
                    Some(Text) if std::str::from_utf8(inside).is_err() => {
                        texts += 1;
                        put(String::from_utf8_lossy(inside).as_bytes(), out);
                    }
                    _ => put(inside, out),
                }
                continue;
            }
            _ => return None,
        };
        let (value, rest) = message.split_at_checked(fixed)?;
        out.extend_from_slice(value);
        message = rest;
    }
    Some(texts)
}

fn varint(from: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(from).ok()
}

fn put(bytes: &[u8], out: &mut Vec<u8>) {
    prost::encoding::encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::{LOGS, METRICS, Shape, decode};
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as Logs;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Metrics;
    use proptest::prelude::*;
    use prost::Message;

    /// `request` with a byte that is no UTF-8 in place of each `?`, of which there are `marks`.
    fn broken(request: &impl Message, marks: usize) -> Vec<u8> {
        let mut bytes = request.encode_to_vec();
        let mut seen = 0;
        bytes.iter_mut().filter(|b| **b == b'?').for_each(|b| {
            *b = 0xff;
            seen += 1;
        });
        assert_eq!(seen, marks);
        bytes
    }

    fn mends<T: Message + Default + serde::Serialize + serde::de::DeserializeOwned>(
        json: &str,
        marks: usize,
        shape: &Shape,
    ) {
        let request: T = serde_json::from_str(json).unwrap();
        assert!(T::decode(&*broken(&request, marks)).is_err());
        let (read, texts) = decode::<T>(&broken(&request, marks), shape).unwrap();
        assert_eq!(texts, marks as u64);
        let expected: serde_json::Value = serde_json::from_str(&json.replace('?', "\u{fffd}")).unwrap();
        let expected: T = serde_json::from_value(expected).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&expected).unwrap());
    }

    #[test]
    fn each_text_of_logs_is_mended_and_the_rest_is_as_it_was() {
        let json = r#"{"resourceLogs":[{"resource":{"attributes":[
            {"key":"service.name","value":{"stringValue":"sh?p"}},{"key":"k?y","value":{"intValue":"5"}}]},
          "schemaUrl":"u?","scopeLogs":[{"scope":{"name":"db?","version":"v?"},"schemaUrl":"w?","logRecords":[
            {"timeUnixNano":"1700000000000000000","severityNumber":17,"severityText":"err?r","eventName":"e?",
             "body":{"kvlistValue":{"values":[
                {"key":"a?","value":{"arrayValue":{"values":[{"stringValue":"b?"},{"bytesValue":"AAH/"}]}}}]}},
             "traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7"},
            {"timeUnixNano":"1700000000000000001","body":{"stringValue":"good"}}]}]}]}"#;
        mends::<Logs>(json, 10, &LOGS);
    }

    #[test]
    fn each_text_of_metrics_is_mended_and_the_rest_is_as_it_was() {
        let point =
            r#""timeUnixNano":"1700000000000000000","attributes":[{"key":"a?","value":{"stringValue":"b"}}]"#;
        let json = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[
            {{"name":"n?","description":"d?","unit":"u?","gauge":{{"dataPoints":[{{{point},"asDouble":2.5}}]}}}},
            {{"name":"s","sum":{{"dataPoints":[{{{point},"asInt":"7",
              "exemplars":[{{"filteredAttributes":[{{"key":"x?","value":{{"stringValue":"y"}}}}],"asDouble":2.0}}]}}]}}}},
            {{"name":"h","histogram":{{"dataPoints":[{{{point},"count":"1","bucketCounts":["1"]}}]}}}},
            {{"name":"e","exponentialHistogram":{{"dataPoints":[{{{point},"count":"1","scale":2}}]}}}},
            {{"name":"q","summary":{{"dataPoints":[{{{point},"count":"1","sum":2.0}}]}}}}]}}]}}]}}"#
        );
        mends::<Metrics>(&json, 9, &METRICS);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(decode::<Logs>(b"\x0a\xff\xff", &LOGS).is_err());
        assert!(decode::<Logs>(b"not protobuf", &LOGS).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Logs>(&bytes, &LOGS);
            let _ = decode::<Metrics>(&bytes, &METRICS);
        }
    }
}
