//! What Elasticsearch's clients ask and set up before they send: whether it is one, its license, templates, policies.
//!
//! What they set up is acknowledged and has no effect: records get their own streams, whose templates are ours.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::http::Handler;

/// Clients of Elastic refuse to talk to a server that does not send it.
pub(super) const PRODUCT: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));
pub(super) const JSON: (HeaderName, HeaderValue) =
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

/// Where clients keep what they set up.
const KEPT: [&str; 6] = [
    "/_index_template/{name}",
    "/_component_template/{name}",
    "/_template/{name}",
    "/_ilm/policy/{name}",
    "/_ingest/pipeline/{name}",
    "/_cluster/settings",
];

/// The routes; `swallow` reads a body within the bounds of the receiver and forgets it.
pub(super) fn routes(swallow: impl Handler) -> Router {
    let router = Router::new()
        .route("/", get(banner))
        .route("/_license", get(license))
        .route("/_xpack", get(license))
        .route("/_cluster/health", get(health))
        // Beats ask whether their alias is there, and make it if not.
        .route("/_alias/{name}", get(empty));
    KEPT.into_iter().fold(router, |router, path| {
        let swallow = swallow.clone();
        let set = move |request: Request| {
            let swallowed = swallow(request);
            async move { swallowed.await.err().unwrap_or_else(|| answer("{\"acknowledged\":true}")) }
        };
        router.route(path, put(set.clone()).post(set).get(missing))
    })
}

fn answer(body: &'static str) -> Response {
    ([PRODUCT, JSON], body).into_response()
}

async fn banner() -> Response {
    answer(concat!(
        "{\"name\":\"sightline\",\"cluster_name\":\"sightline\",\"cluster_uuid\":\"sightline\",",
        "\"version\":{\"number\":\"8.17.0\",\"build_flavor\":\"default\",\"build_type\":\"docker\",",
        "\"build_hash\":\"0\",\"build_date\":\"2026-01-01T00:00:00.000Z\",\"build_snapshot\":false,",
        "\"lucene_version\":\"9.12.0\",\"minimum_wire_compatibility_version\":\"7.17.0\",",
        "\"minimum_index_compatibility_version\":\"7.0.0\"},\"tagline\":\"You Know, for Search\"}"
    ))
}

/// Beats ask whether the server is one of theirs.
async fn license() -> Response {
    answer(
        "{\"license\":{\"status\":\"active\",\"uid\":\"sightline\",\"type\":\"basic\",\"mode\":\"basic\"}}",
    )
}

async fn health() -> Response {
    answer("{\"cluster_name\":\"sightline\",\"status\":\"green\",\"timed_out\":false,\"number_of_nodes\":1}")
}

async fn empty() -> Response {
    answer("{}")
}

async fn missing() -> Response {
    (StatusCode::NOT_FOUND, [PRODUCT, JSON], "{\"error\":\"not kept here\",\"status\":404}").into_response()
}
