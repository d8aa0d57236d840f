//! The JSON around every answer: status, data, warnings; and how failures are told.
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

use crate::store::promql::{Annotations, Error};

/// Shorter answers gain nothing from being packed.
const WORTH_PACKING: usize = 4096;

/// A good answer: the JSON of `data`, and remarks.
pub(super) struct Reply {
    data: String,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Reply {
    pub(super) fn new(data: String) -> Self {
        Reply { data, warnings: Vec::new(), infos: Vec::new() }
    }

    pub(super) fn json(data: &str) -> Result<Self, Failure> {
        Ok(Reply::new(data.to_owned()))
    }

    pub(super) fn of(data: &impl serde::Serialize) -> Result<Self, Failure> {
        serde_json::to_string(data).map(Reply::new).map_err(|e| Failure::internal(e.to_string()))
    }

    pub(super) fn noted(mut self, notes: &Annotations) -> Self {
        self.warnings.extend(Annotations::told(&notes.warnings, "warning"));
        self.infos.extend(Annotations::told(&notes.infos, "info"));
        self
    }

    pub(super) fn truncated(mut self, truncated: bool) -> Self {
        if truncated {
            self.warnings.push("results truncated due to limit".into());
        }
        self
    }

    pub(super) fn respond(self, headers: &HeaderMap) -> Response {
        let mut body = String::with_capacity(self.data.len() + 64);
        body.push_str("{\"status\":\"success\",\"data\":");
        body.push_str(&self.data);
        for (key, list) in [("warnings", &self.warnings), ("infos", &self.infos)] {
            if !list.is_empty() {
                body.push_str(&format!(",\"{key}\":{}", serde_json::json!(list)));
            }
        }
        body.push('}');
        respond(StatusCode::OK, body, headers)
    }
}

/// A refusal or an error, by Prometheus' kinds.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Failure {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Failure { status: StatusCode::BAD_REQUEST, kind: "bad_data", message: message.into() }
    }

    pub(super) fn parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Failure::bad(format!("invalid parameter {name:?}: {message}"))
    }

    pub(super) fn timeout(message: impl Into<String>) -> Self {
        Failure { status: StatusCode::SERVICE_UNAVAILABLE, kind: "timeout", message: message.into() }
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Failure { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", message: message.into() }
    }

    pub(super) fn respond(self, headers: &HeaderMap) -> Response {
        let body = serde_json::json!({ "status": "error", "errorType": self.kind, "error": self.message });
        respond(self.status, body.to_string(), headers)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let execution = StatusCode::UNPROCESSABLE_ENTITY;
        match error {
            Error::Parse(_) => Failure::parameter("query", message),
            Error::Execution(_) | Error::TooManySamples => {
                Failure { status: execution, kind: "execution", message }
            }
            Error::Timeout => Failure::timeout(message),
            Error::Canceled => Failure { status: StatusCode::SERVICE_UNAVAILABLE, kind: "canceled", message },
            Error::Storage(_) => Failure::internal(message),
        }
    }
}

fn respond(status: StatusCode, body: String, headers: &HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    let wants_gzip = accepts.split(',').any(|e| e.trim().split(';').next() == Some("gzip"));
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    let packed = if wants_gzip && body.len() >= WORTH_PACKING { gzip(body.as_bytes()) } else { None };
    let response = match packed {
        Some(packed) => builder
            .header(header::CONTENT_ENCODING, "gzip")
            .header(header::VARY, "accept-encoding")
            .body(Body::from(packed)),
        None => builder.body(Body::from(body)),
    };
    // Status and headers are constants of ours; they cannot be invalid.
    response.unwrap_or_default()
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}
