//! Writes one record: the members that all records share, then what it is about.

use crate::clock;
use crate::current::Scope;
use crate::identity::Identity;
use crate::ids::{SpanIds, hex16, hex32};
use crate::json;
use crate::wire::field;
use std::cell::RefCell;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends this thread's buffer. A record written while another is being written (by a `Display` that logs) gets one of
/// its own.
pub(crate) fn with_buffer<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut buffer = BUFFER.try_with(RefCell::take).unwrap_or_default();
    buffer.clear();
    let result = f(&mut buffer);
    // A giant record must not keep its memory for the life of the thread.
    if buffer.capacity() <= 256 << 10 {
        let _ = BUFFER.try_with(|b| b.replace(buffer));
    }
    result
}

/// Opens a record: time, level, who, kind.
pub(crate) fn begin(out: &mut Vec<u8>, unix_ns: u64, level: &str, kind: &str, identity: &Identity) {
    out.extend_from_slice(b"{\"@timestamp\":\"");
    clock::rfc3339(out, unix_ns);
    out.extend_from_slice(b"\",\"log.level\":\"");
    out.extend_from_slice(level.as_bytes());
    out.push(b'"');
    // Up to the dataset's last part.
    out.extend_from_slice(&identity.log_members);
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
}

/// The ids of the trace.
pub(crate) fn trace(out: &mut Vec<u8>, ids: SpanIds) {
    json::fast!(out, field::TRACE_ID, plain & hex32(ids.trace_id));
    json::fast!(out, field::SPAN_ID, plain & hex16(ids.span_id));
}

/// What joins a record to its request.
pub(crate) fn correlate(out: &mut Vec<u8>, scope: Option<&Scope>, ids: Option<SpanIds>) {
    if let Some(request) = scope.and_then(|s| s.request.as_ref()) {
        request.write_short(out);
    }
    if let Some(ids) = ids.or_else(|| scope.and_then(|s| s.ids)) {
        trace(out, ids);
    }
}

/// Closes a record.
pub(crate) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}
