//! One request from its head to the end of its answer: exactly one outcome, one record, one span.

use crate::context::Request;
use crate::current::Scope;
use crate::ids::{RequestId, SpanIds};
use crate::instrument::Instrument;
use crate::json;
use crate::logs::record;
use crate::traces::span::{Attributes, Finished, Role};
use crate::wire::{field, kind};
use http::{HeaderMap, HeaderName};
use std::sync::Arc;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its answer went out whole.
    Complete,
    /// The client went away first.
    HungUp,
    /// The handler, or the body, panicked.
    Panicked,
    /// The service or the body gave an error instead.
    Broken,
}

/// A request being answered. Whatever becomes of it, dropping this finishes it.
#[derive(Debug)]
pub(crate) struct Active {
    /// What it is, for as long as it is not finished.
    pub(crate) scope: Option<Arc<Scope>>,
    /// 0 until the head is known.
    pub(crate) status: u16,
    /// Bytes of the answer's body so far.
    pub(crate) sent: u64,
    /// What a gRPC service said in place of a status.
    pub(crate) grpc: Option<u16>,
    /// Nothing more is to come than what was sent.
    pub(crate) nothing_left: bool,
}

/// What nginx calls a request whose client closed it; no status was sent.
const CLIENT_CLOSED: u16 = 499;

/// The codes of gRPC that are a server's own fault, as 5xx are: unknown, deadline exceeded, internal, unavailable, data loss.
const GRPC_FAULTS: [u16; 5] = [2, 4, 13, 14, 15];
const GRPC_UNIMPLEMENTED: u16 = 12;
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

impl Active {
    pub(crate) fn new(scope: Arc<Scope>) -> Self {
        Active { scope: Some(scope), status: 0, sent: 0, grpc: None, nothing_left: false }
    }

    /// Notes what a gRPC service says in its head or its trailers.
    pub(crate) fn note_grpc(&mut self, fields: &HeaderMap) {
        // Of a handful, each is compared faster than one is looked up.
        if let Some((_, status)) = fields.iter().find(|(name, _)| **name == GRPC_STATUS) {
            // What is no number is as bad as unknown.
            self.grpc = Some(status.to_str().ok().and_then(|s| s.parse().ok()).unwrap_or(2));
        }
    }

    pub(crate) fn id(&self) -> Option<&RequestId> {
        Some(&self.scope.as_ref()?.request.as_ref()?.id)
    }

    /// Counts, records and sends how it went; a second time nothing.
    pub(crate) fn finish(&mut self, end: End) {
        let Some(scope) = self.scope.take() else { return };
        let (Some(request), Some(ids)) = (&scope.request, scope.ids) else { return };
        let instrument = &scope.instrument;
        let status = match (self.status, end) {
            (0, End::HungUp) => CLIENT_CLOSED,
            (0, _) => 500,
            (status, _) => status,
        };
        let took = instrument.0.clock.mono_ns().saturating_sub(request.start.mono_ns);
        let handler = &request.route.cells;
        let good = end == End::Complete && status < 400 && self.grpc.unwrap_or(0) == 0;
        match end {
            End::Panicked => handler.panic.increment(1),
            _ if good => handler.success.increment(1),
            _ => handler.failed.increment(1),
        }
        if let Some(timing) = &handler.timing.0 {
            timing.record_ns(took);
        }
        let server_error = status >= 500
            || matches!(end, End::Panicked | End::Broken)
            || self.grpc.is_some_and(|code| GRPC_FAULTS.contains(&code));
        instrument.0.health.load.end(took, server_error);
        let ended =
            Ended { request, ids, end, status, took, grpc: self.grpc, sent: self.sent, good, server_error };
        if instrument.settings().access_log {
            ended.record(instrument);
        }
        if ids.sampled && instrument.0.spans.open {
            ended.span(instrument);
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let end = if self.status != 0 && self.nothing_left { End::Complete } else { End::HungUp };
        self.finish(end);
    }
}

/// A request that was answered, or not.
struct Ended<'a> {
    request: &'a Request,
    ids: SpanIds,
    end: End,
    status: u16,
    grpc: Option<u16>,
    /// Nanoseconds.
    took: u64,
    /// Bytes of the answer's body.
    sent: u64,
    good: bool,
    server_error: bool,
}

impl Ended<'_> {
    fn span(&self, instrument: &Instrument) {
        let error = match self.end {
            End::Panicked => Some("panic"),
            End::Broken => Some("the answer broke off"),
            End::HungUp => Some("the client went away"),
            // Nobody hears of a method that is not there, but the client that made it up; its trace shows it.
            End::Complete if self.server_error || self.grpc == Some(GRPC_UNIMPLEMENTED) => Some(""),
            End::Complete => None,
        };
        let parent = self.request.parent.as_ref();
        Finished {
            ids: self.ids,
            parent: parent.map_or(0, |p| p.span_id),
            parent_remote: parent.is_some(),
            role: Role::Server,
            start_ns: self.request.start.unix_ns,
            duration_ns: self.took,
            error,
            operation: &self.request.route.cells,
            request: Some(self.request),
            method: None,
            // No status was sent to a client that had gone.
            status: if self.status == CLIENT_CLOSED { 0 } else { self.status },
            grpc: self.grpc,
            response_bytes: self.sent,
            attributes: &Attributes::NONE,
        }
        .send(instrument);
    }

    fn record(&self, instrument: &Instrument) {
        let request = self.request;
        let slow = u128::from(self.took) >= instrument.settings().slow_request.as_nanos();
        let level = match () {
            () if self.server_error => "error",
            () if slow => "warn",
            () => "info",
        };
        let mut digits = itoa::Buffer::new();
        let status = digits.format(self.status).as_bytes();
        record::with_buffer(|out| {
            let at = request.start.unix_ns + self.took;
            record::begin(out, at, level, kind::APP, &instrument.0.identity);
            self.message(out, status, slow);
            request.write_short(out);
            json::fast!(out, field::STATUS);
            out.extend_from_slice(status);
            json::fast!(out, field::HTTP_STATUS);
            out.extend_from_slice(status);
            record::trace(out, self.ids);
            request.write_http(out);
            let outcome: &[u8] = if self.good { b"success" } else { b"failure" };
            json::fast!(out, field::EVENT_CATEGORY, plain b"web");
            json::fast!(out, field::EVENT_OUTCOME, plain outcome);
            json::fast!(out, field::EVENT_DURATION, int self.took);
            if let Some(size) = request.size {
                json::fast!(out, "http.request.body.bytes", int size);
            }
            json::fast!(out, "http.response.body.bytes", int self.sent);
            if let Some(agent) = request.texts.agent() {
                json::fast!(out, "user_agent.original");
                out.push(b'"');
                agent.write(out, 256);
                out.push(b'"');
            }
            match self.end {
                End::HungUp => json::member(out, "labels.ended", "client went away"),
                End::Panicked => json::member(out, "labels.ended", "panic"),
                End::Broken => json::member(out, "labels.ended", "broke off"),
                End::Complete => {}
            }
            if slow {
                out.extend_from_slice(b",\"labels.slow\":true");
            }
            request.write_notes(out);
            record::end(out);
            instrument.0.logs.push(out);
        });
    }

    /// `POST /helloworld 200 0.75ms {"Method":"POST",…}`
    fn message(&self, out: &mut Vec<u8>, status: &[u8], slow: bool) {
        let request = self.request;
        out.extend_from_slice(b",\"message\":\"");
        if slow {
            out.extend_from_slice(b"slow: ");
        }
        out.extend_from_slice(request.method.as_str().as_bytes());
        out.push(b' ');
        request.texts.path().write(out, 256);
        out.push(b' ');
        out.extend_from_slice(status);
        out.push(b' ');
        millis(out, self.took);
        out.extend_from_slice(b"ms ");
        out.extend_from_slice(request.texts.compact());
        out.push(b'"');
    }
}

/// Milliseconds down to a microsecond: `event.duration` has the rest.
fn millis(out: &mut Vec<u8>, ns: u64) {
    json::int(out, ns / 1_000_000);
    let micros = (ns / 1_000 % 1_000) as u16;
    let digits = [micros / 100, micros / 10 % 10, micros % 10].map(|d| b'0' + d as u8);
    // Without the zeros that say nothing.
    if let Some(last) = digits.iter().rposition(|d| *d != b'0') {
        out.push(b'.');
        out.extend_from_slice(&digits[..=last]);
    }
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn milliseconds_are_short() {
        for (ns, text) in
            [(0, "0"), (1_999, "0.001"), (750_000, "0.75"), (1_000_000, "1"), (12_034_500_000, "12034.5")]
        {
            let mut out = Vec::new();
            millis(&mut out, ns);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
