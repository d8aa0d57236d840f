//! `sightline tap`: what passes through a lane right now, for a person who wants to see it.
//!
//! A tap stands between a lane and its queue and copies what the queue has taken, only while somebody watches, into a
//! ring that overwrites itself: a reader that is too slow is told how many records it missed, and the lane never
//! notices. The agent serves it as lines of JSON at `/-/tap/logs` and `/-/tap/spans`.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast;

use crate::logs::envelope::Envelope;
use crate::queue::{Broken, Full};
use crate::receive::sink::{Sink, Ticket, Wait};

pub mod client;
mod filter;
mod http;

pub use filter::{BadFilter, Filter};
pub use http::router;

/// Records that a reader may be behind before it misses some.
const BEHIND: usize = 1024;

/// One lane's tap.
#[derive(Debug, Clone)]
pub struct Tap {
    watchers: broadcast::Sender<Bytes>,
    document: fn(&[u8]) -> Option<&[u8]>,
}

impl Tap {
    /// For a lane whose payloads are [`Envelope`]s.
    pub fn logs() -> Self {
        Self::new(|payload| Envelope::decode(payload).map(|envelope| envelope.document))
    }

    /// For a lane whose payloads are spans in JSON.
    pub fn spans() -> Self {
        Self::new(|payload| Some(payload))
    }

    fn new(document: fn(&[u8]) -> Option<&[u8]>) -> Self {
        Tap { watchers: broadcast::channel(BEHIND).0, document }
    }

    /// `sink`, with everything that it takes shown to those who watch.
    pub fn over(&self, sink: Arc<dyn Sink>) -> Arc<dyn Sink> {
        Arc::new(Tapped { sink, tap: self.clone() })
    }

    fn watch(&self) -> broadcast::Receiver<Bytes> {
        self.watchers.subscribe()
    }

    fn show(&self, payloads: &[&[u8]]) {
        if self.watchers.receiver_count() == 0 {
            return;
        }
        // Of more than the ring holds only the last could be read.
        for payload in &payloads[payloads.len().saturating_sub(BEHIND)..] {
            if let Some(document) = (self.document)(payload) {
                // Fails when the last watcher has just gone.
                let _ = self.watchers.send(Bytes::copy_from_slice(document));
            }
        }
    }
}

struct Tapped {
    sink: Arc<dyn Sink>,
    tap: Tap,
}

impl Sink for Tapped {
    fn append(&self, payloads: &[&[u8]]) -> Result<Ticket, Full> {
        let ticket = self.sink.append(payloads)?;
        self.tap.show(payloads);
        Ok(ticket)
    }

    fn durable(&self, ticket: Ticket) -> Wait<'_, Result<(), Broken>> {
        self.sink.durable(ticket)
    }

    fn wait_room(&self) -> Wait<'_, ()> {
        self.sink.wait_room()
    }
}

#[cfg(test)]
mod tests {
    use super::{BEHIND, Tap};
    use crate::logs::envelope::Envelope;
    use crate::receive::sink::memory::Memory;
    use tokio::sync::broadcast::error::TryRecvError;

    fn payload(document: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Envelope { stream: "logs-a.app-test", id: "1", document: document.as_bytes() }.encode(&mut out);
        out
    }

    #[test]
    fn shows_what_was_taken_and_only_that() {
        let memory = Memory::with_bound(2);
        let tap = Tap::logs();
        let sink = tap.over(memory.clone());
        sink.append(&[&payload("{\"n\":0}")]).unwrap();
        let mut watcher = tap.watch();
        sink.append(&[&payload("{\"n\":1}")]).unwrap();
        assert!(sink.append(&[&payload("{\"n\":2}")]).is_err());
        assert_eq!(watcher.try_recv().unwrap(), "{\"n\":1}");
        assert_eq!(watcher.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(memory.len(), 2);
    }

    #[test]
    fn a_reader_that_does_not_read_costs_the_ring_and_no_more() {
        let tap = Tap::spans();
        let sink = tap.over(Memory::with_bound(usize::MAX));
        let mut watcher = tap.watch();
        for n in 0..3 * BEHIND {
            sink.append(&[n.to_string().as_bytes()]).unwrap();
        }
        assert_eq!(watcher.try_recv(), Err(TryRecvError::Lagged(2 * BEHIND as u64)));
        assert_eq!(watcher.try_recv().unwrap(), (2 * BEHIND).to_string());
    }
}
