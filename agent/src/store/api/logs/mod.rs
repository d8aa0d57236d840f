//! What a page about logs needs beside searching: live tail, neighbours of a record, download, values for a side bar.

mod export;
mod fields;
mod surrounding;
mod tail;

use std::collections::HashMap;

use axum::Router;
use axum::routing::get;

use super::{Api, Refusal};
use crate::store::events::{Lane, Selection};
use crate::store::query::{Node, Operator, dates, parse};

/// The routes below `/api/logs`.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/logs/tail", get(tail::tail))
        .route("/api/logs/surrounding", get(surrounding::surrounding))
        .route("/api/logs/export", get(export::export))
        .route("/api/logs/fields", get(fields::fields))
        .with_state(api)
}

/// Parameters of an address.
pub(super) type Parameters = HashMap<String, String>;

/// `q`, and `default_operator` as in `_search`.
pub(super) fn query_of(parameters: &Parameters) -> Result<Node, Refusal> {
    let operator = match parameters.get("default_operator") {
        Some(word) if word.eq_ignore_ascii_case("and") => Operator::And,
        _ => Operator::Or,
    };
    let text =
        parameters.get("q").or_else(|| parameters.get("query")).map(String::as_str).unwrap_or_default();
    Ok(parse(text, operator)?)
}

/// `from` and `to`: RFC 3339, `now-15m`, or milliseconds since 1970; `to` is included.
pub(super) fn range_of(parameters: &Parameters, now_ms: i64) -> Result<(Option<i64>, Option<i64>), Refusal> {
    let read = |key: &str| -> Result<Option<(i64, i64)>, Refusal> {
        match parameters.get(key).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => dates::interval(text, now_ms).map(Some).ok_or_else(|| {
                Refusal::bad(format!(
                    "`{key}` is not a time: write 2026-11-24T10:00:00Z, now-15m or milliseconds since 1970"
                ))
            }),
        }
    };
    Ok((read("from")?.map(|(first, _)| first), read("to")?.map(|(_, end)| end)))
}

/// `size` or `limit` within a bound.
pub(super) fn size_of(
    parameters: &Parameters,
    key: &str,
    default: usize,
    most: usize,
) -> Result<usize, Refusal> {
    match parameters.get(key) {
        None => Ok(default),
        Some(text) => match text.parse::<usize>() {
            Ok(number) => Ok(number.min(most)),
            Err(_) => Err(Refusal::bad(format!("`{key}` must be a whole number, at most {most}"))),
        },
    }
}

/// What `q`, `from` and `to` select.
pub(super) fn select(lane: &Lane, parameters: &Parameters) -> Result<Selection, Refusal> {
    let (from, to) = range_of(parameters, (lane.clock)())?;
    Ok(lane.select(&query_of(parameters)?, from, to)?)
}

#[cfg(test)]
mod tests;
