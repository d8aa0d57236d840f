//! Data views, saved searches and dashboards in Kibana, by its documented interfaces, each read back.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::http::Server;
use super::report::{Change, Report};
use super::wait::{self, Not};
use super::{Args, Login, content, differences};

pub(super) async fn apply(
    url: &str,
    login: Option<&Login>,
    args: &Args,
    report: &mut Report,
) -> anyhow::Result<()> {
    let server = Server::new(url, login, args)?;
    let what = format!("kibana at {url}");
    let ready = wait::until(&what, args.wait.0, login.is_some(), async || available(&server).await);
    if let Err(ended) = ready.await {
        report.gave_up(&what, ended);
        return Ok(());
    }
    let views = content::kibana("data-views")?;
    for view in &views {
        report.note(format!("data view {}", id(view)), result(data_view(&server, view).await));
    }
    if let Some(first) = views.first() {
        report.note("default data view", result(default_view(&server, id(first)).await));
    }
    for search in content::kibana("searches")? {
        report.note(format!("saved search {}", id(&search)), result(saved_search(&server, &search).await));
    }
    for dashboard in content::kibana("dashboards")? {
        report.note(
            format!("dashboard {}", id(&dashboard)),
            result(self::dashboard(&server, &dashboard).await),
        );
    }
    Ok(())
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap_or_default()
}

fn result(attempt: Result<Change, String>) -> Change {
    attempt.unwrap_or_else(Change::Failed)
}

/// A redirect to the login page, or 200 with another level, is not ready.
async fn available(server: &Server) -> Result<(), Not> {
    let answer = server.ask(Method::GET, "/api/status", None).await.map_err(Not::Ready)?;
    let level = answer.json()["status"]["overall"]["level"].as_str().unwrap_or("unknown").to_owned();
    if answer.status.is_success() && level == "available" {
        return Ok(());
    }
    let said = format!("it answers {} and says it is {level}", answer.status.as_u16());
    let refused = matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    Err(if refused { Not::Allowed(said) } else { Not::Ready(said) })
}

/// The object at `path`, from where `inside` finds it in the answer; `None` when it is not there.
async fn held(server: &Server, path: &str, inside: &str) -> Result<Option<Value>, String> {
    let answer = server.ask(Method::GET, path, None).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    Ok(Some(answer.accepted()?[inside].clone()))
}

/// Compares what is read back with what was wanted.
fn verdict(wanted: &Value, after: Option<&Value>, existed: bool) -> Change {
    match after.and_then(|after| differences::first(wanted, after).map(|d| format!("written, but {d}"))) {
        Some(difference) => Change::Failed(difference),
        None if after.is_none() => Change::Failed("written, but it is not there".to_owned()),
        None if existed => Change::Updated,
        None => Change::Created,
    }
}

async fn data_view(server: &Server, view: &Value) -> Result<Change, String> {
    let path = format!("/api/data_views/data_view/{}", id(view));
    let before = held(server, &path, "data_view").await?;
    if before.as_ref().is_some_and(|before| differences::first(view, before).is_none()) {
        return Ok(Change::Unchanged);
    }
    match &before {
        None => {
            let body = json!({ "data_view": view, "override": true });
            server.ask(Method::POST, "/api/data_views/data_view", Some(&body)).await?.accepted()?;
        }
        Some(_) => {
            let mut changed = view.clone();
            if let Value::Object(fields) = &mut changed {
                fields.remove("id"); // it is in the path, and refused in the body
            }
            server.ask(Method::POST, &path, Some(&json!({ "data_view": changed }))).await?.accepted()?;
        }
    }
    Ok(verdict(view, held(server, &path, "data_view").await?.as_ref(), before.is_some()))
}

async fn default_view(server: &Server, id: &str) -> Result<Change, String> {
    let path = "/api/data_views/default";
    if held(server, path, "data_view_id").await?.as_ref() == Some(&json!(id)) {
        return Ok(Change::Unchanged);
    }
    let body = json!({ "data_view_id": id, "force": true });
    server.ask(Method::POST, path, Some(&body)).await?.accepted()?;
    Ok(verdict(&json!(id), held(server, path, "data_view_id").await?.as_ref(), true))
}

/// Saved searches have no interface of their own yet: they are imported, and exported to be compared. A newer Kibana
/// gives them back in its own form, so what is compared is what stays: the description ends with a mark of the content.
async fn saved_search(server: &Server, search: &Value) -> Result<Change, String> {
    let stays = json!({
        "type": search["type"], "id": search["id"], "references": search["references"],
        "attributes": {
            "title": search["attributes"]["title"], "description": search["attributes"]["description"]
        }
    });
    let before = exported(server, search).await?;
    if before.as_ref().is_some_and(|before| differences::first(&stays, before).is_none()) {
        return Ok(Change::Unchanged);
    }
    let answer = server
        .upload("/api/saved_objects/_import?overwrite=true", "search.ndjson", &search.to_string())
        .await?;
    let said = answer.accepted()?;
    // A refused import is answered with 200.
    if said["success"] != true {
        return Err(format!("the import was refused: {}", said["errors"]));
    }
    Ok(verdict(&stays, exported(server, search).await?.as_ref(), before.is_some()))
}

async fn exported(server: &Server, search: &Value) -> Result<Option<Value>, String> {
    let body = json!({
        "objects": [{ "type": search["type"], "id": search["id"] }],
        "excludeExportDetails": true
    });
    let answer = server.ask(Method::POST, "/api/saved_objects/_export", Some(&body)).await?;
    // An object that is not there makes the whole export a bad request.
    if answer.status == StatusCode::BAD_REQUEST && answer.text.contains("not found") {
        return Ok(None);
    }
    if !answer.status.is_success() {
        return answer.accepted().map(Some);
    }
    let line = answer.text.lines().next().unwrap_or_default();
    serde_json::from_str(line).map(Some).map_err(|error| format!("the export cannot be read: {error}"))
}

async fn dashboard(server: &Server, dashboard: &Value) -> Result<Change, String> {
    let path = format!("/api/dashboards/{}", id(dashboard));
    let body = &dashboard["body"];
    let before = held(server, &path, "data").await?;
    if before.as_ref().is_some_and(|before| differences::first(body, before).is_none()) {
        return Ok(Change::Unchanged);
    }
    server.ask(Method::PUT, &path, Some(body)).await?.accepted()?;
    Ok(verdict(body, held(server, &path, "data").await?.as_ref(), before.is_some()))
}
