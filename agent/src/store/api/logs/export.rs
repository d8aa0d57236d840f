//! All records of a search as a download: NDJSON or CSV, page by page, so that memory stays bounded.

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Map, Value};

use sightline_instrument::wire::field;

use super::{Parameters, select, size_of};
use crate::store::api::{Api, Refusal};
use crate::store::csv::{cell, row};
use crate::store::events::{EventStore, Search, Selection, Sort};

const PAGE: usize = 1000;
const MOST: usize = 1_000_000;
/// Columns of a CSV for which nobody named any.
const COLUMNS: [&str; 8] = [
    field::TIMESTAMP,
    field::LEVEL,
    field::SERVICE_NAME,
    field::HOST_NAME,
    field::HTTP_REQUEST_ID,
    field::HANDLER,
    field::STATUS,
    field::MESSAGE,
];

struct Pages {
    api: Api,
    selection: Selection,
    columns: Option<Vec<String>>,
    descending: bool,
    after: Option<(i64, Option<u64>)>,
    left: usize,
    head: Option<String>,
}

/// `q`, `from`, `to`, `format` (`ndjson` or `csv`), `fields` (columns of the CSV), `order` (`asc`, `desc`), `limit`.
pub(super) async fn export(
    State(api): State<Api>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Refusal> {
    let mut selection = select(&api.events.logs, &parameters)?;
    // A download may take its time; the reader's pace bounds it.
    selection.budget = crate::store::query::scan::Budget::until(None);
    let left = size_of(&parameters, "limit", MOST, MOST)?;
    let columns = match parameters.get("format").map(String::as_str) {
        None | Some("ndjson" | "json") => None,
        Some("csv") => Some(match parameters.get("fields").filter(|names| !names.is_empty()) {
            Some(names) => names.split(',').map(str::to_owned).collect::<Vec<_>>(),
            None => COLUMNS.iter().map(|name| (*name).to_owned()).collect(),
        }),
        Some(other) => return Err(Refusal::bad(format!("`format` is ndjson or csv, not `{other}`"))),
    };
    let descending = parameters.get("order").is_none_or(|order| order != "asc");
    let (kind, name) = if columns.is_some() {
        ("text/csv; charset=utf-8", "logs.csv")
    } else {
        ("application/x-ndjson", "logs.ndjson")
    };
    let head = columns.as_ref().map(|columns| {
        let mut line = String::new();
        row(&mut line, columns.iter().map(String::as_str));
        line
    });
    let pages = Pages { api, selection, columns, descending, after: None, left, head };
    let body = Body::from_stream(stream::unfold(pages, |mut pages| async move {
        let page = pages.next().await?;
        Some((Ok::<_, std::io::Error>(page), pages))
    }));
    let disposition = format!("attachment; filename=\"{name}\"");
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body)
        .into_response())
}

impl Pages {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(head) = self.head.take() {
            return Some(Bytes::from(head));
        }
        let limit = PAGE.min(self.left);
        let search = Search {
            selection: self.selection.clone(),
            limit,
            offset: 0,
            sort: Sort::Time { descending: self.descending },
            after: self.after,
        };
        let hits = self.api.run(move |events| events.logs.search(&search)).await.ok()?.value;
        let last = hits.last()?;
        self.after = Some((last.at_ms, Some(last.order)));
        self.left -= hits.len();
        let mut out = Vec::with_capacity(hits.iter().map(|hit| hit.source.len() + 1).sum());
        for hit in &hits {
            match &self.columns {
                None => {
                    out.extend_from_slice(&hit.source);
                    out.push(b'\n');
                }
                Some(columns) => {
                    let source: Map<String, Value> = serde_json::from_slice(&hit.source).unwrap_or_default();
                    let values: Vec<String> = columns.iter().map(|name| cell(&source, name)).collect();
                    let mut line = String::new();
                    row(&mut line, values.iter().map(String::as_str));
                    out.extend_from_slice(line.as_bytes());
                }
            }
        }
        Some(Bytes::from(out))
    }
}
