//! Zipkin spans of both encodings in, the queue's form out.

use expect_test::expect;

use super::{json, proto};
use crate::receive::payloads::Payloads;

fn shown(read: impl FnOnce(&mut Payloads, super::Keep<'_>) -> Result<super::Refused, String>) -> String {
    let mut out = Payloads::default();
    let refused = read(&mut out, &mut |_, _, _| true).unwrap();
    let mut text = format!("refused {}\n", refused.0);
    for payload in out.slices() {
        serde_json::from_slice::<serde_json::Value>(payload).unwrap();
        text.push_str(std::str::from_utf8(payload).unwrap());
        text.push('\n');
    }
    text
}

#[test]
fn json_spans_are_brought_to_one_form() {
    let list = br#"[
        {"traceId":"A3CE929D0E0E4736","id":"f067aa0ba902b7","parentId":"1","name":"get /","kind":"SERVER",
         "timestamp":1700000000000000,"duration":1500,"shared":true,
         "localEndpoint":{"serviceName":"shop","ipv4":"10.0.0.1","port":8080},
         "remoteEndpoint":{"ipv6":"2001:db8::1"},
         "annotations":[{"timestamp":1700000000000001,"value":"ws \"x\""}],
         "tags":{"http.path":"/","n":5,"error":"true"}},
        {"traceId":"","id":"1"},
        {"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","id":"1","future":{"field":1}}
    ]"#;
    expect![[r#"
        refused 1
        {"traceId":"0000000000000000a3ce929d0e0e4736","id":"00f067aa0ba902b7","parentId":"0000000000000001","name":"get /","kind":"SERVER","timestamp":1700000000000000,"duration":1500,"localEndpoint":{"serviceName":"shop","ipv4":"10.0.0.1","port":8080},"remoteEndpoint":{"ipv6":"2001:db8::1"},"annotations":[{"timestamp":1700000000000001,"value":"ws \"x\""}],"tags":{"error":"true","http.path":"/","n":"5"},"shared":true}
        {"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","id":"0000000000000001","name":"","tags":{}}
    "#]]
    .assert_eq(&shown(|out, keep| json::translate(list, out, keep)));
    let error = json::translate(b"{}", &mut Payloads::default(), &mut |_, _, _| true).unwrap_err();
    assert!(error.starts_with("not a list of spans"), "{error}");
}

#[test]
fn proto_spans_too() {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let endpoint = [field(1, b"db"), field(2, &[10, 0, 0, 2]), vec![0x20, 0xea, 0x24]].concat();
    let tag = [field(1, b"error"), field(2, b"boom")].concat();
    let span = [
        field(1, &[0x4b; 16]),
        field(3, &[7; 8]),
        vec![0x20, 1],
        field(5, b"select"),
        [&[0x31][..], &1_700_000_000_000_000u64.to_le_bytes()].concat(),
        vec![0x38, 42],
        field(9, &endpoint),
        field(11, &tag),
        vec![0x60, 1],
    ]
    .concat();
    let list = [field(1, &span), field(1, b"")].concat();
    expect![[r#"
        refused 1
        {"traceId":"4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b","id":"0707070707070707","name":"select","kind":"CLIENT","timestamp":1700000000000000,"duration":42,"remoteEndpoint":{"serviceName":"db","ipv4":"10.0.0.2","port":4714},"tags":{"error":"boom"},"debug":true}
    "#]]
    .assert_eq(&shown(|out, keep| proto::translate(&list, out, keep)));
    for cut in 1..list.len() - 2 {
        assert!(
            proto::translate(&list[..cut], &mut Payloads::default(), &mut |_, _, _| true).is_err(),
            "{cut}"
        );
    }
}
