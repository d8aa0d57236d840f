//! Templates and retention in Elasticsearch, each compared, written if it differs, and read back.

use elasticsearch::Elasticsearch;
use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::HeaderMap;
use elasticsearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use elasticsearch::http::{Method, Url};
use serde_json::{Value, json};

use super::content::{self, Kind, Object};
use super::report::{Change, Report};
use super::wait::Not;
use super::{Args, Login, authorities, differences, security, wait};

/// Why an object of the server could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The server has no such interface: a distribution or a service without that feature.
    #[error("this server does not have {0}")]
    Absent(String),
    /// It refused.
    #[error("{status}: {reason}")]
    Refused { status: u16, reason: String },
    /// It could not be asked.
    #[error("{0}")]
    Connection(String),
}

/// A server to ask.
#[derive(Clone)]
pub(super) struct Server {
    client: Elasticsearch,
    headers: HeaderMap,
}

impl Server {
    pub(super) fn new(
        url: &str,
        login: Option<&Login>,
        ca: Option<&std::path::Path>,
    ) -> anyhow::Result<Self> {
        let url = Url::parse(url).map_err(|error| anyhow::anyhow!("'{url}' is not an address: {error}"))?;
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url))
            .disable_proxy()
            .timeout(std::time::Duration::from_secs(30));
        if let Some(login) = login {
            builder = builder.auth(Credentials::Basic(login.name.clone(), login.password.clone()));
        }
        if let Some(file) = ca {
            authorities(file)?;
            builder = builder
                .cert_validation(CertificateValidation::Full(Certificate::from_pem(&std::fs::read(file)?)?));
        }
        Ok(Server { client: Elasticsearch::new(builder.build()?), headers: HeaderMap::new() })
    }

    /// One request; `Ok(None)` is 404.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, Error> {
        let body = body.map(|body| body.to_string());
        let answer = self
            .client
            .send(method, path, self.headers.clone(), None::<&()>, body, None)
            .await
            .map_err(|error| Error::Connection(chain(&error)))?;
        let status = answer.status_code().as_u16();
        let text = answer.text().await.map_err(|error| Error::Connection(chain(&error)))?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        match status {
            200..300 => Ok(Some(value)),
            // A path nobody handles is 400 or 405; an object that is not there is 404.
            400 | 405 if text.contains("no handler found") || text.contains("Incorrect HTTP method") => {
                Err(Error::Absent(path.split('?').next().unwrap_or(path).to_owned()))
            }
            404 => Ok(None),
            _ => Err(Error::Refused { status, reason: reason(&value, &text) }),
        }
    }
}

/// What the server says is wrong, with its root cause.
fn reason(value: &Value, text: &str) -> String {
    let error = &value["error"];
    let said = error["reason"].as_str().unwrap_or(text);
    match error["caused_by"]["reason"].as_str() {
        Some(cause) => format!("{said}: {cause}"),
        None => said.chars().take(300).collect(),
    }
}

/// An error with everything below it: "connection refused" is the part that helps.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !out.contains(&text) {
            out = format!("{out}: {text}");
        }
        next = cause.source();
    }
    out
}

pub(super) async fn apply(
    url: &str,
    login: Option<&Login>,
    args: &Args,
    report: &mut Report,
) -> anyhow::Result<()> {
    let server = Server::new(url, login, args.ca_file.as_deref())?;
    let what = format!("elasticsearch at {url}");
    let ready = wait::until(&what, args.wait.0, login.is_some(), async || {
        let answer = server.ask(Method::Get, "/_cluster/health?local=true", None).await;
        answer.map(drop).map_err(|error| match error {
            Error::Refused { status: 401 | 403, .. } => Not::Allowed(error.to_string()),
            _ => Not::Ready(error.to_string()),
        })
    });
    if let Err(ended) = ready.await {
        report.gave_up(&what, ended);
        return Ok(());
    }
    for object in content::elasticsearch()? {
        match object.kind {
            Kind::Role if args.users.is_none() => {}
            Kind::User => {
                if let Some(folder) = &args.users {
                    security::user(&server, url, &object, folder, args, report).await?;
                }
            }
            Kind::LifecyclePolicy | Kind::LegacyTemplate if args.without_span_retention => {
                report.note(label(&object), Change::Skipped("--without-span-retention"));
            }
            _ => {
                let object = adjusted(object, args);
                let change = put(&server, &object).await;
                report.note(label(&object), change);
            }
        }
    }
    if let Some(folder) = &args.users {
        security::built_in(&server, url, "kibana_system", folder, args, report).await?;
    }
    existing_streams(&server, args, report).await;
    Ok(())
}

/// The retention that was asked for, in place of the usual one.
fn adjusted(mut object: Object, args: &Args) -> Object {
    match (object.kind, object.name) {
        (Kind::IndexTemplate, "sightline-audit") => {
            object.body["template"]["lifecycle"]["data_retention"] = json!(args.audit_retention);
        }
        (Kind::IndexTemplate, _) => {
            object.body["template"]["lifecycle"]["data_retention"] = json!(args.log_retention);
        }
        (Kind::LifecyclePolicy, _) => {
            object.body["policy"]["phases"]["delete"]["min_age"] = json!(args.span_retention);
        }
        _ => {}
    }
    object
}

pub(super) fn label(object: &Object) -> String {
    let kind = match object.kind {
        Kind::ComponentTemplate => "component template",
        Kind::IndexTemplate => "index template",
        Kind::LifecyclePolicy => "lifecycle policy",
        Kind::LegacyTemplate => "legacy template",
        Kind::Role => "role",
        Kind::User => "user",
    };
    format!("{kind} {}", object.name)
}

fn path(object: &Object) -> String {
    let kind = match object.kind {
        Kind::ComponentTemplate => "_component_template",
        Kind::IndexTemplate => "_index_template",
        Kind::LifecyclePolicy => "_ilm/policy",
        Kind::LegacyTemplate => "_template",
        Kind::Role => "_security/role",
        Kind::User => "_security/user",
    };
    format!("/{kind}/{}", object.name)
}

/// What the server holds under the object's name.
async fn held(server: &Server, object: &Object) -> Result<Option<Value>, Error> {
    let Some(answer) = server.ask(Method::Get, &path(object), None).await? else { return Ok(None) };
    let inside = match object.kind {
        Kind::ComponentTemplate => &answer["component_templates"][0]["component_template"],
        Kind::IndexTemplate => &answer["index_templates"][0]["index_template"],
        _ => &answer[object.name],
    };
    Ok(Some(inside.clone()).filter(|value| !value.is_null()))
}

/// Compares, writes if it differs, reads back and compares again.
pub(super) async fn put(server: &Server, object: &Object) -> Change {
    let attempt = async {
        let before = held(server, object).await?;
        if before.as_ref().is_some_and(|held| differences::first(&object.body, held).is_none()) {
            return Ok(Change::Unchanged);
        }
        server.ask(Method::Put, &path(object), Some(&object.body)).await?;
        let after = held(server, object).await?.unwrap_or(Value::Null);
        Ok(match differences::first(&object.body, &after) {
            Some(difference) => Change::Failed(format!("written, but {difference}")),
            None if before.is_none() => Change::Created,
            None => Change::Updated,
        })
    };
    attempt.await.unwrap_or_else(|error: Error| Change::Failed(advice(object, &error)))
}

fn advice(object: &Object, error: &Error) -> String {
    match (object.kind, error) {
        (Kind::LifecyclePolicy | Kind::LegacyTemplate, _) => format!(
            "{error}; Zipkin's indices will be kept for ever. Where that is meant, say --without-span-retention"
        ),
        _ => error.to_string(),
    }
}

/// A template counts for new streams only: those that exist get its retention here.
async fn existing_streams(server: &Server, args: &Args, report: &mut Report) {
    let Ok(Some(answer)) = server.ask(Method::Get, "/_data_stream/logs-*", None).await else { return };
    for stream in answer["data_streams"].as_array().into_iter().flatten() {
        let (Some(name), Some(template)) = (stream["name"].as_str(), stream["template"].as_str()) else {
            continue;
        };
        let wanted = match template {
            "sightline-logs" => &args.log_retention,
            "sightline-audit" => &args.audit_retention,
            _ => continue,
        };
        if stream["lifecycle"]["data_retention"].as_str() == Some(wanted) {
            continue;
        }
        let body = json!({ "data_retention": wanted });
        let change =
            match server.ask(Method::Put, &format!("/_data_stream/{name}/_lifecycle"), Some(&body)).await {
                Ok(_) => Change::Updated,
                Err(error) => Change::Failed(error.to_string()),
            };
        report.note(format!("retention of {name}"), change);
    }
}
