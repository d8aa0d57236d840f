//! OTLP over HTTP: `POST /v1/traces`, `/v1/logs`, `/v1/metrics`, protobuf or JSON, answered when the data is safe.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use http::{HeaderValue, StatusCode, header};

use super::status::{RETRY_SECONDS, response_json, response_protobuf, status_json, status_protobuf};
use super::{Refusal, Signal, Signals};
use crate::receive::body::{self, Budget};
use crate::receive::events;
use crate::receive::settings::Limits;

/// The routes of the signals that take part; the others are not found.
pub fn router(signals: Signals, limits: Limits) -> Router {
    let shared = Arc::new((Budget::new(limits.in_flight.0), limits));
    signals.all().fold(Router::new(), |router, ((path, _, rejected), signal)| {
        let shared = Arc::clone(&shared);
        let handler = move |request: Request| {
            let (shared, signal) = (Arc::clone(&shared), Arc::clone(&signal));
            async move { export(request, &*signal, rejected, &shared.0, &shared.1).await }
        };
        router.route(&format!("/v1/{path}"), post(handler))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

async fn export(
    request: Request,
    signal: &dyn Signal,
    rejected_name: &str,
    budget: &Budget,
    limits: &Limits,
) -> Response {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let form = match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Form::Protobuf,
        "application/json" => Form::Json,
        _ => {
            events::rejected(signal.lane(), "content_type", 1);
            let text = "content-type must be application/x-protobuf or application/json";
            return failure(Form::Json, StatusCode::UNSUPPORTED_MEDIA_TYPE, 3, text);
        }
    };
    let payload = match body::read(&parts.headers, body, limits, budget).await {
        Ok(payload) => payload,
        Err(error) => {
            events::rejected(signal.lane(), error.reason(), 1);
            return failure(form, error.status(), 3, &error.to_string());
        }
    };
    let taken = match form {
        Form::Protobuf => signal.protobuf(&payload.bytes),
        Form::Json => signal.json(&payload.bytes),
    };
    if let Err(Refusal::Malformed(_)) = &taken {
        let reason = if form == Form::Json { events::unreadable(&payload.bytes) } else { "malformed" };
        events::rejected(signal.lane(), reason, 1);
    }
    drop(payload);
    let taken = match taken {
        Ok(taken) => taken,
        Err(Refusal::Malformed(reason)) => return failure(form, StatusCode::BAD_REQUEST, 3, &reason),
        Err(Refusal::Full) => {
            return failure(form, StatusCode::TOO_MANY_REQUESTS, 8, &Refusal::Full.to_string());
        }
    };
    // Success is said only of what a crash can no longer lose.
    if let Err(broken) = signal.durable(taken.ticket).await {
        return failure(form, StatusCode::SERVICE_UNAVAILABLE, 14, &broken.to_string());
    }
    let body = match form {
        Form::Protobuf => response_protobuf(taken.rejected, &taken.message),
        Form::Json => response_json(rejected_name, taken.rejected, &taken.message),
    };
    answer(form, StatusCode::OK, body)
}

fn failure(form: Form, status: StatusCode, code: u8, message: &str) -> Response {
    let body = match form {
        Form::Protobuf => status_protobuf(code, message),
        Form::Json => status_json(code, message),
    };
    let mut response = answer(form, status, body);
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(u16::from(RETRY_SECONDS)));
    }
    response
}

fn answer(form: Form, status: StatusCode, body: Vec<u8>) -> Response {
    let kind = match form {
        Form::Protobuf => HeaderValue::from_static("application/x-protobuf"),
        Form::Json => HeaderValue::from_static("application/json"),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
