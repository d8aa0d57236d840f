//! Logs over HTTP: `POST /logs` with JSON lines or a JSON array, answered when the records are safe.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use super::tcp::sender;
use super::{bulk, handshake};
use crate::logs::events;
use crate::logs::intake::{Intake, now};
use crate::logs::record::{Batch, Policy, Scratch, Source};
use crate::logs::timestamp::Nanos;
use crate::receive::body::{self, Budget, Payload};
use crate::receive::events::unreadable;
use crate::receive::http::Peer;
use crate::receive::settings::Limits;
use crate::receive::sink::Ticket;

/// What the routes share.
pub(super) struct Shared {
    intake: Intake,
    own_host: String,
    budget: Budget,
    limits: Limits,
}

/// The routes: ours, and those of Elasticsearch that its clients use to deliver.
pub fn router(intake: Intake, own_host: String, limits: Limits) -> Router {
    let budget = Budget::new(limits.in_flight.0);
    let shared = Arc::new(Shared { intake, own_host, budget, limits });
    let lines = handler(&shared, |shared, request| async move { logs(&shared, request).await });
    let bulk = handler(&shared, |shared, request| async move { bulk::bulk(&shared, request).await });
    let swallow = move |request: Request| {
        let shared = Arc::clone(&shared);
        async move {
            let headers = request.headers().clone();
            shared.body(&headers, request.into_body()).await.map(drop)
        }
    };
    handshake::routes(swallow)
        .route("/logs", post(lines))
        .route("/_bulk", any(bulk.clone()))
        .route("/{index}/_bulk", any(bulk))
}

/// Something that handles a request; its error is the answer.
pub(super) trait Handler: Fn(Request) -> Self::Future + Clone + Send + Sync + 'static {
    /// What becomes of the request.
    type Future: Future<Output = Result<(), Response>> + Send;
}

impl<H, F> Handler for H
where
    H: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), Response>> + Send,
{
    type Future = F;
}

fn handler<F>(
    shared: &Arc<Shared>,
    serve: impl Fn(Arc<Shared>, Request) -> F + Clone + Send + Sync + 'static,
) -> impl Fn(Request) -> F + Clone + Send + Sync + 'static
where
    F: Future<Output = Response> + Send + 'static,
{
    let shared = Arc::clone(shared);
    move |request| serve(Arc::clone(&shared), request)
}

impl Shared {
    /// Reads the body and turns it into records with `fill`; the error is the answer.
    pub(super) async fn take<T>(
        &self,
        headers: &HeaderMap,
        request: Request,
        fill: impl FnOnce(&Bytes, &Policy, Source<'_>, Nanos, &mut Scratch, &mut Batch) -> Result<T, String>,
    ) -> Result<(T, Ticket), Response> {
        let peer = request.extensions().get::<Peer>().copied();
        let host = peer.map_or_else(|| self.own_host.clone(), |peer| sender(peer.0, &self.own_host));
        let payload = self.body(headers, request.into_body()).await?;
        let source = Source { host: Some(&host), service: None };
        let mut filled = Err(String::new());
        let taken = self.intake.collect(|policy, scratch, batch| {
            filled = fill(&payload.bytes, policy, source, now(), scratch, batch);
            if filled.is_err() {
                batch.clear();
            }
        });
        match (filled, taken) {
            (Err(reason), _) => {
                events::rejected(unreadable(&payload.bytes), 1);
                Err((StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response())
            }
            (Ok(_), Err(_)) => {
                let retry = [(header::RETRY_AFTER, "1")];
                Err((StatusCode::TOO_MANY_REQUESTS, retry, "the log queue is full, try again\n")
                    .into_response())
            }
            (Ok(value), Ok(ticket)) => Ok((value, ticket)),
        }
    }

    /// Reads a body within the bounds of the receiver.
    async fn body(&self, headers: &HeaderMap, body: Body) -> Result<Payload, Response> {
        body::read(headers, body, &self.limits, &self.budget).await.map_err(|error| {
            events::rejected(error.reason(), 1);
            (error.status(), format!("{error}\n")).into_response()
        })
    }

    /// Resolves when `ticket` is safe; the error is the answer.
    pub(super) async fn safe(&self, ticket: Ticket) -> Result<(), Response> {
        self.intake
            .durable(ticket)
            .await
            .map_err(|broken| (StatusCode::SERVICE_UNAVAILABLE, format!("{broken}\n")).into_response())
    }

    pub(super) fn max_line(&self) -> usize {
        self.intake.max_line()
    }
}

async fn logs(shared: &Shared, request: Request) -> Response {
    let headers = request.headers().clone();
    let max_line = shared.max_line();
    let taken = shared
        .take(&headers, request, |body, policy, source, now, scratch, batch| {
            if body.trim_ascii_start().first() == Some(&b'[') {
                array(body, policy, source, now, scratch, batch, max_line)?;
            } else {
                for line in body.split(|&b| b == b'\n') {
                    if line.len() > max_line {
                        events::rejected("line_too_long", 1);
                    } else {
                        policy.line(line, source, now, scratch, batch);
                    }
                }
            }
            Ok(batch.payloads.len())
        })
        .await;
    let (count, ticket) = match taken {
        Ok(taken) => taken,
        Err(response) => return response,
    };
    match shared.safe(ticket).await {
        Ok(()) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            (StatusCode::OK, json, format!("{{\"accepted\":{count}}}\n")).into_response()
        }
        Err(response) => response,
    }
}

/// `[{…},{…}]`: each element as if it stood on a line of its own.
fn array(
    body: &[u8],
    policy: &Policy,
    source: Source<'_>,
    now: Nanos,
    scratch: &mut Scratch,
    batch: &mut Batch,
    max_line: usize,
) -> Result<(), String> {
    let elements: Vec<&serde_json::value::RawValue> =
        serde_json::from_slice(body).map_err(|e| format!("not a json array: {e}"))?;
    for element in elements {
        if element.get().len() > max_line {
            events::rejected("line_too_long", 1);
        } else {
            policy.line(element.get().as_bytes(), source, now, scratch, batch);
        }
    }
    Ok(())
}
