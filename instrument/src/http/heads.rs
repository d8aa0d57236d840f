//! The headers that are looked at in each request, and what is known of the usual ones by their names alone.

use crate::wire::header;
#[cfg(test)]
use http::HeaderMap;
use http::{HeaderName, HeaderValue};

/// The first value of each.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Heads<'a> {
    pub(crate) request_id: Option<&'a HeaderValue>,
    pub(crate) traceparent: Option<&'a HeaderValue>,
    pub(crate) tracestate: Option<&'a HeaderValue>,
    pub(crate) baggage: Option<&'a HeaderValue>,
    pub(crate) b3: Option<&'a HeaderValue>,
    pub(crate) b3_trace_id: Option<&'a HeaderValue>,
    pub(crate) b3_span_id: Option<&'a HeaderValue>,
    pub(crate) b3_sampled: Option<&'a HeaderValue>,
    pub(crate) b3_flags: Option<&'a HeaderValue>,
    pub(crate) content_length: Option<&'a HeaderValue>,
}

/// What a header's name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Host,
    Agent,
    /// It is no secret.
    Harmless,
    /// It has to be asked.
    Unknown,
}

impl<'a> Heads<'a> {
    #[cfg(test)]
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut heads = Heads::default();
        for (name, value) in headers {
            heads.note(name, value);
        }
        heads
    }

    /// Takes a header in, and tells of which kind it is.
    #[inline]
    pub(crate) fn note(&mut self, name: &HeaderName, value: &'a HeaderValue) -> Kind {
        let slot = match Key::of(name.as_str().as_bytes()) {
            Key::HOST => return Kind::Host,
            Key::USER_AGENT => return Kind::Agent,
            Key::CONTENT_LENGTH => &mut self.content_length,
            Key::ACCEPT
            | Key::ACCEPT_ENCODING
            | Key::ACCEPT_LANGUAGE
            | Key::CACHE_CONTROL
            | Key::CONNECTION
            | Key::CONTENT_TYPE
            | Key::ORIGIN
            | Key::REFERER
            | Key::FORWARDED_FOR => return Kind::Harmless,
            Key::REQUEST_ID => &mut self.request_id,
            Key::TRACEPARENT => &mut self.traceparent,
            Key::TRACESTATE => &mut self.tracestate,
            Key::BAGGAGE => &mut self.baggage,
            Key::B3 => &mut self.b3,
            Key::B3_TRACE_ID => &mut self.b3_trace_id,
            Key::B3_SPAN_ID => &mut self.b3_span_id,
            Key::B3_SAMPLED => &mut self.b3_sampled,
            Key::B3_FLAGS => &mut self.b3_flags,
            _ => return Kind::Unknown,
        };
        if slot.is_none() {
            *slot = Some(value);
        }
        Kind::Harmless
    }
}

/// A name of up to 16 bytes as three words: comparing two of them takes three instructions. A longer name is never equal to a
/// shorter one, and all that are looked for are short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    length: usize,
    first: u64,
    last: u64,
}

impl Key {
    const ACCEPT: Key = Key::of(b"accept");
    const ACCEPT_ENCODING: Key = Key::of(b"accept-encoding");
    const ACCEPT_LANGUAGE: Key = Key::of(b"accept-language");
    const B3: Key = Key::of(header::B3.as_bytes());
    const B3_FLAGS: Key = Key::of(header::B3_FLAGS.as_bytes());
    const B3_SAMPLED: Key = Key::of(header::B3_SAMPLED.as_bytes());
    const B3_SPAN_ID: Key = Key::of(header::B3_SPAN_ID.as_bytes());
    const B3_TRACE_ID: Key = Key::of(header::B3_TRACE_ID.as_bytes());
    const BAGGAGE: Key = Key::of(header::BAGGAGE.as_bytes());
    const CACHE_CONTROL: Key = Key::of(b"cache-control");
    const CONNECTION: Key = Key::of(b"connection");
    const CONTENT_LENGTH: Key = Key::of(b"content-length");
    const CONTENT_TYPE: Key = Key::of(b"content-type");
    const FORWARDED_FOR: Key = Key::of(b"x-forwarded-for");
    const HOST: Key = Key::of(b"host");
    const ORIGIN: Key = Key::of(b"origin");
    const REFERER: Key = Key::of(b"referer");
    const REQUEST_ID: Key = Key::of(header::REQUEST_ID.as_bytes());
    const TRACEPARENT: Key = Key::of(header::TRACEPARENT.as_bytes());
    const TRACESTATE: Key = Key::of(header::TRACESTATE.as_bytes());
    const USER_AGENT: Key = Key::of(b"user-agent");

    /// The first eight bytes and the last eight, which overlap; of less than eight, the first four and the last.
    #[inline]
    const fn of(name: &[u8]) -> Key {
        let length = name.len();
        if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            return Key { length, first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last) };
        }
        let first = match (name.first_chunk(), name.last_chunk(), name) {
            (Some(first), Some(last), _) => {
                (u32::from_le_bytes(*first) as u64) | (u32::from_le_bytes(*last) as u64) << 32
            }
            (_, _, [a]) => *a as u64,
            (_, _, [a, b]) => *a as u64 | (*b as u64) << 8,
            (_, _, [a, b, c]) => *a as u64 | (*b as u64) << 8 | (*c as u64) << 16,
            _ => 0,
        };
        Key { length, first, last: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::redact;
    use proptest::prelude::*;

    #[test]
    fn the_first_of_each_is_taken() {
        let mut headers = HeaderMap::new();
        headers.append("x-request-id", HeaderValue::from_static("one"));
        headers.append("x-request-id", HeaderValue::from_static("two"));
        headers.append("b3", HeaderValue::from_static("0"));
        headers.append("x-b3-flags", HeaderValue::from_static("1"));
        let heads = Heads::of(&headers);
        assert_eq!(heads.request_id.unwrap(), "one");
        assert_eq!(heads.b3.unwrap(), "0");
        assert_eq!(heads.b3_flags.unwrap(), "1");
        assert_eq!(heads.traceparent, None);
    }

    proptest! {
        /// What is told by the key alone is what the whole name says.
        #[test]
        fn no_other_name_passes_for_harmless(name in "[a-z0-9-]{1,20}|(authorization|cookie|x-api-key|x-request-ie|accept-encodinh|user-agenu)") {
            let name: HeaderName = name.parse().unwrap();
            let value = HeaderValue::from_static("");
            if Heads::default().note(&name, &value) == Kind::Harmless {
                prop_assert!(!redact::secret(name.as_str()), "{}", name);
            }
        }

        #[test]
        fn keys_of_up_to_sixteen_bytes_are_equal_where_names_are(a in "[ab]{0,16}", b in "[ab]{0,16}") {
            prop_assert_eq!(Key::of(a.as_bytes()) == Key::of(b.as_bytes()), a == b);
        }
    }
}
