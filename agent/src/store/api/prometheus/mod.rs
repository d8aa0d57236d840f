//! Prometheus' HTTP API over the store of metrics: what Grafana, client libraries and our own page ask.
//!
//! `GET` and form `POST` alike. Queries run away from the threads that serve connections, a few at a time, and end
//! when their client goes away.
mod answer;
mod envelope;
mod labels;
mod metadata;
mod params;
mod query;
mod rules;
mod status;
#[cfg(test)]
mod tests;
mod write;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use envelope::{Failure, Reply};
use params::Params;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;

use crate::store::metrics::Store;
use crate::store::rules::Rules;

/// Queries that run at once; more wait.
const AT_ONCE: usize = 8;
/// Writes that run at once; more wait.
const WRITES_AT_ONCE: usize = 2;
/// A query is text; no honest one is longer.
const MAX_BODY: usize = 1 << 20;

#[derive(Clone)]
struct Api {
    store: Arc<Store>,
    rules: Arc<Rules>,
    turns: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

/// `/api/v1/*` as Prometheus serves it.
pub fn router(store: Arc<Store>, rules: Arc<Rules>) -> Router {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let writes = Arc::new(Semaphore::new(WRITES_AT_ONCE));
    let api = Api { store, rules, turns, writes };
    Router::new()
        .route("/api/v1/query", both(query::instant))
        .route("/api/v1/query_range", both(query::range))
        .route("/api/v1/query_exemplars", both(query::exemplars))
        .route("/api/v1/series", both(labels::series))
        .route("/api/v1/labels", both(labels::names))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/metadata", both(metadata::metadata))
        .route("/api/v1/status/buildinfo", both(status::build))
        .route("/api/v1/status/tsdb", both(status::tsdb))
        .route("/api/v1/rules", of_rules(rules::rules))
        .route("/api/v1/alerts", of_rules(rules::alerts))
        .route("/api/v1/targets", both(|_, _, _| Reply::json("{\"activeTargets\":[],\"droppedTargets\":[]}")))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route("/api/v1/write", post(write::write))
        .with_state(api)
}

type Answer = fn(&Store, &Params, &AtomicBool) -> Result<Reply, Failure>;

fn both(answer: Answer) -> MethodRouter<Api> {
    let handler = move |State(api): State<Api>,
                        RawQuery(query): RawQuery,
                        headers: HeaderMap,
                        body: Bytes| async move {
        let params = Params::read(query.as_deref(), &headers, &body);
        run(api, params, headers, answer).await
    };
    get(handler).post(handler)
}

/// What rules gave is at hand: no turn is waited for.
fn of_rules(answer: fn(&Rules, &HeaderMap) -> Response) -> MethodRouter<Api> {
    get(move |State(api): State<Api>, headers: HeaderMap| async move { answer(&api.rules, &headers) })
}

async fn label_values(
    State(api): State<Api>,
    axum::extract::Path(name): axum::extract::Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let mut params = Params::read(query.as_deref(), &headers, &Bytes::new());
    params.set("name", name);
    run(api, params, headers, labels::values).await
}

/// Tells a running query that nobody waits for it any more.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn run(api: Api, params: Params, headers: HeaderMap, answer: Answer) -> Response {
    let cancel = Arc::new(AtomicBool::new(false));
    let _gone = Gone(cancel.clone());
    let patience = api.store.settings().query_timeout.0;
    let Ok(Ok(turn)) = tokio::time::timeout(patience, api.turns.clone().acquire_owned()).await else {
        return Failure::timeout("too many queries are running; try again").respond(&headers);
    };
    let store = api.store.clone();
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        answer(&store, &params, &cancel)
    });
    match work.await {
        Ok(Ok(reply)) => reply.respond(&headers),
        Ok(Err(failure)) => failure.respond(&headers),
        Err(_) => Failure::internal("the query failed inside the store; the agent's log says more")
            .respond(&headers),
    }
}
