//! The dashboards that the page draws: those of the program, and any classic Grafana file that somebody puts into a folder.
//!
//! The files are handed out as they are; the page reads them. A file of the folder with a built-in dashboard's uid replaces it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as Segment, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

/// Larger files are refused: no dashboard is that large.
const MOST_BYTES: u64 = 4 << 20;
/// Files of the folder that are read.
const MOST_FILES: usize = 500;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/grafana/", $name, ".json"))),*]
    };
}

static BUILT_IN: [&str; 11] = files![
    "home",
    "service",
    "handler",
    "dependencies",
    "panics",
    "health",
    "trends",
    "security",
    "agent",
    "logs",
    "traces",
];

type Folder = Option<Arc<Path>>;

/// `GET /api/dashboards`: what there is, and which files could not be read; `GET /api/dashboards/UID`: one of them.
pub fn router(folder: Option<PathBuf>) -> Router {
    Router::new()
        .route("/api/dashboards", get(list))
        .route("/api/dashboards/{uid}", get(one))
        .with_state(folder.map(Arc::from))
}

struct Board {
    uid: String,
    text: Bytes,
    value: Value,
    file: Option<String>,
}

/// All dashboards in order, and `file: reason` of those that are none.
fn read(folder: Option<&Path>) -> (Vec<Board>, Vec<String>) {
    let mut boards = Vec::new();
    let mut refused = Vec::new();
    for text in BUILT_IN {
        // The generator's test asserts that each is a dashboard with a uid.
        if let Ok(board) = parse(Bytes::from_static(text.as_bytes()), "", None) {
            boards.push(board);
        }
    }
    let Some(folder) = folder else { return (boards, refused) };
    let mut own: BTreeMap<String, Board> = BTreeMap::new();
    match files_of(folder) {
        Err(error) => refused.push(format!("{}: {error}", folder.display())),
        Ok(files) => {
            for (name, path) in files {
                let stem = name.trim_end_matches(".json").to_owned();
                match load(&path).and_then(|text| parse(text, &stem, Some(name.clone()))) {
                    Ok(board) => match own.get(&board.uid) {
                        Some(first) => refused.push(format!(
                            "{name}: its uid '{}' is taken by {}",
                            board.uid,
                            first.file.as_deref().unwrap_or("another file")
                        )),
                        None => drop(own.insert(board.uid.clone(), board)),
                    },
                    Err(reason) => refused.push(format!("{name}: {reason}")),
                }
            }
        }
    }
    boards.retain(|board| !own.contains_key(&board.uid));
    boards.extend(own.into_values());
    (boards, refused)
}

fn files_of(folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut files: Vec<(String, PathBuf)> = std::fs::read_dir(folder)?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            (name.ends_with(".json") && !name.starts_with('.')).then_some((name, path))
        })
        .collect();
    files.sort();
    files.truncate(MOST_FILES);
    Ok(files)
}

fn load(path: &Path) -> Result<Bytes, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MOST_BYTES {
        return Err(format!("{size} bytes; a dashboard has at most {MOST_BYTES}"));
    }
    std::fs::read(path).map(Bytes::from).map_err(|error| error.to_string())
}

/// A dashboard in Grafana's classic form, alone or as the API exports it (`{"dashboard": …}`).
fn parse(text: Bytes, stem: &str, file: Option<String>) -> Result<Board, String> {
    let value: Value = serde_json::from_slice(&text).map_err(|error| format!("not JSON: {error}"))?;
    let (value, text) = match value {
        Value::Object(mut map) if map.get("dashboard").is_some_and(Value::is_object) => {
            let inner = map.remove("dashboard").unwrap_or_default();
            let text = Bytes::from(inner.to_string());
            (inner, text)
        }
        value => (value, text),
    };
    if value.get("apiVersion").is_some() && value.get("spec").is_some() {
        return Err("this is Grafana's new resource form; export it in the classic model".to_owned());
    }
    if !value["panels"].is_array() && !value["rows"].is_array() {
        return Err("not a dashboard: it has neither 'panels' nor 'rows'".to_owned());
    }
    let uid = value["uid"].as_str().filter(|uid| !uid.is_empty()).unwrap_or(stem).to_owned();
    Ok(Board { uid, text, value, file })
}

/// Panels of a dashboard, those in rows among them, whether they lie open, are collapsed, or of the oldest form.
fn panels_in(value: &Value) -> usize {
    let of = |key: &str| value[key].as_array().into_iter().flatten();
    of("panels").map(|panel| if panel["type"] == "row" { panels_in(panel) } else { 1 }).sum::<usize>()
        + of("rows").map(panels_in).sum::<usize>()
}

/// Runs `work` where reading files holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Response> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn list(State(folder): State<Folder>) -> Result<Response, Response> {
    let (boards, refused) = blocking(move || read(folder.as_deref())).await?;
    let shown: Vec<Value> = boards
        .iter()
        .map(|board| {
            json!({
                "uid": board.uid, "title": board.value["title"].as_str().unwrap_or(&board.uid),
                "description": board.value["description"].as_str().unwrap_or_default(),
                "tags": board.value["tags"], "file": board.file,
                "panels": panels_in(&board.value),
            })
        })
        .collect();
    Ok(axum::Json(json!({ "dashboards": shown, "refused": refused })).into_response())
}

async fn one(State(folder): State<Folder>, Segment(uid): Segment<String>) -> Result<Response, Response> {
    let wanted = uid.clone();
    let found = blocking(move || read(folder.as_deref()).0.into_iter().find(|b| b.uid == wanted)).await?;
    Ok(match found {
        Some(board) => ([(header::CONTENT_TYPE, "application/json")], board.text).into_response(),
        None => {
            let message = json!({ "error": format!("there is no dashboard with the uid '{uid}'") });
            (StatusCode::NOT_FOUND, axum::Json(message)).into_response()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, read};

    #[test]
    fn every_file_of_the_generator_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/grafana");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), BUILT_IN.len());
        assert_eq!(read(None).0.len(), BUILT_IN.len());
    }

    #[test]
    fn a_folder_adds_and_replaces_and_bad_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put(
            "nodes.json",
            r#"{"title": "Nodes", "panels": [{"type": "stat"}, {"type": "row", "panels": [{"type": "text"}]}], "rows": [{"panels": [{}]}]}"#,
        );
        put("home.json", r#"{"uid": "sightline-home", "title": "Mine", "panels": []}"#);
        put("exported.json", r#"{"meta": {}, "dashboard": {"uid": "x", "title": "X", "rows": []}}"#);
        put("twice.json", r#"{"uid": "x", "panels": []}"#);
        put("broken.json", "{");
        put("other.json", r#"{"a": 1}"#);
        put("v2.json", r#"{"apiVersion": "dashboard.grafana.app/v2", "spec": {}}"#);
        put("notes.txt", "not looked at");
        let (boards, refused) = read(Some(folder.path()));
        let uids: Vec<&str> = boards.iter().map(|b| b.uid.as_str()).collect();
        assert_eq!(uids.len(), BUILT_IN.len() + 2, "{uids:?}");
        assert!(uids.contains(&"nodes") && uids.contains(&"x"));
        let nodes = boards.iter().find(|b| b.uid == "nodes").unwrap();
        assert_eq!(super::panels_in(&nodes.value), 3);
        assert_eq!(boards.iter().find(|b| b.uid == "sightline-home").unwrap().value["title"], "Mine");
        let named: Vec<&str> = refused.iter().map(|r| r.split(':').next().unwrap()).collect();
        assert_eq!(named, ["broken.json", "other.json", "twice.json", "v2.json"]);
        assert!(read(Some(&folder.path().join("absent"))).1[0].contains("absent"));
    }
}
