//! Refusals in the shape in which Elasticsearch sends them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::store::api::Unavailable;
use crate::store::events::SearchError;
use crate::store::query::QueryError;

/// An error as Elasticsearch's clients expect it.
#[derive(Debug)]
pub(crate) struct EsError {
    status: StatusCode,
    kind: &'static str,
    reason: String,
    /// Characters before the mistake in a query string.
    at: Option<usize>,
}

impl EsError {
    /// 400: the body is not what the query language knows.
    pub(crate) fn parsing(reason: impl Into<String>) -> Self {
        EsError {
            status: StatusCode::BAD_REQUEST,
            kind: "parsing_exception",
            reason: reason.into(),
            at: None,
        }
    }

    /// 400: understood, but cannot be done.
    pub(crate) fn argument(reason: impl Into<String>) -> Self {
        EsError {
            status: StatusCode::BAD_REQUEST,
            kind: "illegal_argument_exception",
            reason: reason.into(),
            at: None,
        }
    }

    /// 404: no such index.
    pub(crate) fn no_index(name: &str) -> Self {
        EsError {
            status: StatusCode::NOT_FOUND,
            kind: "index_not_found_exception",
            reason: format!("no such index [{name}]; this store has logs-* and zipkin-span-*"),
            at: None,
        }
    }

    /// What was wrong, without the shape.
    pub(crate) fn reason(self) -> String {
        self.reason
    }

    /// The error as one answer within `_msearch`, or as a whole body.
    pub(crate) fn body(&self) -> Value {
        let mut cause = json!({ "type": self.kind, "reason": self.reason });
        if let Some(at) = self.at {
            cause["line"] = 1.into();
            cause["col"] = (at + 1).into();
        }
        let mut error = cause.clone();
        error["root_cause"] = json!([cause]);
        json!({ "error": error, "status": self.status.as_u16() })
    }
}

impl From<QueryError> for EsError {
    fn from(error: QueryError) -> Self {
        EsError {
            status: StatusCode::BAD_REQUEST,
            kind: "parsing_exception",
            reason: format!("Failed to parse query: {error}"),
            at: Some(error.at),
        }
    }
}

impl From<SearchError> for EsError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Query(error) => error.into(),
            SearchError::Request(reason) => EsError::argument(reason),
        }
    }
}

impl From<Unavailable> for EsError {
    fn from(error: Unavailable) -> Self {
        let kind = match error {
            Unavailable::Busy => "es_rejected_execution_exception",
            Unavailable::Panicked => "search_phase_execution_exception",
        };
        EsError { status: error.status(), kind, reason: error.to_string(), at: None }
    }
}

impl IntoResponse for EsError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}
