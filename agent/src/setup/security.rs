//! Users of Elasticsearch, each with a password from its own file and a role with the least rights that it needs.

use std::path::Path;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use super::content::Object;
use super::elasticsearch::{Error, Server, label};
use super::report::{Change, Report};
use super::{Args, Login, differences, secret};

/// Makes a user, or mends its roles or its password.
pub(super) async fn user(
    server: &Server,
    url: &str,
    object: &Object,
    folder: &Path,
    args: &Args,
    report: &mut Report,
) -> anyhow::Result<()> {
    let password = secret(&folder.join(object.name))?;
    let attempt = async {
        let path = format!("/_security/user/{}", object.name);
        let before = server.ask(Method::Get, &path, None).await?.map(|answer| answer[object.name].clone());
        let same = before.as_ref().is_some_and(|held| differences::first(&object.body, held).is_none());
        if same && signs_in(url, object.name, &password, args).await? {
            return Ok(Change::Unchanged);
        }
        let mut body = object.body.clone();
        body["password"] = json!(password);
        server.ask(Method::Put, &path, Some(&body)).await?;
        let after = server.ask(Method::Get, &path, None).await?.unwrap_or(Value::Null);
        if let Some(difference) = differences::first(&object.body, &after[object.name]) {
            return Ok(Change::Failed(format!("written, but {difference}")));
        }
        if !signs_in(url, object.name, &password, args).await? {
            return Ok(Change::Failed("written, but cannot sign in with its password".to_owned()));
        }
        Ok(if before.is_some() { Change::Updated } else { Change::Created })
    };
    let change = attempt.await.unwrap_or_else(|error: Error| Change::Failed(error.to_string()));
    report.note(label(object), change);
    Ok(())
}

/// Gives a user that the server brings its password.
pub(super) async fn built_in(
    server: &Server,
    url: &str,
    name: &str,
    folder: &Path,
    args: &Args,
    report: &mut Report,
) -> anyhow::Result<()> {
    let file = folder.join(name);
    if !file.exists() {
        return Ok(());
    }
    let password = secret(&file)?;
    let attempt = async {
        if signs_in(url, name, &password, args).await? {
            return Ok(Change::Unchanged);
        }
        let body = json!({ "password": password });
        server.ask(Method::Post, &format!("/_security/user/{name}/_password"), Some(&body)).await?;
        Ok(if signs_in(url, name, &password, args).await? {
            Change::Updated
        } else {
            Change::Failed("its password was set, but it cannot sign in".to_owned())
        })
    };
    let change = attempt.await.unwrap_or_else(|error: Error| Change::Failed(error.to_string()));
    report.note(format!("password of {name}"), change);
    Ok(())
}

/// A password cannot be read back: signing in with it is the proof.
async fn signs_in(url: &str, name: &str, password: &str, args: &Args) -> Result<bool, Error> {
    let login = Login { name: name.to_owned(), password: password.to_owned() };
    let server = Server::new(url, Some(&login), args.ca_file.as_deref())
        .map_err(|error| Error::Connection(error.to_string()))?;
    match server.ask(Method::Get, "/_security/_authenticate", None).await {
        Ok(answer) => Ok(answer.is_some_and(|answer| answer["username"] == name)),
        Err(Error::Refused { status: 401, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
