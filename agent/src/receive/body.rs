//! Reading the body of a request within its bounds: size, time, memory of all requests together, and the size after
//! decompression.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;

use super::settings::Limits;

/// Why a body was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than the limit, before or after decompression.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// It did not arrive in time.
    #[error("the body did not arrive in {0:?}")]
    Slow(Duration),
    /// The peer went away or broke the framing.
    #[error("the body could not be read: {0}")]
    Broken(String),
    /// An encoding that is not gzip, deflate or identity.
    #[error("content-encoding '{0}' is not known, send gzip, deflate or identity")]
    Encoding(String),
    /// Not what the encoding promises.
    #[error("the body is not valid {0}")]
    Corrupt(&'static str),
    /// The bodies being read hold as much as they may.
    #[error("too many requests are being read, try again")]
    Busy,
}

impl BodyError {
    /// The status to answer with.
    pub fn status(&self) -> StatusCode {
        match self {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken(_) | BodyError::Corrupt(_) => StatusCode::BAD_REQUEST,
            BodyError::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyError::Busy => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// A bounded word for counters.
    pub fn reason(&self) -> &'static str {
        match self {
            BodyError::TooLarge(_) => "body_too_large",
            BodyError::Slow(_) => "body_timeout",
            BodyError::Broken(_) => "body_broken",
            BodyError::Encoding(_) => "encoding",
            BodyError::Corrupt(_) => "body_corrupt",
            BodyError::Busy => "busy",
        }
    }
}

/// The memory that all bodies of a receiver may hold together.
#[derive(Debug, Clone)]
pub struct Budget {
    held: Arc<AtomicU64>,
    most: u64,
}

impl Budget {
    /// At most `most` bytes at once.
    pub fn new(most: u64) -> Self {
        Budget { held: Arc::new(AtomicU64::new(0)), most }
    }

    /// Holds nothing yet.
    pub fn share(&self) -> Held {
        Held { budget: self.clone(), bytes: 0 }
    }

    fn take(&self, bytes: u64) -> Result<(), BodyError> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.most {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(BodyError::Busy);
        }
        Ok(())
    }
}

/// A body, and what it holds of the budget until it is dropped.
#[derive(Debug)]
pub struct Payload {
    /// The body, decompressed.
    pub bytes: Bytes,
    held: Held,
}

/// What one peer holds of a budget, until it is dropped.
#[derive(Debug)]
pub struct Held {
    budget: Budget,
    bytes: u64,
}

impl Held {
    /// Holds exactly `bytes` from now on; if that is refused, what it held before.
    ///
    /// # Errors
    /// [`BodyError::Busy`].
    pub fn set(&mut self, bytes: usize) -> Result<(), BodyError> {
        let bytes = bytes as u64;
        if bytes > self.bytes {
            self.budget.take(bytes - self.bytes)?;
        } else {
            self.budget.held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }

    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.budget.take(bytes as u64)?;
        self.bytes += bytes as u64;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads a body whole and undoes its `Content-Encoding`.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
    budget: &Budget,
) -> Result<Payload, BodyError> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|v| v.as_bytes());
    raw(body, limits.size.as_usize(), limits, budget).await?.unpacked(encoding, limits).await
}

/// Reads a body of at most `most` bytes as it stands on the wire.
pub async fn raw(body: Body, most: usize, limits: &Limits, budget: &Budget) -> Result<Payload, BodyError> {
    let mut held = budget.share();
    let deadline = limits.body.0;
    let bytes = tokio::time::timeout(deadline, whole(body, most, &mut held))
        .await
        .map_err(|_| BodyError::Slow(deadline))??;
    Ok(Payload { bytes, held })
}

impl Payload {
    /// The payload without the encoding that a header names.
    pub async fn unpacked(self, encoding: Option<&[u8]>, limits: &Limits) -> Result<Self, BodyError> {
        let most = limits.size.as_usize();
        match encoding.map(<[u8]>::to_ascii_lowercase).as_deref() {
            None | Some(b"" | b"identity") => Ok(self),
            Some(b"gzip" | b"x-gzip") => unpack(self, "gzip", most, flate2::read::MultiGzDecoder::new).await,
            Some(b"deflate") => unpack(self, "deflate", most, flate2::read::ZlibDecoder::new).await,
            Some(other) => Err(BodyError::Encoding(String::from_utf8_lossy(other).into_owned())),
        }
    }
}

async fn whole(mut body: Body, most: usize, held: &mut Held) -> Result<Bytes, BodyError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|e| BodyError::Broken(e.to_string()))?.into_data() else { continue };
        if first.len() + all.len() + data.len() > most {
            return Err(BodyError::TooLarge(most));
        }
        held.grow(data.len())?;
        // A body of one frame, the usual case, is never copied.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

async fn unpack<R: Read>(
    packed: Payload,
    name: &'static str,
    most: usize,
    reader: impl FnOnce(std::io::Cursor<Bytes>) -> R + Send + 'static,
) -> Result<Payload, BodyError> {
    // A few bytes can become the whole limit: never on a thread that serves others.
    let work = move || {
        let Payload { bytes, mut held } = packed;
        let mut out = Vec::with_capacity((bytes.len() * 4).min(most));
        let mut reader = reader(std::io::Cursor::new(bytes));
        loop {
            let before = out.len();
            let read = reader.by_ref().take(256 * 1024).read_to_end(&mut out);
            let grown = out.len() - before;
            if out.len() > most {
                return Err(BodyError::TooLarge(most));
            }
            held.grow(grown)?;
            match read {
                Ok(0) => return Ok(Payload { bytes: Bytes::from(out), held }),
                Ok(_) => {}
                Err(_) => return Err(BodyError::Corrupt(name)),
            }
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(BodyError::Corrupt(name)))
}

#[cfg(test)]
mod tests {
    use super::{BodyError, Budget, read};
    use crate::receive::settings::Limits;
    use crate::units::Bytes as Size;
    use axum::body::Body;
    use http::HeaderMap;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn headers(encoding: &str) -> HeaderMap {
        [(http::header::CONTENT_ENCODING, encoding.parse().unwrap())].into_iter().collect()
    }

    #[tokio::test]
    async fn undoes_gzip_and_stops_a_bomb() {
        let limits = Limits { size: Size(1 << 20), ..Limits::default() };
        let budget = Budget::new(4 << 20);
        let body = read(&headers("gzip"), Body::from(gzip(b"kittens")), &limits, &budget).await;
        assert_eq!(body.unwrap().bytes, "kittens");
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        let body = read(&headers("gzip"), Body::from(bomb), &limits, &budget).await;
        assert_eq!(body.map(|b| b.bytes), Err(BodyError::TooLarge(1 << 20)));
        let body = read(&headers("gzip"), Body::from("kittens"), &limits, &budget).await;
        assert_eq!(body.map(|b| b.bytes), Err(BodyError::Corrupt("gzip")));
        let body = read(&headers("br"), Body::from("kittens"), &limits, &budget).await;
        assert_eq!(body.map(|b| b.bytes), Err(BodyError::Encoding("br".into())));
    }

    #[tokio::test]
    async fn all_bodies_together_stay_within_the_budget() {
        let limits = Limits { size: Size(100), ..Limits::default() };
        let budget = Budget::new(50);
        let none = HeaderMap::new();
        let large = read(&none, Body::from(vec![0; 101]), &limits, &budget).await;
        assert_eq!(large.map(|b| b.bytes), Err(BodyError::TooLarge(100)));
        let all = read(&none, Body::from(vec![0; 30]), &limits, &budget).await.unwrap();
        let more = read(&none, Body::from(vec![0; 30]), &limits, &budget).await;
        assert_eq!(more.map(|b| b.bytes), Err(BodyError::Busy));
        drop(all);
        for _ in 0..3 {
            assert!(read(&none, Body::from(vec![0; 50]), &limits, &budget).await.is_ok());
        }
    }
}
