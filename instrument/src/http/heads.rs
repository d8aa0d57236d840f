//! The headers that are looked at in each request, found in one pass.

use crate::wire::header;
use http::{HeaderMap, HeaderValue};

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
    pub(crate) host: Option<&'a HeaderValue>,
    pub(crate) user_agent: Option<&'a HeaderValue>,
    pub(crate) content_length: Option<&'a HeaderValue>,
}

impl<'a> Heads<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut heads = Heads::default();
        for (name, value) in headers {
            let slot = match name.as_str() {
                "host" => &mut heads.host,
                "user-agent" => &mut heads.user_agent,
                "content-length" => &mut heads.content_length,
                header::REQUEST_ID => &mut heads.request_id,
                header::TRACEPARENT => &mut heads.traceparent,
                header::TRACESTATE => &mut heads.tracestate,
                header::BAGGAGE => &mut heads.baggage,
                header::B3 => &mut heads.b3,
                header::B3_TRACE_ID => &mut heads.b3_trace_id,
                header::B3_SPAN_ID => &mut heads.b3_span_id,
                header::B3_SAMPLED => &mut heads.b3_sampled,
                header::B3_FLAGS => &mut heads.b3_flags,
                _ => continue,
            };
            if slot.is_none() {
                *slot = Some(value);
            }
        }
        heads
    }
}
