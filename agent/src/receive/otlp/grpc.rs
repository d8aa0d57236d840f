//! OTLP over gRPC. The messages reach the lanes as bytes: a lane that reads protobuf itself need not have a tree built.
//!
//! All calls are unary, so the framing is done here: the bodies of all requests share one bound on memory, as they do
//! over HTTP, and nothing is decompressed on a thread that serves others.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tonic::{Code, Status};

use super::status::{response_protobuf, retry_status};
use super::{Refusal, Signal, Signals};
use crate::receive::body::{self, BodyError, Budget, Payload};
use crate::receive::events;
use crate::receive::settings::Limits;

/// The flag of compression and the length in front of a message.
const PREFIX: usize = 5;
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("grpc-accept-encoding"), HeaderValue::from_static("identity,deflate,gzip"));
const STATUS: (HeaderName, HeaderValue) =
    (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
const KIND: (HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));

/// The services of the signals that take part.
pub fn router(signals: Signals, limits: Limits) -> Router {
    let shared = Arc::new((Budget::new(limits.in_flight.0), limits));
    signals.all().fold(Router::new(), |router, ((_, service, _), signal)| {
        let shared = Arc::clone(&shared);
        let handler = move |request: Request| {
            let (shared, signal) = (Arc::clone(&shared), Arc::clone(&signal));
            async move {
                if !is_grpc(request.headers()) {
                    events::rejected(signal.lane(), "content_type", 1);
                    return elsewhere();
                }
                export(request, &*signal, &shared.0, &shared.1).await.unwrap_or_else(failure)
            }
        };
        router.route(&format!("/{service}/Export"), post(handler))
    })
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// gRPC's errors are successes to HTTP: whoever does not speak it must not get one.
fn elsewhere() -> Response {
    let text =
        "this port speaks gRPC; OTLP over HTTP is received at otlp.http.listen, port 4318 by default\n";
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response()
}

async fn export(
    request: Request,
    signal: &dyn Signal,
    budget: &Budget,
    limits: &Limits,
) -> Result<Response, Status> {
    let (parts, body) = request.into_parts();
    let message = match message(&parts.headers, body, budget, limits).await {
        Ok(message) => message,
        Err(error) => {
            events::rejected(signal.lane(), error.reason(), 1);
            return Err(status(&error));
        }
    };
    let taken = signal.protobuf(&message.bytes);
    drop(message);
    let taken = taken.map_err(|refusal| match refusal {
        Refusal::Malformed(reason) => {
            events::rejected(signal.lane(), "malformed", 1);
            Status::invalid_argument(reason)
        }
        Refusal::Full => exhausted(&Refusal::Full.to_string()),
    })?;
    // Success is said only of what a crash can no longer lose.
    signal.durable(taken.ticket).await.map_err(|broken| Status::unavailable(broken.to_string()))?;
    Ok(success(&response_protobuf(taken.rejected, &taken.message)))
}

/// The one message of a unary call, decompressed.
async fn message(
    headers: &HeaderMap,
    body: Body,
    budget: &Budget,
    limits: &Limits,
) -> Result<Payload, BodyError> {
    let mut payload = body::raw(body, limits.size.as_usize().saturating_add(PREFIX), limits, budget).await?;
    let broken = || BodyError::Broken("not one whole gRPC message".to_owned());
    if payload.bytes.len() < PREFIX {
        return Err(broken());
    }
    let (flag, length) = (payload.bytes.get_u8(), payload.bytes.get_u32());
    if usize::try_from(length) != Ok(payload.bytes.len()) {
        return Err(broken());
    }
    match flag {
        0 => Ok(payload),
        1 => payload.unpacked(headers.get(ENCODING).map(HeaderValue::as_bytes), limits).await,
        _ => Err(broken()),
    }
}

/// A code that says whether to try again. OTLP's senders repeat what is `OUT_OF_RANGE` or, with a delay, exhausted.
fn status(error: &BodyError) -> Status {
    let text = error.to_string();
    match error {
        BodyError::Busy => exhausted(&text),
        BodyError::Slow(_) => Status::deadline_exceeded(text),
        BodyError::Encoding(_) => Status::unimplemented(text),
        BodyError::TooLarge(_) | BodyError::Broken(_) | BodyError::Corrupt(_) => {
            Status::invalid_argument(text)
        }
    }
}

fn exhausted(text: &str) -> Status {
    Status::with_details(Code::ResourceExhausted, text, retry_status(8, text).into())
}

fn failure(status: Status) -> Response {
    let mut response = status.into_http::<Body>();
    response.headers_mut().insert(ACCEPTED.0, ACCEPTED.1);
    response
}

fn success(message: &[u8]) -> Response {
    let mut frame = Vec::with_capacity(PREFIX + message.len());
    frame.push(0);
    // An answer is a number and a sentence.
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    let trailers = HeaderMap::from_iter([STATUS]);
    let body = Full::new(Bytes::from(frame)).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(KIND.0, KIND.1);
    response
}
