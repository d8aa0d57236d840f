//! A finished span, written at once as OTLP's protobuf by the thread that made it. The numbers are the fields of
//! `opentelemetry/proto/trace/v1/trace.proto`; a test reads them back with opentelemetry-proto.
//!
//! Written there and then, out of what the request's thread has at hand, a span costs less than its parts would on their way
//! to another thread, and keeps nothing of the request alive.

use super::protobuf::{array, bytes, fixed32, fixed64, int, number, text, varint, varint_len};
use crate::context::{self, Request};
use crate::http::method::Methods;
use crate::ids::SpanIds;
use crate::instrument::Instrument;
use crate::json;
use crate::logs::record;
use crate::metrics::operation::OperationCells;
use crate::wire::attribute;
use http::uri::Scheme;

/// `Span.attributes`.
const ATTRIBUTES: u8 = 9;
/// Of a text that a client chose, at most.
const TEXT: usize = 2_048;
const AGENT: usize = 256;
const METHOD: usize = 32;

/// Where in a conversation a span stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Answers a request.
    Server,
    /// Asks another service or data store.
    Client,
    /// Neither.
    Internal,
}

#[derive(Debug)]
pub(crate) struct Finished<'a> {
    pub(crate) ids: SpanIds,
    /// 0 at the root.
    pub(crate) parent: u64,
    pub(crate) parent_remote: bool,
    pub(crate) role: Role,
    pub(crate) start_ns: u64,
    pub(crate) duration_ns: u64,
    /// What went wrong, if anything did.
    pub(crate) error: Option<&'a str>,
    pub(crate) operation: &'a OperationCells,
    pub(crate) request: Option<&'a Request>,
    /// The method of a call over HTTP, which its name begins with.
    pub(crate) method: Option<&'a str>,
    /// Of the answer, for server spans; 0 where none was sent.
    pub(crate) status: u16,
    /// What gRPC said in place of a status.
    pub(crate) grpc: Option<u16>,
    pub(crate) response_bytes: u64,
    pub(crate) attributes: &'a Attributes,
}

/// More that is to be said of a span.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// None yet, and none allocated.
    pub(crate) const NONE: Attributes = Attributes(Vec::new());

    /// Where to write; room for a few of them is made at once.
    fn room(&mut self) -> &mut Vec<u8> {
        if self.0.capacity() == 0 {
            self.0.reserve(256);
        }
        &mut self.0
    }

    #[inline]
    pub(crate) fn text(&mut self, key: &'static str, value: &str) {
        text(self.room(), ATTRIBUTES, key, json::cut(value, TEXT).as_bytes());
    }

    #[inline]
    pub(crate) fn int(&mut self, key: &'static str, value: i64) {
        int(self.room(), ATTRIBUTES, key, value);
    }
}

/// What each span of an operation says: written once.
pub(crate) fn of_operation(service: &str, group: &str, segment: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    text(&mut out, ATTRIBUTES, attribute::SERVICE, service.as_bytes());
    text(&mut out, ATTRIBUTES, attribute::GROUP, group.as_bytes());
    text(&mut out, ATTRIBUTES, attribute::SEGMENT, segment.as_bytes());
    out
}

impl Finished<'_> {
    /// Puts it into the queue of those that are to be sent.
    pub(crate) fn send(&self, instrument: &Instrument) {
        /// Room for the tag and the length in front, which are known at the end.
        const HEAD: usize = 6;
        record::with_buffer(|out| {
            out.extend_from_slice(&[0; HEAD]);
            self.write(out, &instrument.settings().methods);
            let length = out.len() - HEAD;
            let at = HEAD - 1 - varint_len(length as u64);
            out[at] = 2 << 3 | 2;
            for (n, byte) in out[at + 1..HEAD].iter_mut().enumerate() {
                *byte = (length >> (7 * n)) as u8 & 127 | 128;
            }
            out[HEAD - 1] &= 127;
            instrument.0.spans.push(&out[at..]);
        });
    }

    fn write(&self, out: &mut Vec<u8>, methods: &Methods) {
        array(out, 1, &self.ids.trace_id.to_be_bytes());
        array(out, 2, &self.ids.span_id.to_be_bytes());
        if self.parent != 0 {
            array(out, 4, &self.parent.to_be_bytes());
        }
        self.name(out, methods);
        let kind = match self.role {
            Role::Internal => 1,
            Role::Server => 2,
            Role::Client => 3,
        };
        number(out, 6, kind);
        fixed64(out, 7, self.start_ns);
        fixed64(out, 8, self.start_ns + self.duration_ns);
        out.extend_from_slice(&self.operation.span);
        if let Some(request) = self.request {
            text(out, ATTRIBUTES, attribute::REQUEST_ID, request.id.as_bytes());
            if self.role == Role::Server {
                self.server(out, request, methods);
            }
        }
        out.extend_from_slice(&self.attributes.0);
        if let Some(error) = self.error {
            let mut status = Vec::with_capacity(error.len() + 8);
            if !error.is_empty() {
                bytes(&mut status, 2, error.as_bytes());
            }
            number(&mut status, 3, 2);
            bytes(out, 15, &status);
        }
        // Sampled; that it is known whether the parent is remote; that it is.
        let flags = u32::from(self.ids.sampled) | 0x100 | if self.parent_remote { 0x200 } else { 0 };
        fixed32(out, 16, flags);
    }

    /// `POST /helloworld` for servers, `POST kittens` for calls over HTTP; `sqlite select_kittens` for the rest.
    fn name(&self, out: &mut Vec<u8>, methods: &Methods) {
        let (first, second) = match (self.request, self.role, self.method) {
            (Some(request), Role::Server, _) => {
                (methods.in_name(&request.method), request.route.pattern.as_deref())
            }
            (_, _, Some(method)) => (method, Some(self.operation.segment.as_str())),
            _ => (self.operation.group.as_str(), Some(self.operation.segment.as_str())),
        };
        varint(out, 5 << 3 | 2);
        varint(out, (first.len() + second.map_or(0, |s| s.len() + 1)) as u64);
        out.extend_from_slice(first.as_bytes());
        if let Some(second) = second {
            out.push(b' ');
            out.extend_from_slice(second.as_bytes());
        }
    }

    /// OpenTelemetry's names for what is known of a request.
    fn server(&self, out: &mut Vec<u8>, request: &Request, methods: &Methods) {
        const A: u8 = ATTRIBUTES;
        let size = |v: u64| i64::try_from(v).unwrap_or(i64::MAX);
        text(out, A, "http.request.method", methods.known(&request.method).as_bytes());
        if let Some(original) = methods.original(&request.method) {
            text(out, A, "http.request.method_original", json::cut(original, METHOD).as_bytes());
        }
        text(out, A, "url.path", request.texts.path().bytes);
        let scheme = request.scheme.as_ref().map_or("http", Scheme::as_str);
        text(out, A, "url.scheme", scheme.as_bytes());
        if self.status != 0 {
            int(out, A, "http.response.status_code", i64::from(self.status));
        }
        if let Some(code) = self.grpc {
            int(out, A, "rpc.grpc.status_code", i64::from(code));
        }
        if let Some(route) = &request.route.pattern {
            text(out, A, "http.route", route.as_bytes());
        }
        if let Some(query) = request.texts.query() {
            text(out, A, "url.query", query.bytes);
        }
        if let Some(host) = request.texts.host() {
            let (name, port) = host_and_port(host.as_str());
            text(out, A, "server.address", name.as_bytes());
            if let Some(port) = port {
                int(out, A, "server.port", port.into());
            }
        }
        if let Some(version) = context::version(request.version) {
            text(out, A, "network.protocol.version", version.as_bytes());
        }
        if let Some(agent) = request.texts.agent() {
            text(out, A, "user_agent.original", agent.cut(AGENT));
        }
        if let Some(source) = request.source {
            let mut address = crate::context::Address::default();
            text(out, A, "client.address", address.of(source));
        }
        if let Some(bytes) = request.size {
            int(out, A, "http.request.body.size", size(bytes));
        }
        int(out, A, "http.response.body.size", size(self.response_bytes));
        // What went wrong is told by a word where there is one, by the status where not.
        match self.error {
            None => {}
            Some("panic") => text(out, A, "error.type", b"panic"),
            Some(_) if self.grpc.is_some_and(|code| code != 0) => {
                text(out, A, "error.type", itoa::Buffer::new().format(self.grpc.unwrap_or(0)).as_bytes())
            }
            Some(_) if self.status >= 500 => {
                text(out, A, "error.type", itoa::Buffer::new().format(self.status).as_bytes())
            }
            Some(_) => text(out, A, "error.type", b"aborted"),
        }
    }
}

/// `kittens.example:8080` in its parts. An address of IPv6 sheds its brackets.
fn host_and_port(host: &str) -> (&str, Option<u16>) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, None),
    };
    (bare(name), port)
}

/// A host's name or address, without the brackets that set IPv6 apart in a URL.
pub(crate) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn hosts_come_apart() {
        for (host, name, port) in [
            ("kittens.example", "kittens.example", None),
            ("kittens.example:8080", "kittens.example", Some(8080)),
            ("[::1]:80", "::1", Some(80)),
            ("[::1]", "::1", None),
            ("kittens:many", "kittens", None),
            ("", "", None),
        ] {
            assert_eq!(host_and_port(host), (name, port), "{host}");
        }
    }
}
