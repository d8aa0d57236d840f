//! What is known of a request while it is served: enough to write its record, its span and a panic report.

use crate::clock::Moment;
use crate::http::compact::Texts;
use crate::http::redact;
use crate::ids::RequestId;
use crate::json;
use crate::metrics::registry::Route;
use crate::propagation::Parent;
use crate::wire::field;
use http::uri::Scheme;
use http::{HeaderValue, Method, Version};
use parking_lot::Mutex;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) method: Method,
    pub(crate) scheme: Option<Scheme>,
    /// Of HTTP.
    pub(crate) version: Version,
    pub(crate) texts: Texts,
    pub(crate) source: Option<IpAddr>,
    /// Bytes of the body as announced.
    pub(crate) size: Option<u64>,
    pub(crate) route: Arc<Route>,
    pub(crate) parent: Option<Parent>,
    pub(crate) baggage: Option<HeaderValue>,
    pub(crate) start: Moment,
    pub(crate) user: OnceLock<String>,
    /// The hook has reported a panic of this request.
    pub(crate) reported: AtomicBool,
    /// Members to add to the record.
    pub(crate) notes: Mutex<Vec<u8>>,
}

/// A version of HTTP as OpenTelemetry writes it.
pub(crate) fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// What `annotate` may add to one record.
const NOTES: usize = 8 << 10;

impl Request {
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
        json::fast!(out, field::HANDLER, plain self.route.cells.segment.as_bytes());
        json::fast!(out, field::METHOD, plain self.method.as_str().as_bytes());
        json::fast!(out, field::REQUEST_ID, plain id);
        json::fast!(out, field::HTTP_REQUEST_ID, plain id);
    }

    /// The members that tell where it went and where it came from.
    pub(crate) fn write_http(&self, out: &mut Vec<u8>) {
        json::fast!(out, field::HTTP_METHOD, plain self.method.as_str().as_bytes());
        json::fast!(out, field::URL_PATH);
        out.push(b'"');
        self.texts.path().write(out, usize::MAX);
        out.push(b'"');
        if let Some(query) = self.texts.query() {
            json::fast!(out, field::URL_QUERY);
            out.push(b'"');
            query.write(out, usize::MAX);
            out.push(b'"');
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
