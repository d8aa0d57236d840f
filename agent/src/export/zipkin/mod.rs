//! Spans to Zipkin, or to whatever takes Zipkin's v2 JSON: arrays of the objects that the queue holds.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::http::{Client, SettingsError};
use super::split::{self, Part, Sender};
use super::{Entry, Exporter, Verdict};

mod settings;

pub use settings::Settings;

/// The exporter.
#[derive(Debug)]
pub struct Zipkin {
    client: Client,
    path: String,
}

impl Zipkin {
    /// Checks the settings; connects to nothing.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Zipkin { client: Client::new(&settings.connection())?, path: settings.path.clone() })
    }
}

impl Sender for Zipkin {
    async fn send(&self, batch: &[Entry]) -> Part {
        let body = match body(batch, self.client.gzip()) {
            Ok(body) => body,
            Err(error) => return Part::Later { after: None, reason: format!("other: {error}") },
        };
        match self.client.post(&self.path, "application/json", body).await {
            Ok(reply) if reply.status.is_success() => Part::Verdicts(vec![Verdict::Done; batch.len()]),
            Ok(reply) if reply.is_retryable() => {
                Part::Later { after: reply.retry_after, reason: reply.reason() }
            }
            Ok(reply) => Part::Objection(reply.reason()),
            Err(error) => Part::Later { after: None, reason: error.to_string() },
        }
    }
}

impl Exporter for Zipkin {
    fn name(&self) -> &'static str {
        "zipkin"
    }

    async fn export(&self, batch: &[Entry]) -> Vec<Verdict> {
        split::send(batch, self).await
    }
}

/// `[span,span,…]`, compressed as it grows if `gzip` says so.
fn body(batch: &[Entry], gzip: bool) -> io::Result<Bytes> {
    let size: usize = batch.iter().map(|entry| entry.payload.len() + 1).sum();
    if gzip {
        let mut out = GzEncoder::new(Vec::with_capacity(size / 6), Compression::fast());
        write(batch, &mut out)?;
        Ok(out.finish()?.into())
    } else {
        let mut out = Vec::with_capacity(size + 1);
        write(batch, &mut out)?;
        Ok(out.into())
    }
}

fn write(batch: &[Entry], out: &mut impl Write) -> io::Result<()> {
    for (place, entry) in batch.iter().enumerate() {
        out.write_all(if place == 0 { b"[" } else { b"," })?;
        out.write_all(&entry.payload)?;
    }
    out.write_all(b"]")
}

#[cfg(test)]
mod tests {
    use super::body;
    use crate::export::Entry;

    #[test]
    fn joins_spans_into_one_array() {
        let entry = |text: &'static str| Entry { seq: 0, payload: text.as_bytes().into() };
        let batch = [entry(r#"{"id":"a"}"#), entry(r#"{"id":"b"}"#)];
        assert_eq!(body(&batch, false).unwrap(), br#"[{"id":"a"},{"id":"b"}]"#.as_slice());
        assert_eq!(body(&batch[..1], false).unwrap(), br#"[{"id":"a"}]"#.as_slice());
        assert_eq!(body(&batch, true).unwrap()[..2], [0x1f, 0x8b]);
    }
}
