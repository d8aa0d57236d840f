//! The bounded queue of finished spans: those of ours as they will be sent, those of the service's own making as the SDK
//! has them.

use crate::drops::Drops;
use crate::pipe::Pipe;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) ours: Pipe,
    #[cfg(feature = "otlp")]
    theirs: parking_lot::Mutex<Vec<opentelemetry_sdk::trace::SpanData>>,
    /// Whether anyone takes them.
    pub(crate) open: bool,
}

impl Queue {
    /// At most `limit` of both kinds.
    pub(crate) fn new(limit: usize, open: bool, drops: Arc<Drops>) -> Self {
        Queue {
            ours: Pipe::of_spans(limit, drops),
            #[cfg(feature = "otlp")]
            theirs: parking_lot::Mutex::default(),
            open,
        }
    }

    /// Takes a span as a field of `ScopeSpans`.
    pub(crate) fn push(&self, span: &[u8]) {
        if self.open {
            self.ours.push(span);
        }
    }

    #[cfg(feature = "otlp")]
    pub(crate) fn push_theirs(&self, span: opentelemetry_sdk::trace::SpanData) {
        if self.open && self.ours.admit(1).is_some() {
            self.theirs.lock().push(span);
        }
    }

    /// Appends those of the service's own making; they stay in the account of `ours` until they are settled there.
    #[cfg(feature = "otlp")]
    pub(crate) fn take_theirs(&self, into: &mut Vec<opentelemetry_sdk::trace::SpanData>) {
        into.append(&mut self.theirs.lock());
    }
}
