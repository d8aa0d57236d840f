//! The bodies of OTLP answers: the response message and `google.rpc.Status`, both in protobuf and in JSON.

use crate::json;

/// `Retry-After` and the delay in a gRPC answer.
pub const RETRY_SECONDS: u8 = 1;

/// An `Export…ServiceResponse`; the three have one layout: `partial_success { rejected, error_message }`.
pub fn response_protobuf(rejected: u64, message: &str) -> Vec<u8> {
    if rejected == 0 && message.is_empty() {
        return Vec::new();
    }
    let mut partial = Vec::new();
    number(1, rejected, &mut partial);
    bytes(2, message.as_bytes(), &mut partial);
    let mut out = Vec::new();
    bytes(1, &partial, &mut out);
    out
}

/// The same in JSON; `name` is what the signal calls its refused items.
pub fn response_json(name: &str, rejected: u64, message: &str) -> Vec<u8> {
    if rejected == 0 && message.is_empty() {
        return b"{}".to_vec();
    }
    // Protobuf's JSON writes 64-bit numbers as strings.
    let mut out = format!("{{\"partialSuccess\":{{\"{name}\":\"{rejected}\",\"errorMessage\":").into_bytes();
    json::string(&mut out, message.as_bytes());
    out.extend_from_slice(b"}}");
    out
}

/// `google.rpc.Status` of `code` (gRPC's numbers) in protobuf.
pub fn status_protobuf(code: u8, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    number(1, u64::from(code), &mut out);
    bytes(2, message.as_bytes(), &mut out);
    out
}

/// The same in JSON.
pub fn status_json(code: u8, message: &str) -> Vec<u8> {
    let mut out = format!("{{\"code\":{code},\"message\":").into_bytes();
    json::string(&mut out, message.as_bytes());
    out.push(b'}');
    out
}

/// `google.rpc.Status` with a `RetryInfo`: the sender may try again after [`RETRY_SECONDS`].
pub fn retry_status(code: u8, message: &str) -> Vec<u8> {
    let mut delay = Vec::new();
    number(1, u64::from(RETRY_SECONDS), &mut delay);
    let mut info = Vec::new();
    bytes(1, &delay, &mut info);
    let mut any = Vec::new();
    bytes(1, b"type.googleapis.com/google.rpc.RetryInfo", &mut any);
    bytes(2, &info, &mut any);
    let mut out = status_protobuf(code, message);
    bytes(3, &any, &mut out);
    out
}

fn number(field: u8, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        out.push(field << 3);
        varint(value, out);
    }
}

fn bytes(field: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use prost::Message;

    #[test]
    fn clients_can_read_the_answers() {
        assert!(super::response_protobuf(0, "").is_empty());
        let bytes = super::response_protobuf(300, "no id");
        let partial = ExportTraceServiceResponse::decode(&bytes[..]).unwrap().partial_success.unwrap();
        assert_eq!((partial.rejected_spans, &*partial.error_message), (300, "no id"));
        let partial = ExportLogsServiceResponse::decode(&bytes[..]).unwrap().partial_success.unwrap();
        assert_eq!(partial.rejected_log_records, 300);
        let json = super::response_json("rejectedSpans", 3, "a \"b\"");
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(value["partialSuccess"]["rejectedSpans"], "3");
        let value: serde_json::Value = serde_json::from_slice(&super::status_json(3, "x")).unwrap();
        assert_eq!((&value["code"], &value["message"]), (&3.into(), &"x".into()));
    }
}
