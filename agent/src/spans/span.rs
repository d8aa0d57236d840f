//! Writes one span as Zipkin v2 JSON, the form in which spans wait in the queue.
//!
//! `traceId` always has 32 lower-case hexadecimal digits, `id` 16; times are microseconds; tags are strings.

use std::cell::Cell;

use crate::json;

/// What kind of call a span is; `None` of Zipkin is a span within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers a request.
    Server,
    /// Makes a request.
    Client,
    /// Sends a message.
    Producer,
    /// Handles a message.
    Consumer,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Server => "SERVER",
            Kind::Client => "CLIENT",
            Kind::Producer => "PRODUCER",
            Kind::Consumer => "CONSUMER",
        }
    }
}

/// The other or the own side of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// Empty if not known.
    pub service: &'a [u8],
    /// Only in [`Writer::endpoint`] when it is an address.
    pub ip: Option<std::net::IpAddr>,
    /// 0 if not known.
    pub port: u16,
}

/// What every span has.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// 128 bits.
    pub trace: [u8; 16],
    /// 64 bits.
    pub id: [u8; 8],
    /// All zeros for a root.
    pub parent: [u8; 8],
    /// Any text.
    pub name: &'a [u8],
    /// `None` within a process.
    pub kind: Option<Kind>,
    /// Microseconds since the epoch; 0 if not known.
    pub timestamp: u64,
    /// Microseconds; 0 if not known.
    pub duration: u64,
}

/// Writes one span after the other into a buffer.
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Writer<'o> {
    /// Opens a span.
    pub fn begin(out: &'o mut Vec<u8>, head: &Head<'_>) -> Self {
        out.extend_from_slice(b"{\"traceId\":\"");
        json::hex(out, &head.trace);
        out.extend_from_slice(b"\",\"id\":\"");
        json::hex(out, &head.id);
        if head.parent != [0; 8] {
            out.extend_from_slice(b"\",\"parentId\":\"");
            json::hex(out, &head.parent);
        }
        out.extend_from_slice(b"\",\"name\":");
        text(out, head.name);
        if let Some(kind) = head.kind {
            out.extend_from_slice(b",\"kind\":\"");
            out.extend_from_slice(kind.as_str().as_bytes());
            out.push(b'"');
        }
        for (key, value) in [(&b",\"timestamp\":"[..], head.timestamp), (b",\"duration\":", head.duration)] {
            if value > 0 {
                out.extend_from_slice(key);
                json::integer(out, value);
            }
        }
        Writer { out, first: true }
    }

    /// Writes `localEndpoint` or `remoteEndpoint`, unless nothing is known.
    pub fn endpoint(&mut self, name: &'static str, endpoint: &Endpoint<'_>) {
        if *endpoint == Endpoint::default() {
            return;
        }
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":{");
        let before = self.out.len();
        if !endpoint.service.is_empty() {
            self.out.extend_from_slice(b",\"serviceName\":");
            text(self.out, endpoint.service);
        }
        if let Some(ip) = endpoint.ip {
            self.out.extend_from_slice(if ip.is_ipv4() { b",\"ipv4\":\"" } else { b",\"ipv6\":\"" });
            self.out.extend_from_slice(ip.to_string().as_bytes());
            self.out.push(b'"');
        }
        if endpoint.port > 0 {
            self.out.extend_from_slice(b",\"port\":");
            json::integer(self.out, endpoint.port);
        }
        self.out.remove(before);
        self.out.push(b'}');
    }

    /// Opens the annotations; then [`Writer::annotation`] for each, then [`Writer::end_annotations`].
    pub fn annotations(&mut self) {
        self.out.extend_from_slice(b",\"annotations\":[");
        self.first = true;
    }

    /// An annotation whose text `write` appends as a JSON string.
    pub fn annotation(&mut self, timestamp: u64, write: impl FnOnce(&mut Vec<u8>)) {
        self.comma();
        self.out.extend_from_slice(b"{\"timestamp\":");
        json::integer(self.out, timestamp);
        self.out.extend_from_slice(b",\"value\":");
        write(self.out);
        self.out.push(b'}');
    }

    /// Closes the annotations.
    pub fn end_annotations(&mut self) {
        self.out.push(b']');
    }

    /// Opens the tags.
    pub fn tags(&mut self) {
        self.out.extend_from_slice(b",\"tags\":{");
        self.first = true;
    }

    /// A tag.
    pub fn tag(&mut self, key: &[u8], value: &[u8]) {
        self.tag_with(key, |out| text(out, value));
    }

    /// A tag whose value `write` appends as a JSON string.
    pub fn tag_with(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.comma();
        text(self.out, key);
        self.out.push(b':');
        write(self.out);
    }

    /// Tags that were written before: `"a":"b","c":"d"`.
    pub fn written_tags(&mut self, tags: &[u8]) {
        if !tags.is_empty() {
            self.comma();
            self.out.extend_from_slice(tags);
        }
    }

    /// Closes tags and span. `extra` are whole members with their comma: `,"shared":true`.
    pub fn end(self, extra: &[u8]) {
        self.out.push(b'}');
        self.out.extend_from_slice(extra);
        self.out.push(b'}');
    }

    fn comma(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
    }
}

thread_local! {
    static REPAIRED: Cell<u64> = const { Cell::new(0) };
}

/// Appends bytes that should be UTF-8 as a JSON string; what is not becomes U+FFFD.
pub fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(_) => json::string(out, bytes),
        Err(_) => {
            REPAIRED.set(REPAIRED.get() + 1);
            json::string(out, String::from_utf8_lossy(bytes).as_bytes());
        }
    }
}

/// How many texts this thread had to repair since it was last asked.
pub fn take_repaired() -> u64 {
    REPAIRED.take()
}

/// Nanoseconds to the microseconds of Zipkin; what is shorter than one is one, because 0 means unknown there.
pub fn duration_us(nanos: u64) -> u64 {
    if nanos == 0 { 0 } else { (nanos / 1000).max(1) }
}
