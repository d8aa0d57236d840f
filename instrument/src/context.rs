//! What is known of a request while it is served: enough to write its record, its span and a panic report.

use crate::clock::Moment;
use crate::http::redact;
use crate::ids::RequestId;
use crate::json;
use crate::metrics::operation::OperationCells;
use crate::propagation::Parent;
use crate::wire::field;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
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
    /// The request as compact JSON, already escaped for the inside of a JSON string.
    pub(crate) compact: Vec<u8>,
    pub(crate) handler: Arc<OperationCells>,
    pub(crate) route: Option<Arc<str>>,
    pub(crate) parent: Option<Parent>,
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
    pub(crate) source: Option<IpAddr>,
    pub(crate) with_headers: bool,
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
        let Arrival { method, uri, version, headers, source, with_headers } = arrival;
        let query = uri.query().map(redact::query);
        let mut compact = Vec::with_capacity(512);
        let host = headers.get(header::HOST);
        redact::compact(&mut compact, method, uri, host, query.as_deref(), with_headers.then_some(headers));
        Request {
            id,
            method: method.clone(),
            uri: uri.clone(),
            version: match version {
                http::Version::HTTP_10 => Some("1.0"),
                http::Version::HTTP_11 => Some("1.1"),
                http::Version::HTTP_2 => Some("2"),
                http::Version::HTTP_3 => Some("3"),
                _ => None,
            },
            query,
            host: host.cloned(),
            user_agent: headers.get(header::USER_AGENT).cloned(),
            source,
            size: headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok()),
            compact,
            handler,
            route,
            parent,
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
        json::member(out, field::HANDLER, &self.handler.segment);
        json::member(out, field::METHOD, self.method.as_str());
        json::key(out, field::REQUEST_ID);
        self.write_id(out);
        json::key(out, field::HTTP_REQUEST_ID);
        self.write_id(out);
    }

    /// A request id consists of characters that need no escaping.
    fn write_id(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.id.as_str().as_bytes());
        out.push(b'"');
    }

    /// The members that tell where it went and where it came from.
    pub(crate) fn write_http(&self, out: &mut Vec<u8>) {
        json::member(out, field::HTTP_METHOD, self.method.as_str());
        json::member(out, field::URL_PATH, json::cut(self.uri.path(), 2_048));
        if let Some(query) = &self.query {
            json::member(out, field::URL_QUERY, query);
        }
        if let Some(source) = self.source {
            json::key(out, field::SOURCE_IP);
            out.push(b'"');
            address(out, source);
            out.push(b'"');
        }
        if let Some(user) = self.user.get() {
            json::member(out, field::USER_NAME, user);
        }
    }
}

/// An address as text, without the formatting machinery for the common kind.
pub(crate) fn address(out: &mut Vec<u8>, address: IpAddr) {
    use std::io::Write;
    match address {
        IpAddr::V4(v4) => {
            for (i, octet) in v4.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                json::int(out, octet);
            }
        }
        IpAddr::V6(v6) => {
            let _ = write!(out, "{v6}");
        }
    }
}
