//! Elasticsearch's `_bulk`, as far as log shippers use it, so that Filebeat, Fluent Bit and its clients can point here.
//!
//! Documents become records like any other; the client's index is not kept, its `_id` is, so that its retries do not
//! double.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};

use super::handshake::{JSON, PRODUCT};
use super::http::Shared;
use crate::json;
use crate::logs::events;
use crate::logs::record::{Batch, Policy, Scratch, Source};
use crate::logs::timestamp::Nanos;

/// What became of one item.
struct Item {
    verb: &'static str,
    index: String,
    id: String,
    error: Option<&'static str>,
}

/// `POST /_bulk` and `/{index}/_bulk`.
pub(super) async fn bulk(shared: &Shared, request: Request) -> Response {
    if !matches!(*request.method(), Method::POST | Method::PUT) {
        return (StatusCode::METHOD_NOT_ALLOWED, [PRODUCT], "").into_response();
    }
    let headers = request.headers().clone();
    let path = request.uri().path().trim_matches('/');
    let index = path.strip_suffix("_bulk").unwrap_or_default().trim_end_matches('/').to_owned();
    let max_line = shared.max_line();
    let taken = shared
        .take(&headers, request, |body, policy, source, now, scratch, batch| {
            items(body, &index, max_line, policy, source, now, scratch, batch)
        })
        .await;
    let answer = match taken {
        Ok((items, ticket)) => shared.safe(ticket).await.map(|()| items),
        Err(response) => Err(response),
    };
    match answer {
        Ok(items) => ([PRODUCT, JSON], reply(&items)).into_response(),
        Err(mut response) => {
            response.headers_mut().insert(PRODUCT.0, PRODUCT.1);
            response
        }
    }
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Action {
    create: Option<Target>,
    index: Option<Target>,
    update: Option<Target>,
    delete: Option<Target>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Target {
    _index: Option<String>,
    _id: Option<String>,
}

#[allow(clippy::too_many_arguments)] // they are the lane's working set, passed on as it came
fn items(
    body: &[u8],
    default_index: &str,
    max_line: usize,
    policy: &Policy,
    source: Source<'_>,
    now: Nanos,
    scratch: &mut Scratch,
    batch: &mut Batch,
) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut lines = body.split(|&b| b == b'\n').filter(|line| !line.trim_ascii().is_empty());
    while let Some(line) = lines.next() {
        let action: Action =
            serde_json::from_slice(line).map_err(|e| format!("item {}: not an action: {e}", items.len()))?;
        let (verb, target) = match action {
            Action { create: Some(target), .. } => ("create", target),
            Action { index: Some(target), .. } => ("index", target),
            Action { update: Some(target), .. } => ("update", target),
            Action { delete: Some(target), .. } => ("delete", target),
            _ => return Err(format!("item {}: not an action of _bulk", items.len())),
        };
        let mut item = Item {
            verb,
            index: target._index.unwrap_or_else(|| default_index.to_owned()),
            id: target._id.unwrap_or_default(),
            error: None,
        };
        if verb == "delete" {
            item.error = Some("delete is not taken: log records are only added");
        } else {
            let document =
                lines.next().ok_or_else(|| format!("item {}: its document is missing", items.len()))?;
            item.error = take(document, &item, max_line, policy, source, now, scratch, batch);
        }
        items.push(item);
    }
    Ok(items)
}

#[allow(clippy::too_many_arguments)] // see `items`
fn take(
    document: &[u8],
    item: &Item,
    max_line: usize,
    policy: &Policy,
    source: Source<'_>,
    now: Nanos,
    scratch: &mut Scratch,
    batch: &mut Batch,
) -> Option<&'static str> {
    let (reason, error) = if item.verb == "update" {
        ("bulk_item", "update is not taken: log records are only added")
    } else if document.len() > max_line {
        ("line_too_long", "the document is larger than logs.max_line")
    } else if item.id.len() > 255 {
        ("bulk_item", "_id is longer than 255 bytes")
    } else if std::str::from_utf8(document).is_err() {
        ("invalid_utf8", "the document is not utf-8")
    } else {
        let id = (!item.id.is_empty()).then_some(&*item.id);
        match policy.object(document, source, now, id, scratch, batch) {
            Ok(end) if document[end..].trim_ascii().is_empty() => return None,
            _ => ("bulk_item", "the document is not a json object"),
        }
    };
    events::rejected(reason, 1);
    Some(error)
}

fn reply(items: &[Item]) -> Vec<u8> {
    let errors = items.iter().any(|item| item.error.is_some());
    let mut out = format!("{{\"took\":0,\"errors\":{errors},\"items\":[").into_bytes();
    for (n, item) in items.iter().enumerate() {
        out.extend_from_slice(if n == 0 { b"{\"" } else { b",{\"" });
        out.extend_from_slice(item.verb.as_bytes());
        out.extend_from_slice(b"\":{\"_index\":");
        json::string(&mut out, item.index.as_bytes());
        out.extend_from_slice(b",\"_id\":");
        json::string(&mut out, item.id.as_bytes());
        match item.error {
            None => out.extend_from_slice(b",\"_version\":1,\"result\":\"created\",\"status\":201}}"),
            Some(reason) => {
                out.extend_from_slice(
                    b",\"status\":400,\"error\":{\"type\":\"illegal_argument_exception\",\"reason\":",
                );
                json::string(&mut out, reason.as_bytes());
                out.extend_from_slice(b"}}}");
            }
        }
    }
    out.extend_from_slice(b"]}");
    out
}
