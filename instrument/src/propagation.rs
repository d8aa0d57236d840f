//! Trace context in HTTP headers, read and written: W3C, B3 in one header, B3 in several.

use crate::http::heads::Heads;
use crate::ids::{SpanIds, hex16, hex32, parse_hex};
use crate::wire::header;
use http::{HeaderMap, HeaderName, HeaderValue};

const B3_TRACE_ID: HeaderName = HeaderName::from_static(header::B3_TRACE_ID);
const B3_SPAN_ID: HeaderName = HeaderName::from_static(header::B3_SPAN_ID);
const B3_SAMPLED: HeaderName = HeaderName::from_static(header::B3_SAMPLED);
const B3: HeaderName = HeaderName::from_static(header::B3);
const TRACEPARENT: HeaderName = HeaderName::from_static(header::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static(header::TRACESTATE);

/// Which headers are written; all are read, W3C first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Propagators {
    pub(crate) w3c: bool,
    pub(crate) b3: bool,
    pub(crate) b3_multi: bool,
    /// `baggage` goes on as it came. Not by default: it may hold what a service further on should not see.
    pub(crate) baggage: bool,
}

impl Default for Propagators {
    /// W3C and B3 in one header.
    fn default() -> Self {
        Propagators { w3c: true, b3: true, b3_multi: false, baggage: false }
    }
}

impl Propagators {
    const NONE: Propagators = Propagators { w3c: false, b3: false, b3_multi: false, baggage: false };

    /// Reads `OTEL_PROPAGATORS`; the second value lists the names not known.
    pub(crate) fn parse(list: &str) -> (Self, Vec<String>) {
        let (mut chosen, mut none, mut unknown) = (Propagators::NONE, false, Vec::new());
        for name in list.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            match name {
                "tracecontext" => chosen.w3c = true,
                "b3" => chosen.b3 = true,
                "b3multi" => chosen.b3_multi = true,
                "baggage" => chosen.baggage = true,
                "none" => none = true,
                other => unknown.push(other.to_owned()),
            }
        }
        // A list of which nothing is known says nothing.
        let nothing = !none && chosen == Propagators::NONE;
        (if nothing { Propagators::default() } else { chosen }, unknown)
    }
}

/// What the caller said about the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    /// `None` when the caller left the decision to us.
    pub(crate) sampled: Option<bool>,
    pub(crate) tracestate: Option<HeaderValue>,
}

/// Reads the caller's trace context; what is malformed is as if it were not there.
pub(crate) fn extract(heads: &Heads<'_>) -> Option<Parent> {
    if let Some(value) = heads.traceparent
        && let Some(mut parent) = traceparent(value.as_bytes())
    {
        parent.tracestate = heads.tracestate.cloned();
        return Some(parent);
    }
    if let Some(value) = heads.b3
        && let Some(parent) = b3_single(value.as_bytes())
    {
        return Some(parent);
    }
    let (trace_id, span_id) = (heads.b3_trace_id?, heads.b3_span_id?);
    let sampled = match heads.b3_flags.map(HeaderValue::as_bytes) {
        Some(b"1") => Some(true),
        _ => heads.b3_sampled.and_then(|v| b3_decision(v.as_bytes())),
    };
    b3_ids(trace_id.as_bytes(), span_id.as_bytes(), sampled)
}

fn traceparent(text: &[u8]) -> Option<Parent> {
    // version-traceid-parentid-flags; a later version may append fields after another dash.
    if text.len() < 55 || text[2] != b'-' || text[35] != b'-' || text[52] != b'-' {
        return None;
    }
    let version = parse_hex(&text[..2])?;
    if version == 0xff || (version == 0 && text.len() != 55) || (text.len() > 55 && text[55] != b'-') {
        return None;
    }
    if text.iter().take(55).any(u8::is_ascii_uppercase) {
        return None;
    }
    let trace_id = parse_hex(&text[3..35])?;
    let span_id = parse_hex(&text[36..52])? as u64;
    let flags = parse_hex(&text[53..55])?;
    (trace_id != 0 && span_id != 0).then_some(Parent {
        trace_id,
        span_id,
        sampled: Some(flags & 1 == 1),
        tracestate: None,
    })
}

fn b3_single(text: &[u8]) -> Option<Parent> {
    let mut parts = text.split(|b| *b == b'-');
    let (trace_id, span_id) = (parts.next()?, parts.next()?);
    b3_ids(trace_id, span_id, parts.next().and_then(b3_decision))
}

fn b3_decision(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"d" | b"true" => Some(true),
        b"0" | b"false" => Some(false),
        _ => None,
    }
}

fn b3_ids(trace_id: &[u8], span_id: &[u8], sampled: Option<bool>) -> Option<Parent> {
    if !matches!(trace_id.len(), 16 | 32) || span_id.len() != 16 {
        return None;
    }
    let (trace_id, span_id) = (parse_hex(trace_id)?, parse_hex(span_id)? as u64);
    (trace_id != 0 && span_id != 0).then_some(Parent { trace_id, span_id, sampled, tracestate: None })
}

/// Writes the ids for the next service, replacing what is there.
pub(crate) fn inject(
    which: Propagators,
    ids: SpanIds,
    tracestate: Option<&HeaderValue>,
    headers: &mut HeaderMap,
) {
    let (trace, span) = (hex32(ids.trace_id), hex16(ids.span_id));
    let flag = if ids.sampled { b'1' } else { b'0' };
    let put = |headers: &mut HeaderMap, name: HeaderName, text: &[u8]| {
        if let Ok(value) = HeaderValue::from_bytes(text) {
            headers.insert(name, value);
        }
    };
    if which.w3c {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..35].copy_from_slice(&trace);
        text[36..52].copy_from_slice(&span);
        text[54] = flag;
        put(headers, TRACEPARENT, &text);
        if let Some(state) = tracestate {
            headers.insert(TRACESTATE, state.clone());
        }
    }
    if which.b3 {
        let mut text = *b"00000000000000000000000000000000-0000000000000000-0";
        text[..32].copy_from_slice(&trace);
        text[33..49].copy_from_slice(&span);
        text[50] = flag;
        put(headers, B3, &text);
    }
    if which.b3_multi {
        put(headers, B3_TRACE_ID, &trace);
        put(headers, B3_SPAN_ID, &span);
        put(headers, B3_SAMPLED, &[flag]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(headers: &HeaderMap) -> Option<Parent> {
        extract(&Heads::of(headers))
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn w3c_is_read_and_preferred() {
        let parent = read(&headers(&[
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("tracestate", "vendor=1"),
            ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0"),
        ]))
        .unwrap();
        assert_eq!(parent.trace_id, 0x4bf92f3577b34da6a3ce929d0e0e4736);
        assert_eq!((parent.span_id, parent.sampled), (0x00f067aa0ba902b7, Some(true)));
        assert_eq!(parent.tracestate.unwrap(), "vendor=1");
    }

    #[test]
    fn b3_is_read_in_both_forms_and_both_widths() {
        let single = read(&headers(&[("b3", "64fe8b2a57d3eff7-e457b5a2e4d86bd1-d")])).unwrap();
        assert_eq!((single.trace_id, single.sampled), (0x64fe8b2a57d3eff7, Some(true)));
        let multi = read(&headers(&[
            ("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7"),
            ("x-b3-spanid", "e457b5a2e4d86bd1"),
            ("x-b3-sampled", "0"),
        ]))
        .unwrap();
        assert_eq!((multi.span_id, multi.sampled), (0xe457b5a2e4d86bd1, Some(false)));
        let deferred = read(&headers(&[("b3", "64fe8b2a57d3eff7-e457b5a2e4d86bd1")])).unwrap();
        assert_eq!(deferred.sampled, None);
    }

    #[test]
    fn malformed_context_is_as_if_absent() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert_eq!(read(&headers(&[("traceparent", text)])), None, "{text}");
        }
        assert_eq!(read(&headers(&[("b3", "0")])), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(trace_id in 1u128.., span_id in 1u64.., sampled: bool, which in 0usize..3) {
            let which = [
                Propagators { w3c: true, b3: false, b3_multi: false, baggage: false },
                Propagators { w3c: false, b3: true, b3_multi: false, baggage: false },
                Propagators { w3c: false, b3: false, b3_multi: true, baggage: false },
            ][which];
            let mut map = HeaderMap::new();
            inject(which, SpanIds { trace_id, span_id, sampled }, None, &mut map);
            let parent = read(&map).unwrap();
            prop_assert_eq!((parent.trace_id, parent.span_id, parent.sampled), (trace_id, span_id, Some(sampled)));
        }

        #[test]
        fn nothing_in_a_header_panics(bytes in proptest::collection::vec(32u8..127, 0..80)) {
            let mut map = HeaderMap::new();
            for name in [TRACEPARENT, B3, B3_TRACE_ID, B3_SPAN_ID] {
                map.insert(name, HeaderValue::from_bytes(&bytes).unwrap());
            }
            let _ = read(&map);
        }
    }
}
