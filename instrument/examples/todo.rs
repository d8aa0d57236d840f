//! A to-do list such as many write with axum, and a front that asks it. The telemetry is in the last lines of `serve`, and the word
//! `send_as` where the one calls the other.
//!
//! `todo 127.0.0.1:8081` serves the list, `todo 127.0.0.1:8080 http://127.0.0.1:8081` the front.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, patch};
use axum::{Json, Router};
use serde_json::{Value, json};
use sightline_instrument::SendAs;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

type Db = Arc<RwLock<BTreeMap<usize, Value>>>;

fn todos() -> Router {
    Router::new()
        .route("/todos", get(index).post(create))
        .route("/todos/{id}", patch(update).delete(remove))
        .with_state(Db::default())
}

async fn index(State(db): State<Db>, Query(page): Query<HashMap<String, usize>>) -> Json<Vec<Value>> {
    let todos = db.read().unwrap_or_else(PoisonError::into_inner);
    let (offset, limit) = (page.get("offset").copied().unwrap_or(0), page.get("limit").copied());
    Json(todos.values().skip(offset).take(limit.unwrap_or(usize::MAX)).cloned().collect())
}

async fn create(State(db): State<Db>, Json(input): Json<Value>) -> impl IntoResponse {
    let mut todos = db.write().unwrap_or_else(PoisonError::into_inner);
    let id = todos.len();
    let todo = json!({ "id": id, "text": input["text"], "completed": false });
    todos.insert(id, todo.clone());
    tracing::info!(id, "something to do");
    (StatusCode::CREATED, Json(todo))
}

async fn update(
    Path(id): Path<usize>,
    State(db): State<Db>,
    Json(input): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let mut todos = db.write().unwrap_or_else(PoisonError::into_inner);
    let todo = todos.get_mut(&id).ok_or(StatusCode::NOT_FOUND)?;
    for key in ["text", "completed"] {
        if !input[key].is_null() {
            todo[key] = input[key].clone();
        }
    }
    Ok(Json(todo.clone()))
}

async fn remove(Path(id): Path<usize>, State(db): State<Db>) -> StatusCode {
    match db.write().unwrap_or_else(PoisonError::into_inner).remove(&id) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

/// Adds what is asked for to the list that `upstream` keeps.
fn front(upstream: String) -> Router {
    let client = reqwest::Client::new();
    Router::new().route(
        "/remember/{text}",
        get(move |Path(text): Path<String>| async move {
            let request = client.post(format!("{upstream}/todos")).json(&json!({ "text": text }));
            let answer = request.send_as("todos").await.map_err(|error| {
                tracing::warn!(%error, "the list does not answer");
                StatusCode::BAD_GATEWAY
            })?;
            Ok::<_, StatusCode>((answer.status(), answer.text().await.unwrap_or_default()))
        }),
    )
}

pub async fn serve(address: &str, upstream: Option<String>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    match upstream {
        Some(upstream) => sightline_instrument::serve("front", listener, front(upstream)).await,
        None => sightline_instrument::serve("todos", listener, todos()).await,
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    serve(&address, args.next()).await
}
