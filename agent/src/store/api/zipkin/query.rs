//! The parameters of a search for traces, to a query over spans. Pure.

use std::collections::HashMap;
use std::ops::Bound;

use super::Refused;
use crate::store::events::record::QUERY_PATH;
use crate::store::query::Node;

const DAY_MS: i64 = 86_400_000;
const MOST_TRACES: usize = 1000;

/// A search for traces.
#[derive(Debug)]
pub(super) struct TraceQuery {
    pub(super) node: Node,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) limit: usize,
}

impl TraceQuery {
    /// Reads what `GET /api/v2/traces` takes, with Zipkin's defaults.
    pub(super) fn read(parameters: &HashMap<String, String>, now_ms: i64) -> Result<Self, Refused> {
        let text = |key: &str| {
            parameters.get(key).map(String::as_str).filter(|text| !text.is_empty() && *text != "all")
        };
        let number = |key: &str| -> Result<Option<i64>, Refused> {
            text(key)
                .map(|text| {
                    text.parse()
                        .ok()
                        .filter(|n| *n > 0)
                        .ok_or_else(|| Refused::bad(format!("{key} must be a positive number, found {text}")))
                })
                .transpose()
        };
        let value =
            |field: &str, text: &str| Node::Value { field: Some(field.to_owned()), text: text.to_owned() };
        let mut all = Vec::new();
        if let Some(name) = text("serviceName") {
            all.push(value("localEndpoint.serviceName", &name.to_lowercase()));
        }
        if let Some(name) = text("remoteServiceName") {
            all.push(value("remoteEndpoint.serviceName", &name.to_lowercase()));
        }
        if let Some(name) = text("spanName") {
            all.push(value("name", &name.to_lowercase()));
        }
        let (least, most) = (number("minDuration")?, number("maxDuration")?);
        if let (Some(_), None) = (most, least) {
            return Err(Refused::bad("maxDuration is only valid with minDuration"));
        }
        if let (Some(least), Some(most)) = (least, most)
            && most < least
        {
            return Err(Refused::bad("maxDuration should be >= minDuration"));
        }
        if least.is_some() {
            let bound = |n: Option<i64>| n.map_or(Bound::Unbounded, |n| Bound::Included(n.to_string()));
            all.push(Node::Range { field: "duration".to_owned(), lower: bound(least), upper: bound(most) });
        }
        for part in text("annotationQuery").unwrap_or_default().split(" and ") {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let part = match part.split_once('=') {
                Some((key, text)) => format!("{}={}", key.trim(), text.trim()),
                None => part.to_owned(),
            };
            all.push(value(QUERY_PATH, &part));
        }
        let end = number("endTs")?.unwrap_or(now_ms);
        let lookback = number("lookback")?.unwrap_or(DAY_MS);
        let limit = number("limit")?.unwrap_or(10);
        Ok(TraceQuery {
            node: if all.is_empty() { Node::All } else { Node::And(all) },
            from_ms: end.saturating_sub(lookback),
            to_ms: end.saturating_add(1),
            limit: usize::try_from(limit).unwrap_or(MOST_TRACES).min(MOST_TRACES),
        })
    }
}
