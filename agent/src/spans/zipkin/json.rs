//! Zipkin v2 spans in JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Keep, Parts, Place, Refused, put};
use crate::receive::payloads::Payloads;
use crate::spans::span::{Head, Kind};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Span {
    trace_id: String,
    id: String,
    parent_id: Option<String>,
    name: Option<String>,
    kind: Option<String>,
    timestamp: Option<f64>,
    duration: Option<f64>,
    local_endpoint: Option<Endpoint>,
    remote_endpoint: Option<Endpoint>,
    annotations: Option<Vec<Annotation>>,
    tags: Option<BTreeMap<String, Value>>,
    debug: Option<bool>,
    shared: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    service_name: Option<String>,
    ipv4: Option<String>,
    ipv6: Option<String>,
    port: Option<u16>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Annotation {
    timestamp: f64,
    value: String,
}

/// Reads a list of spans; an entry without valid ids is refused alone.
pub fn translate(list: &[u8], out: &mut Payloads, keep: Keep<'_>) -> Result<Refused, String> {
    let spans: Vec<Span> = serde_json::from_slice(list).map_err(|e| format!("not a list of spans: {e}"))?;
    let mut refused = Refused::default();
    for span in &spans {
        if !one(span, out, keep) {
            refused.0 += 1;
        }
    }
    Ok(refused)
}

fn one(span: &Span, out: &mut Payloads, keep: Keep<'_>) -> bool {
    let Some(trace) = hex::<16>(&span.trace_id) else { return false };
    let Some(id) = hex::<8>(&span.id) else { return false };
    let head = Head {
        trace,
        id,
        // Some clients say that a root's parent is zero.
        parent: span.parent_id.as_deref().and_then(hex::<8>).unwrap_or_default(),
        name: span.name.as_deref().unwrap_or_default().as_bytes(),
        kind: match span.kind.as_deref() {
            Some("SERVER") => Some(Kind::Server),
            Some("CLIENT") => Some(Kind::Client),
            Some("PRODUCER") => Some(Kind::Producer),
            Some("CONSUMER") => Some(Kind::Consumer),
            _ => None,
        },
        timestamp: span.timestamp.unwrap_or_default() as u64,
        duration: span.duration.unwrap_or_default() as u64,
    };
    // Numbers and booleans, which some clients send, become text.
    let tags: Vec<(&str, Cow<'_, str>)> = span
        .tags
        .iter()
        .flatten()
        .filter_map(|(key, value)| match value {
            Value::String(text) => Some((&**key, Cow::Borrowed(&**text))),
            Value::Null => None,
            other => Some((&**key, Cow::Owned(other.to_string()))),
        })
        .collect();
    let annotations = span.annotations.as_deref().unwrap_or_default();
    let parts = Parts {
        local: place(span.local_endpoint.as_ref()),
        remote: place(span.remote_endpoint.as_ref()),
        annotations: annotations.iter().map(|a| (a.timestamp as u64, a.value.as_bytes())).collect(),
        tags: tags.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())).collect(),
        debug: span.debug.unwrap_or_default(),
        shared: span.shared.unwrap_or_default(),
    };
    put(&head, &parts, out, keep);
    true
}

fn place(endpoint: Option<&Endpoint>) -> Place<'_> {
    let Some(endpoint) = endpoint else { return Place::default() };
    let ip = [&endpoint.ipv4, &endpoint.ipv6].into_iter().flatten().find_map(|ip| ip.parse().ok());
    Place {
        service: endpoint.service_name.as_deref().unwrap_or_default().as_bytes(),
        ip,
        port: endpoint.port.unwrap_or_default(),
    }
}

/// Hexadecimal digits as bytes, filled with zeros on the left. `None` for no digits, too many, or all zeros.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() > 2 * N {
        return None;
    }
    let mut id = [0; N];
    for (place, &digit) in digits.iter().rev().enumerate() {
        let value = char::from(digit).to_digit(16)? as u8;
        id[N - 1 - place / 2] |= value << (4 * (place % 2));
    }
    (id != [0; N]).then_some(id)
}
