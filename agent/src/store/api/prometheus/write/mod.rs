//! `/api/v1/write`: takes what others write by remote write 1.0 and 2.0, numbers and native histograms.
//!
//! 204 says that all of it is on the disk. 400 says what was not taken, by reason; the rest was, and sending it again
//! helps nobody. 429 and 503 ask to send it again.

mod native;
mod request;
#[cfg(test)]
mod tests;
mod wire;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use crate::store::metrics::{Store, WrittenSeries, samples_dropped, write_answered};
use request::{Item, Version};

/// The largest body, packed and unpacked.
const MAX_PACKED: usize = 8 << 20;
const MAX_BODY: usize = 16 << 20;
/// How long a body may take to arrive, and a request to wait for its turn.
const PATIENCE: Duration = Duration::from_secs(15);
/// Series that are written under one lock.
const PIECE: usize = 2000;
/// Reasons that an answer names.
const TOLD: usize = 5;

pub(super) async fn write(State(api): State<Api>, request: Request) -> Response {
    if !api.store.settings().remote_write {
        return refuse("invalid", StatusCode::NOT_FOUND, "store.metrics.remote_write is false");
    }
    let (parts, body) = request.into_parts();
    let version = match version(&parts.headers) {
        Ok(version) => version,
        Err(why) => return refuse("invalid", StatusCode::UNSUPPORTED_MEDIA_TYPE, &why),
    };
    // A few at a time, and none is read before it has its turn: what waits holds no memory.
    let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, api.writes.clone().acquire_owned()).await else {
        return refuse(
            "busy",
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests are being written; try again",
        );
    };
    let packed = match tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, MAX_PACKED)).await {
        Ok(Ok(packed)) => packed,
        Ok(Err(_)) => {
            let why = format!("the body is larger than {MAX_PACKED} bytes, or broken");
            return refuse("invalid", StatusCode::PAYLOAD_TOO_LARGE, &why);
        }
        Err(_) => return refuse("invalid", StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
    };
    let store = api.store.clone();
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let body = match unpacked(&packed) {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        drop(packed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        take(&store, version, &body, now).respond(version)
    });
    work.await.unwrap_or_else(|_| {
        refuse("failed", StatusCode::INTERNAL_SERVER_ERROR, "the write failed; the agent's log says more")
    })
}

/// Which message the headers announce.
fn version(headers: &HeaderMap) -> Result<Version, String> {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let encoding = text(header::CONTENT_ENCODING);
    if !encoding.is_empty() && encoding != "snappy" {
        return Err(format!("content-encoding {encoding:?} is not known, send snappy"));
    }
    let kind = text(header::CONTENT_TYPE);
    let mut words = kind.split(';').map(str::trim);
    // Asked for also because a page elsewhere cannot make a browser send it.
    if words.next() != Some("application/x-protobuf") {
        return Err(format!("content-type {kind:?} is not known, send application/x-protobuf"));
    }
    match words.find_map(|w| w.strip_prefix("proto=")).unwrap_or("prometheus.WriteRequest") {
        "prometheus.WriteRequest" => Ok(Version::One),
        "io.prometheus.write.v2.Request" => Ok(Version::Two),
        other => Err(format!("message {other:?} is not known, send prometheus.WriteRequest")),
    }
}

#[allow(clippy::result_large_err, reason = "the answer is given at once")]
fn unpacked(packed: &[u8]) -> Result<Vec<u8>, Response> {
    let broken = |_| refuse("invalid", StatusCode::BAD_REQUEST, "the body is not valid snappy");
    if snap::raw::decompress_len(packed).map_err(broken)? > MAX_BODY {
        let why = format!("the body is larger than {MAX_BODY} bytes when unpacked");
        return Err(refuse("invalid", StatusCode::PAYLOAD_TOO_LARGE, &why));
    }
    snap::raw::Decoder::new().decompress_vec(packed).map_err(broken)
}

/// What became of a request.
#[derive(Debug, Default)]
struct Outcome {
    floats: u64,
    histograms: u64,
    exemplars: u64,
    /// Samples that were not taken, and why, for the first few reasons.
    refused: u64,
    told: Vec<String>,
    cut: bool,
    failed: Option<String>,
}

/// Takes what a request holds. `now` is in milliseconds.
fn take(store: &Store, version: Version, body: &[u8], now: i64) -> Outcome {
    let mut out = Outcome::default();
    let mut piece: Vec<WrittenSeries<'_>> = Vec::new();
    let mut invalid = 0;
    let read = request::read(version, body, store.settings().native_buckets, &mut |item| {
        match item {
            Item::Described { name, kind, help } => store.describe(name, kind, &shortened(help)),
            Item::Invalid { samples, why } => {
                invalid += samples;
                out.refuse(samples, || why);
            }
            Item::Series { series, exemplars } => {
                for exemplar in exemplars {
                    out.exemplars += 1;
                    store.exemplar(series.name, &series.labels, exemplar);
                }
                piece.push(series);
                if piece.len() >= PIECE {
                    out.write(store, now, &std::mem::take(&mut piece))?;
                }
            }
        }
        Ok(())
    });
    samples_dropped("invalid", invalid);
    let ended = match read {
        Ok(Ok(())) => out.write(store, now, &piece),
        Ok(Err(_)) => {
            out.cut = true;
            out.write(store, now, &piece)
        }
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        tracing::warn!(%error, "written samples cannot be kept: their log cannot be written");
        out.failed = Some(error.to_string());
    }
    out
}

/// Help is a sentence.
fn shortened(help: &str) -> String {
    help.chars().take(500).collect()
}

impl Outcome {
    fn write(&mut self, store: &Store, now: i64, piece: &[WrittenSeries<'_>]) -> std::io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        let taken = store.write(now, piece)?;
        self.floats += taken.floats;
        self.histograms += taken.histograms;
        for r in taken.refused {
            self.refuse(r.samples, || {
                format!("{} ({} samples, first of {})", r.reason.meaning(), r.samples, r.series)
            });
        }
        Ok(())
    }

    fn refuse(&mut self, samples: u64, why: impl FnOnce() -> String) {
        self.refused += samples;
        if self.told.len() < TOLD {
            self.told.push(why());
        }
    }

    fn respond(self, version: Version) -> Response {
        let mut response = if let Some(error) = &self.failed {
            refuse("failed", StatusCode::SERVICE_UNAVAILABLE, &format!("the log cannot be written: {error}"))
        } else if self.cut {
            let why = "the message is cut or not the one that content-type names; series before that place were taken";
            refuse("invalid", StatusCode::BAD_REQUEST, why)
        } else if self.refused > 0 {
            let why = format!("{} samples were not taken: {}", self.refused, self.told.join("; "));
            refuse("partial", StatusCode::BAD_REQUEST, &why)
        } else {
            write_answered("ok");
            Response::builder().status(StatusCode::NO_CONTENT).body(Body::empty()).unwrap_or_default()
        };
        if version == Version::Two {
            for (name, count) in [
                ("x-prometheus-remote-write-samples-written", self.floats),
                ("x-prometheus-remote-write-histograms-written", self.histograms),
                ("x-prometheus-remote-write-exemplars-written", self.exemplars),
            ] {
                response.headers_mut().insert(HeaderName::from_static(name), count.into());
            }
        }
        response
    }
}

fn refuse(outcome: &'static str, status: StatusCode, why: &str) -> Response {
    write_answered(outcome);
    tracing::debug!(status = status.as_u16(), why, "a remote write was not taken whole");
    (status, format!("{why}\n")).into_response()
}
