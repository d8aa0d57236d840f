//! The agent's side: `GET /-/tap/logs` and `/-/tap/spans`, one JSON object a line until the reader goes or the agent
//! stops. What a slow reader missed is a line `{"sightline.skipped":N}`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{StatusCode, header};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

use super::{Filter, Tap};
use crate::receive::listen::stopped;

/// Readers at once, of all lanes.
const MOST: usize = 16;
/// Bytes that are sent together.
const CHUNK: usize = 32 * 1024;

/// The routes; `stop` ends the streams.
pub fn router(logs: Tap, spans: Tap, stop: watch::Receiver<bool>) -> Router {
    let slots = Arc::new(Semaphore::new(MOST));
    let route = |tap: Tap| {
        let (slots, stop) = (Arc::clone(&slots), stop.clone());
        get(move |query: RawQuery| async move { open(&tap, query, slots, stop) })
    };
    Router::new().route("/-/tap/logs", route(logs)).route("/-/tap/spans", route(spans))
}

struct Reader {
    records: broadcast::Receiver<Bytes>,
    filter: Filter,
    stop: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
}

fn open(
    tap: &Tap,
    RawQuery(query): RawQuery,
    slots: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
) -> Response {
    let conditions: Vec<String> = pairs(query.as_deref().unwrap_or_default())
        .filter(|(key, _)| key == "filter")
        .map(|(_, v)| v)
        .collect();
    let filter = match Filter::parse(conditions.iter().map(String::as_str)) {
        Ok(filter) => filter,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let Ok(slot) = slots.try_acquire_owned() else {
        let text = "too many taps are open; close one and try again\n";
        return (StatusCode::TOO_MANY_REQUESTS, text).into_response();
    };
    let reader = Reader { records: tap.watch(), filter, stop, _slot: slot };
    let pieces = stream::unfold(reader, |mut reader| async move {
        let piece = reader.next().await?;
        Some((Ok::<_, Infallible>(piece), reader))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pieces)).into_response()
}

impl Reader {
    /// The next lines; `None` when the agent stops.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        while out.is_empty() {
            tokio::select! {
                record = self.records.recv() => match record {
                    Ok(record) => self.write(&record, &mut out),
                    Err(RecvError::Lagged(missed)) => skipped(missed, &mut out),
                    Err(RecvError::Closed) => return None,
                },
                () = stopped(&mut self.stop) => return None,
            }
        }
        while out.len() < CHUNK {
            match self.records.try_recv() {
                Ok(record) => self.write(&record, &mut out),
                Err(TryRecvError::Lagged(missed)) => skipped(missed, &mut out),
                Err(_) => break,
            }
        }
        Some(out.freeze())
    }

    fn write(&self, record: &[u8], out: &mut BytesMut) {
        if self.filter.matches(record) {
            // A record may have been laid out over several lines by its sender.
            out.extend(record.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
            out.extend_from_slice(b"\n");
        }
    }
}

fn skipped(missed: u64, out: &mut BytesMut) {
    out.extend_from_slice(format!("{{\"sightline.skipped\":{missed}}}\n").as_bytes());
}

/// The pairs of a query string, decoded.
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((decode(key), decode(value)))
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Reader, Tap, decode, pairs};
    use crate::receive::sink::memory::Memory;
    use crate::tap::client::encode;
    use std::sync::Arc;
    use tokio::sync::{Semaphore, watch};

    #[tokio::test]
    async fn lines_come_filtered_with_word_of_what_was_missed_and_end_with_the_agent() {
        let tap = Tap::spans();
        let sink = tap.over(Memory::with_bound(usize::MAX));
        let (stop, stopped) = watch::channel(false);
        let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let filter = super::Filter::parse(["n=1*"]).unwrap();
        let mut reader = Reader { records: tap.watch(), filter, stop: stopped, _slot: slot };
        for n in 0..12 {
            sink.append(&[format!("{{\n\"n\":{n}}}").as_bytes()]).unwrap();
        }
        assert_eq!(reader.next().await.unwrap(), "{ \"n\":1}\n{ \"n\":10}\n{ \"n\":11}\n");
        for n in 0..super::super::BEHIND + 5 {
            sink.append(&[format!("{{\"n\":{}}}", n + 20_000).as_bytes()]).unwrap();
        }
        assert_eq!(reader.next().await.unwrap(), "{\"sightline.skipped\":5}\n");
        stop.send(true).unwrap();
        assert_eq!(reader.next().await, None);
    }

    #[test]
    fn reads_queries_as_the_client_writes_them() {
        let text = "message=a b&c=100% ü+";
        let query = format!("x=1&filter={}", encode(text));
        assert_eq!(pairs(&query).nth(1), Some(("filter".into(), text.into())));
        assert_eq!(decode("a+b%20c%zz%"), "a b c%zz%");
    }
}
