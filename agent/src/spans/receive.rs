//! Zipkin's port: `POST /api/v2/spans`, answered when the spans are safe. The older formats are told what to do.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{StatusCode, header};

use super::Intake;
use crate::receive::body::{self, Budget};
use crate::receive::events;
use crate::receive::otlp::Refusal;
use crate::receive::settings::Limits;

const LANE: &str = "spans";

/// The routes.
pub fn router(intake: Intake, limits: Limits) -> Router {
    let shared = Arc::new((intake, Budget::new(limits.in_flight.0), limits));
    let handler = move |request: Request| {
        let shared = Arc::clone(&shared);
        async move { spans(request, &shared.0, &shared.1, &shared.2).await }
    };
    Router::new().route("/api/v2/spans", post(handler)).route("/api/v1/spans", post(v1)).route(
        "/health",
        get(|| async { ([(header::CONTENT_TYPE, "application/json")], "{\"status\":\"UP\"}") }),
    )
}

async fn v1() -> Response {
    events::rejected(LANE, "zipkin_v1", 1);
    let text = "zipkin v1 (thrift and json) is not taken: let the client send to /api/v2/spans\n";
    (StatusCode::GONE, text).into_response()
}

async fn spans(request: Request, intake: &Intake, budget: &Budget, limits: &Limits) -> Response {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let proto = match kind.as_str() {
        "application/x-protobuf" | "application/protobuf" => true,
        "application/x-thrift" => return v1().await,
        // Zipkin itself takes whatever is not protobuf for JSON.
        _ => false,
    };
    let payload = match body::read(&parts.headers, body, limits, budget).await {
        Ok(payload) => payload,
        Err(error) => {
            events::rejected(LANE, error.reason(), 1);
            return (error.status(), format!("{error}\n")).into_response();
        }
    };
    let taken = match proto {
        true => intake.zipkin_proto(&payload.bytes),
        false => intake.zipkin_json(&payload.bytes),
    };
    if let Err(Refusal::Malformed(_)) = &taken {
        let reason = if proto { "malformed" } else { events::unreadable(&payload.bytes) };
        events::rejected(LANE, reason, 1);
    }
    drop(payload);
    match taken {
        Err(Refusal::Malformed(reason)) => (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
        Err(Refusal::Full) => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], format!("{}\n", Refusal::Full))
                .into_response()
        }
        Ok(taken) if taken.nothing() => {
            (StatusCode::BAD_REQUEST, format!("{}\n", taken.message)).into_response()
        }
        Ok(taken) => match intake.durable(taken.ticket).await {
            Ok(()) => (StatusCode::ACCEPTED, taken.message).into_response(),
            Err(broken) => {
                (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], format!("{broken}\n"))
                    .into_response()
            }
        },
    }
}
