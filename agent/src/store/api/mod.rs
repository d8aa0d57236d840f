//! The store's HTTP faces. Each speaks a known dialect, so that the page, Grafana and scripts need nothing of ours.

pub mod elasticsearch;
pub mod logs;
pub mod overview;
pub mod panics;
pub mod prometheus;
pub mod zipkin;

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::events::{Events, SearchError};

/// Searches that run at once; more wait.
const AT_ONCE: usize = 4;
/// How long one waits for its turn before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(20);

/// All routes of logs and spans: Elasticsearch's, Zipkin's, and those of the page.
pub fn router(events: Arc<Events>) -> axum::Router {
    let api = Api::new(events);
    elasticsearch::router(api.clone())
        .merge(zipkin::router(api.clone()))
        .merge(logs::router(api.clone()))
        .merge(panics::router(api.clone()))
        .merge(overview::router(api))
}

/// What every handler needs. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// The store.
    pub events: Arc<Events>,
    turns: Arc<Semaphore>,
}

impl Api {
    /// Shares one bound on concurrent searches among all routers made from it.
    pub fn new(events: Arc<Events>) -> Self {
        Api { events, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Runs a search away from the threads that serve connections.
    ///
    /// # Errors
    /// 503 if it did not get its turn, 500 if it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Events) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let turns = Arc::clone(&self.turns);
        let turn = tokio::time::timeout(PATIENCE, turns.acquire_owned())
            .await
            .map_err(|_| Unavailable::Busy)?
            .map_err(|_| Unavailable::Busy)?;
        let events = Arc::clone(&self.events);
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&events)
        })
        .await
        .map_err(|_| Unavailable::Panicked)
    }
}

/// Why a search was not run to its end.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("too many searches are running; try again")]
    Busy,
    #[error("the search failed inside the store; the agent's log says more")]
    Panicked,
}

impl Unavailable {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Unavailable::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Unavailable::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A refusal of our own endpoints: `{"error": "…", "at": 12}` with the place in the query, if it is one.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    at: Option<usize>,
}

impl Refusal {
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Refusal { status: StatusCode::BAD_REQUEST, message: message.into(), at: None }
    }

    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Refusal { status: StatusCode::SERVICE_UNAVAILABLE, message: message.into(), at: None }
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Refusal { status: StatusCode::NOT_FOUND, message: message.into(), at: None }
    }
}

impl From<Unavailable> for Refusal {
    fn from(error: Unavailable) -> Self {
        Refusal { status: error.status(), message: error.to_string(), at: None }
    }
}

impl From<SearchError> for Refusal {
    fn from(error: SearchError) -> Self {
        let at = match &error {
            SearchError::Query(query) => Some(query.at),
            SearchError::Request(_) => None,
        };
        Refusal { status: StatusCode::BAD_REQUEST, message: error.to_string(), at }
    }
}

impl From<super::query::QueryError> for Refusal {
    fn from(error: super::query::QueryError) -> Self {
        SearchError::Query(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = serde_json::json!({ "error": self.message });
        if let Some(at) = self.at {
            body["at"] = at.into();
        }
        (self.status, axum::Json(body)).into_response()
    }
}
