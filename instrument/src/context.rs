//! What is known of a request while it is served: enough to write its record, its span and a panic report.

use crate::clock::Moment;
use crate::http::heads::Heads;
use crate::http::redact;
use crate::ids::RequestId;
use crate::json;
use crate::metrics::operation::OperationCells;
use crate::propagation::Parent;
use crate::wire::field;
use http::{HeaderMap, HeaderValue, Method, Uri};
use parking_lot::Mutex;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// Of HTTP, as OpenTelemetry writes it.
    pub(crate) version: Option<&'static str>,
    /// With secrets blanked.
    pub(crate) query: Option<String>,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) source: Option<IpAddr>,
    /// Bytes of the body as announced.
    pub(crate) size: Option<u64>,
    /// Whether the path can stand in a JSON string as it is.
    plain_path: bool,
    /// The request as compact JSON, already escaped for the inside of a JSON string.
    pub(crate) compact: Vec<u8>,
    pub(crate) handler: Arc<OperationCells>,
    pub(crate) route: Option<Arc<str>>,
    pub(crate) parent: Option<Parent>,
    pub(crate) baggage: Option<HeaderValue>,
    pub(crate) start: Moment,
    pub(crate) user: OnceLock<String>,
    /// The hook has reported a panic of this request.
    pub(crate) reported: AtomicBool,
    /// Members to add to the record.
    notes: Mutex<Vec<u8>>,
}

/// What `annotate` may add to one record.
const NOTES: usize = 8 << 10;

/// A request's facts as they come in.
pub(crate) struct Arrival<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) version: http::Version,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) heads: Heads<'a>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) with_headers: bool,
}

/// A version of HTTP as OpenTelemetry writes it.
pub(crate) fn version(version: http::Version) -> Option<&'static str> {
    match version {
        http::Version::HTTP_10 => Some("1.0"),
        http::Version::HTTP_11 => Some("1.1"),
        http::Version::HTTP_2 => Some("2"),
        http::Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

impl Request {
    pub(crate) fn new(
        arrival: Arrival<'_>,
        id: RequestId,
        handler: Arc<OperationCells>,
        route: Option<Arc<str>>,
        parent: Option<Parent>,
        start: Moment,
    ) -> Self {
        let Arrival { method, uri, version, headers, heads, source, with_headers } = arrival;
        let query = uri.query().map(redact::query);
        let plain_path = json::plain(uri.path());
        let shown = redact::Shown {
            method,
            uri,
            plain_path,
            host: heads.host,
            query: query.as_deref(),
            headers: with_headers.then_some(headers),
        };
        let mut compact = Vec::with_capacity(shown.size());
        shown.write(&mut compact);
        Request {
            id,
            method: method.clone(),
            uri: uri.clone(),
            version: self::version(version),
            query,
            host: heads.host.cloned(),
            user_agent: heads.user_agent.cloned(),
            source,
            size: heads.content_length.and_then(|v| v.to_str().ok()?.parse().ok()),
            plain_path,
            compact,
            handler,
            route,
            parent,
            baggage: heads.baggage.cloned(),
            start,
            user: OnceLock::new(),
            reported: AtomicBool::new(false),
            notes: Mutex::default(),
        }
    }

    pub(crate) fn note(&self, name: &str, value: &dyn Display) {
        use std::fmt::Write;
        let mut notes = self.notes.lock();
        if notes.len() + name.len() + 16 > NOTES {
            return;
        }
        notes.reserve(64);
        notes.extend_from_slice(b",\"labels.");
        json::escape(&mut notes, name);
        notes.extend_from_slice(b"\":\"");
        let left = NOTES.saturating_sub(notes.len());
        if redact::secret(name) {
            notes.extend_from_slice(redact::BLANK.as_bytes());
        } else {
            let _ = write!(json::Escaping { out: &mut notes, left }, "{value}");
        }
        notes.push(b'"');
    }

    pub(crate) fn write_notes(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.notes.lock());
    }

    /// The members that tell the request in each record of it.
    pub(crate) fn write_short(&self, out: &mut Vec<u8>) {
        // None of these needs escaping: they are a name's part, a token, and an id that was let in or made here.
        let id = self.id.as_bytes();
        json::fast!(out, field::HANDLER, plain self.handler.segment.as_bytes());
        json::fast!(out, field::METHOD, plain self.method.as_str().as_bytes());
        json::fast!(out, field::REQUEST_ID, plain id);
        json::fast!(out, field::HTTP_REQUEST_ID, plain id);
    }

    /// Up to `max` bytes of the path, as the inside of a JSON string.
    pub(crate) fn write_path(&self, out: &mut Vec<u8>, max: usize) {
        let path = json::cut(self.uri.path(), max);
        if self.plain_path {
            out.extend_from_slice(path.as_bytes());
        } else {
            json::escape(out, path);
        }
    }

    /// The members that tell where it went and where it came from.
    pub(crate) fn write_http(&self, out: &mut Vec<u8>) {
        json::fast!(out, field::HTTP_METHOD, plain self.method.as_str().as_bytes());
        json::fast!(out, field::URL_PATH);
        out.push(b'"');
        self.write_path(out, 2_048);
        out.push(b'"');
        if let Some(query) = &self.query {
            json::member(out, field::URL_QUERY, query);
        }
        if let Some(source) = self.source {
            self::source(out, source);
        }
        if let Some(user) = self.user.get() {
            json::member(out, field::USER_NAME, user);
        }
    }
}

/// An address as text, without the formatting machinery for the common kind.
#[derive(Debug)]
pub(crate) struct Address([u8; 40]);

impl Default for Address {
    fn default() -> Self {
        Address([0; 40])
    }
}

impl Address {
    pub(crate) fn of(&mut self, address: IpAddr) -> &[u8] {
        use std::io::Write;
        let length = match address {
            IpAddr::V4(v4) => {
                let mut at = 0;
                for octet in v4.octets() {
                    if octet > 99 {
                        self.0[at] = b'0' + octet / 100;
                        at += 1;
                    }
                    if octet > 9 {
                        self.0[at] = b'0' + octet / 10 % 10;
                        at += 1;
                    }
                    self.0[at] = b'0' + octet % 10;
                    self.0[at + 1] = b'.';
                    at += 2;
                }
                at - 1
            }
            IpAddr::V6(v6) => {
                let mut rest = &mut self.0[..];
                let _ = write!(rest, "{v6}");
                let left = rest.len();
                self.0.len() - left
            }
        };
        &self.0[..length]
    }
}

/// `,"source.ip":"…"`
pub(crate) fn source(out: &mut Vec<u8>, address: IpAddr) {
    json::fast!(out, field::SOURCE_IP, plain Address::default().of(address));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn addresses_are_spelled_as_the_standard_library_does(v4 in any::<u32>(), v6 in any::<u128>()) {
            for ip in [IpAddr::V4(v4.into()), IpAddr::V6(v6.into())] {
                let mut address = Address::default();
                let expected = ip.to_string();
                prop_assert_eq!(address.of(ip), expected.as_bytes());
            }
        }
    }
}
