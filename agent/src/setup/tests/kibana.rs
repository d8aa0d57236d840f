//! A strict stand-in for the part of Kibana 9.5 that setup speaks to, built from its documented interfaces.
//!
//! It refuses what Kibana refuses (a write without `kbn-xsrf`, an unknown field, a reference to nothing), adds defaults
//! to what it gives back as Kibana does, and answers a refused import with 200.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use parking_lot::Mutex;
use serde_json::{Value, json};

#[derive(Default)]
struct Held {
    views: BTreeMap<String, Value>,
    default: Option<String>,
    searches: BTreeMap<String, Value>,
    dashboards: BTreeMap<String, Value>,
    unready: u32,
    refuse_imports: bool,
    let_nobody_in: bool,
    writes: u32,
}

type Shared = Arc<Mutex<Held>>;

pub(super) struct Kibana {
    pub(super) url: String,
    held: Shared,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Kibana {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Kibana {
    pub(super) async fn start() -> Self {
        let held = Shared::default();
        let router = Router::new()
            .route("/api/status", get(status))
            .route("/api/data_views/data_view", post(create_view))
            .route("/api/data_views/data_view/{id}", get(read_view).post(update_view))
            .route("/api/data_views/default", get(read_default).post(set_default))
            .route("/api/saved_objects/_import", post(import))
            .route("/api/saved_objects/_export", post(export))
            .route("/api/dashboards/{id}", put(put_dashboard).get(read_dashboard))
            .with_state(held.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Kibana { url, held, server }
    }

    pub(super) fn unready(&self, answers: u32) {
        self.held.lock().unready = answers;
    }

    pub(super) fn let_nobody_in(&self) {
        self.held.lock().let_nobody_in = true;
    }

    pub(super) fn refuse_imports(&self) {
        self.held.lock().refuse_imports = true;
    }

    pub(super) fn writes(&self) -> u32 {
        self.held.lock().writes
    }

    /// What a person with a mouse might do.
    pub(super) fn spoil(&self, view: &str, kind: &str, id: &str) {
        let mut held = self.held.lock();
        held.views.get_mut(view).unwrap()["title"] = json!("other-*");
        assert_eq!(kind, "dashboard");
        held.dashboards.get_mut(id).unwrap()["panels"][0]["grid"]["w"] = json!(5);
    }
}

fn refuse(status: u16, message: impl Into<String>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, json!({ "statusCode": status.as_u16(), "error": "", "message": message.into() }).to_string())
        .into_response()
}

fn answer(value: Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

/// A write: the header against forged requests, JSON, and no field that is not known.
fn write(held: &mut Held, headers: &HeaderMap, body: &Bytes, known: &[&str]) -> Result<Value, Response> {
    held.writes += 1;
    if !headers.contains_key("kbn-xsrf") {
        return Err(refuse(400, "Request must contain a kbn-xsrf header."));
    }
    if headers.get("content-type").is_none_or(|kind| kind != "application/json") {
        return Err(refuse(415, "Unsupported Media Type"));
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| refuse(400, error.to_string()))?;
    fields("request body", &value, known)?;
    Ok(value)
}

fn fields(place: &str, value: &Value, known: &[&str]) -> Result<(), Response> {
    let Some(map) = value.as_object() else {
        return Err(refuse(400, format!("[{place}]: expected an object")));
    };
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(refuse(400, format!("[{place}.{key}]: definition for this key is missing"))),
        None => Ok(()),
    }
}

async fn status(State(held): State<Shared>) -> Response {
    let mut held = held.lock();
    if held.let_nobody_in {
        return refuse(401, "Unauthorized");
    }
    if held.unready > 0 {
        held.unready -= 1;
        let body = json!({ "status": { "overall": { "level": "degraded" } } }).to_string();
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    answer(json!({ "name": "kibana", "status": { "overall": { "level": "available" } } }))
}

const VIEW: [&str; 4] = ["id", "title", "name", "timeFieldName"];

fn given_back(view: &Value) -> Value {
    let mut view = view.clone();
    for (key, default) in
        [("sourceFilters", json!([])), ("allowNoIndex", json!(false)), ("version", json!("WzEsMV0="))]
    {
        view[key] = default;
    }
    json!({ "data_view": view })
}

async fn create_view(
    State(held): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let mut held = held.lock();
    let value = write(&mut held, &headers, &body, &["data_view", "override"])?;
    fields("data_view", &value["data_view"], &VIEW)?;
    let id = value["data_view"]["id"].as_str().ok_or_else(|| refuse(400, "no id"))?.to_owned();
    if held.views.contains_key(&id) && value["override"] != true {
        return Err(refuse(400, format!("Duplicate data view: {id}")));
    }
    held.views.insert(id, value["data_view"].clone());
    Ok(answer(given_back(&value["data_view"])))
}

async fn read_view(State(held): State<Shared>, Path(id): Path<String>) -> Response {
    match held.lock().views.get(&id) {
        Some(view) => answer(given_back(view)),
        None => refuse(404, format!("Saved object [index-pattern/{id}] not found")),
    }
}

async fn update_view(
    State(held): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let mut held = held.lock();
    let value = write(&mut held, &headers, &body, &["data_view", "refresh_fields"])?;
    fields("data_view", &value["data_view"], &VIEW[1..])?; // the id is in the path
    let view = held.views.get_mut(&id).ok_or_else(|| refuse(404, "not found"))?;
    for (key, new) in value["data_view"].as_object().unwrap() {
        view[key] = new.clone();
    }
    Ok(answer(given_back(view)))
}

async fn read_default(State(held): State<Shared>) -> Response {
    answer(json!({ "data_view_id": held.lock().default }))
}

async fn set_default(
    State(held): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let mut held = held.lock();
    let value = write(&mut held, &headers, &body, &["data_view_id", "force"])?;
    let id = value["data_view_id"].as_str().unwrap().to_owned();
    if held.default.is_none() || value["force"] == true {
        held.default = Some(id);
    }
    Ok(answer(json!({ "acknowledged": true })))
}

async fn import(State(held): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, Response> {
    let mut held = held.lock();
    held.writes += 1;
    if !headers.contains_key("kbn-xsrf") {
        return Err(refuse(400, "Request must contain a kbn-xsrf header."));
    }
    let kind = headers["content-type"].to_str().unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").ok_or_else(|| refuse(415, kind))?;
    let text = String::from_utf8(body.to_vec()).unwrap();
    let parts: Vec<&str> = text.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[2]), (3, "--\r\n"), "one part, closed");
    let (head, content) = parts[1].split_once("\r\n\r\n").unwrap();
    if !head.contains("name=\"file\"") || !head.contains(".ndjson\"") {
        return Err(refuse(400, "Invalid file extension"));
    }
    if held.refuse_imports {
        let errors = json!([{ "error": { "type": "conflict" } }]);
        return Ok(answer(json!({ "success": false, "successCount": 0, "errors": errors })));
    }
    for line in content.trim_end_matches("\r\n").lines() {
        let object: Value = serde_json::from_str(line).map_err(|error| refuse(400, error.to_string()))?;
        fields("object", &object, &["type", "id", "attributes", "references"])?;
        let missing = object["references"].as_array().into_iter().flatten().find(|reference| {
            reference["type"] != "index-pattern"
                || !held.views.contains_key(reference["id"].as_str().unwrap())
        });
        if let Some(reference) = missing {
            let error = json!({ "type": "missing_references", "references": [reference] });
            return Ok(answer(json!({ "success": false, "errors": [{ "error": error }] })));
        }
        let source = object["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"].as_str().unwrap();
        let source: Value = serde_json::from_str(source).map_err(|error| refuse(400, error.to_string()))?;
        assert_eq!(source["query"]["language"], "lucene");
        held.searches.insert(object["id"].as_str().unwrap().to_owned(), object);
    }
    Ok(answer(json!({ "success": true, "successCount": 1 })))
}

async fn export(State(held): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, Response> {
    let mut held = held.lock();
    let value = write(&mut held, &headers, &body, &["objects", "excludeExportDetails"])?;
    held.writes -= 1; // it changes nothing
    let id = value["objects"][0]["id"].as_str().unwrap();
    let Some(search) = held.searches.get(id) else {
        return Err(refuse(400, format!("Error fetching objects to export: [search/{id}] not found")));
    };
    // A newer form: the columns have moved.
    let mut search = search.clone();
    let columns = search["attributes"].as_object_mut().unwrap().remove("columns");
    search["attributes"]["tabs"] = json!([{ "attributes": { "columns": columns } }]);
    search["typeMigrationVersion"] = json!("10.10.0");
    Ok(([("content-type", "application/ndjson")], search.to_string()).into_response())
}

async fn put_dashboard(
    State(held): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let mut held = held.lock();
    let known =
        ["title", "description", "panels", "pinned_panels", "time_range", "query", "filters", "options"];
    let value = write(&mut held, &headers, &body, &known)?;
    if value["title"].as_str().is_none_or(str::is_empty) {
        return Err(refuse(400, "[title]: expected a string"));
    }
    let mut taken = std::collections::BTreeSet::new();
    for panel in value["panels"].as_array().unwrap() {
        fields("panel", panel, &["type", "id", "grid", "config"])?;
        let at = |key: &str| panel["grid"][key].as_u64().ok_or_else(|| refuse(400, format!("[grid.{key}]")));
        if at("x")? + at("w")? > 48 {
            return Err(refuse(400, "a panel leaves the grid"));
        }
        for cell in (at("y")?..at("y")? + at("h")?).flat_map(|y| (0..48).map(move |x| (x, y))) {
            if (at("x")?..at("x")? + at("w")?).contains(&cell.0) {
                assert!(taken.insert(cell), "{id}: panels overlap at {cell:?}");
            }
        }
        vis(&panel["config"], &held.views)?;
    }
    held.dashboards.insert(id.clone(), value);
    Ok(dashboard(&id, &held.dashboards[&id]))
}

/// The three kinds of chart that are used, each with the fields that it may have.
fn vis(config: &Value, views: &BTreeMap<String, Value>) -> Result<(), Response> {
    let source = |source: &Value| {
        fields("data_source", source, &["type", "ref_id"])?;
        let known =
            source["type"] == "data_view_reference" && views.contains_key(source["ref_id"].as_str().unwrap());
        if known { Ok(()) } else { Err(refuse(400, format!("no data view {source}"))) }
    };
    let terms = |value: &Value| {
        fields("terms", value, &["operation", "fields", "limit", "rank_by"])?;
        if value["operation"] == "terms" { Ok(()) } else { Err(refuse(400, "operation")) }
    };
    fields("query", &config["query"], &["expression", "language"])?;
    match config["type"].as_str() {
        Some("metric") => {
            fields("metric", config, &["type", "title", "data_source", "query", "metrics"])?;
            fields("metrics", &config["metrics"][0], &["type", "operation", "label", "field"])?;
            source(&config["data_source"])
        }
        Some("xy") => {
            fields("xy", config, &["type", "title", "query", "legend", "axis", "layers"])?;
            let layer = &config["layers"][0];
            fields("layer", layer, &["type", "data_source", "x", "y", "breakdown_by"])?;
            assert_eq!(layer["x"]["operation"], "date_histogram");
            terms(&layer["breakdown_by"])?;
            source(&layer["data_source"])
        }
        Some("data_table") => {
            fields("data_table", config, &["type", "title", "data_source", "query", "metrics", "rows"])?;
            terms(&config["rows"][0])?;
            source(&config["data_source"])
        }
        other => Err(refuse(400, format!("[config.type]: {other:?}"))),
    }
}

fn dashboard(id: &str, held: &Value) -> Response {
    let mut data = held.clone();
    data["options"] = json!({ "hide_panel_titles": false, "use_margins": true });
    for panel in data["panels"].as_array_mut().unwrap() {
        panel["config"]["sampling"] = json!(1);
        panel["config"]["ignore_global_filters"] = json!(false);
    }
    answer(json!({ "id": id, "data": data, "meta": { "managed": false } }))
}

async fn read_dashboard(State(held): State<Shared>, Path(id): Path<String>) -> Response {
    match held.lock().dashboards.get(&id) {
        Some(held) => dashboard(&id, held),
        None => refuse(404, "not found"),
    }
}
