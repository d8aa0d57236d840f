//! Log records to Elasticsearch or OpenSearch, by `_bulk`: `create` with the id that the record was given when it
//! was enqueued, so that however often it is sent it is there once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::http::{Client, SettingsError};
use super::split::{self, Part, Sender};
use super::{Entry, Exporter, Verdict};

mod bulk;
pub mod disk;
mod reply;
mod settings;

pub use settings::Settings;

/// Only what is looked at comes back: half of the work of answering is the answer.
const PATH: &str = "/_bulk?filter_path=errors,items.*.status,items.*.error";

/// The exporter.
#[derive(Debug)]
pub struct Elasticsearch {
    client: Arc<Client>,
}

impl Elasticsearch {
    /// Checks the settings; connects to nothing.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Elasticsearch { client: Arc::new(Client::new(&settings.connection())?) })
    }

    /// Looks at the nodes' disks each `interval`.
    pub fn disk(&self, interval: Duration) -> impl Future<Output = ()> + Send + 'static {
        disk::watch(Arc::clone(&self.client), interval)
    }
}

impl Sender for Elasticsearch {
    async fn send(&self, batch: &[Entry]) -> Part {
        let mut body = match bulk::body(batch, self.client.gzip()) {
            Ok(body) => body,
            // Compressing into memory does not fail; if it does, the next try may not.
            Err(error) => return Part::Later { after: None, reason: format!("other: {error}") },
        };
        if body.records == 0 {
            return Part::Verdicts(body.verdicts(Vec::new()));
        }
        let bytes = Bytes::from(std::mem::take(&mut body.bytes));
        let reply = match self.client.post(PATH, "application/x-ndjson", bytes).await {
            Ok(reply) => reply,
            Err(error) => return Part::Later { after: None, reason: error.to_string() },
        };
        match reply.status.as_u16() {
            200..300 => match reply::verdicts(&reply.body, body.records) {
                Ok(verdicts) => Part::Verdicts(body.verdicts(verdicts)),
                Err(error) => Part::Later { after: None, reason: format!("reply: {error}") },
            },
            413 => Part::Objection(format!("413 too large for the back end: {}", reply.reason())),
            _ if reply.is_retryable() => Part::Later { after: reply.retry_after, reason: reply.reason() },
            _ => Part::Objection(reply.reason()),
        }
    }
}

impl Exporter for Elasticsearch {
    fn name(&self) -> &'static str {
        "elasticsearch"
    }

    async fn export(&self, batch: &[Entry]) -> Vec<Verdict> {
        split::send(batch, self).await
    }
}
