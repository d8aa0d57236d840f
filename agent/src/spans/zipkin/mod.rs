//! Zipkin's own protocol: v2 spans in JSON and in proto3.

use std::net::IpAddr;

use crate::receive::payloads::Payloads;
use crate::spans::span::{Endpoint, Head, Writer, text};

pub mod json;
pub mod proto;

#[cfg(test)]
mod tests;

/// How many entries of a list were no spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused(pub u64);

/// Whether a span of this trace (with an error, of so many microseconds) is wanted.
pub type Keep<'a> = &'a mut dyn FnMut(&[u8; 16], bool, u64) -> bool;

/// A span as both encodings give it.
#[derive(Debug, Default)]
struct Parts<'a> {
    local: Place<'a>,
    remote: Place<'a>,
    annotations: Vec<(u64, &'a [u8])>,
    tags: Vec<(&'a [u8], &'a [u8])>,
    debug: bool,
    shared: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Place<'a> {
    service: &'a [u8],
    ip: Option<IpAddr>,
    port: u16,
}

impl<'a> Place<'a> {
    fn endpoint(&self) -> Endpoint<'a> {
        Endpoint { service: self.service, ip: self.ip, port: self.port }
    }
}

/// Writes the span into `out` if it is wanted.
fn put(head: &Head<'_>, parts: &Parts<'_>, out: &mut Payloads, keep: Keep<'_>) {
    let error = parts.tags.iter().any(|(key, _)| *key == b"error");
    if !keep(&head.trace, error, head.duration) {
        return;
    }
    let mut span = Writer::begin(&mut out.bytes, head);
    span.endpoint("localEndpoint", &parts.local.endpoint());
    span.endpoint("remoteEndpoint", &parts.remote.endpoint());
    if !parts.annotations.is_empty() {
        span.annotations();
        for (timestamp, value) in &parts.annotations {
            span.annotation(*timestamp, |out| text(out, value));
        }
        span.end_annotations();
    }
    span.tags();
    for (index, (key, value)) in parts.tags.iter().enumerate() {
        // Of a key that comes twice the last counts, as in a map.
        if !parts.tags[index + 1..].iter().any(|(later, _)| later == key) {
            span.tag(key, value);
        }
    }
    span.end(match (parts.debug, parts.shared) {
        (false, false) => b"",
        (true, false) => b",\"debug\":true",
        (false, true) => b",\"shared\":true",
        (true, true) => b",\"debug\":true,\"shared\":true",
    });
    out.end();
}
