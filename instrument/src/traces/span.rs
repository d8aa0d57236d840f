//! A finished span as its thread leaves it: references and numbers, no text built.

use crate::context::Request;
use crate::ids::SpanIds;
use crate::metrics::operation::OperationCells;
use std::borrow::Cow;
use std::sync::Arc;

/// Where in a conversation a span stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Answers a request.
    Server,
    /// Asks another service or data store.
    Client,
    /// Neither.
    Internal,
}

#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only who sends them reads all of it"))]
pub(crate) struct SpanRecord {
    pub(crate) ids: SpanIds,
    /// 0 at the root.
    pub(crate) parent: u64,
    pub(crate) parent_remote: bool,
    pub(crate) role: Role,
    pub(crate) start_ns: u64,
    pub(crate) duration_ns: u64,
    /// What went wrong, if anything did.
    pub(crate) error: Option<Cow<'static, str>>,
    pub(crate) operation: Arc<OperationCells>,
    pub(crate) request: Option<Arc<Request>>,
    /// Of the answer, for server spans.
    pub(crate) status: u16,
    pub(crate) response_bytes: u64,
    pub(crate) attributes: Vec<(&'static str, Value)>,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
}

/// An attribute as it is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Attribute<'a> {
    Text(&'a str),
    Int(i64),
}

/// Takes attributes one by one.
type Put<'p> = &'p mut dyn FnMut(&'static str, Attribute<'_>);

impl SpanRecord {
    /// `POST` and `/helloworld` for servers; `sqlite` and `select_kittens` for the rest. A space between makes the name.
    pub(crate) fn name_parts(&self) -> (&str, Option<&str>) {
        match (&self.request, self.role) {
            (Some(request), Role::Server) => (request.method.as_str(), request.route.as_deref()),
            _ => (&self.operation.group, Some(&self.operation.segment)),
        }
    }

    /// OpenTelemetry's names for what is known, and ours that join a trace to its metric and its log.
    pub(crate) fn attributes(&self, put: Put<'_>) {
        use crate::wire::attribute;
        put(attribute::GROUP, Attribute::Text(&self.operation.group));
        put(attribute::SEGMENT, Attribute::Text(&self.operation.segment));
        if let Some(request) = &self.request {
            put(attribute::REQUEST_ID, Attribute::Text(request.id.as_str()));
            if self.role == Role::Server {
                self.server_attributes(request, put);
            }
        }
        for (key, value) in &self.attributes {
            match value {
                Value::Text(text) => put(key, Attribute::Text(text)),
                Value::Int(int) => put(key, Attribute::Int(*int)),
            }
        }
    }

    fn server_attributes(&self, request: &Request, put: Put<'_>) {
        use Attribute::{Int, Text};
        let int = |v: u64| Int(i64::try_from(v).unwrap_or(i64::MAX));
        put("http.request.method", Text(request.method.as_str()));
        put("url.path", Text(request.uri.path()));
        put("url.scheme", Text(request.uri.scheme_str().unwrap_or("http")));
        put("http.response.status_code", int(u64::from(self.status)));
        if let Some(route) = &request.route {
            put("http.route", Text(route));
        }
        if let Some(query) = &request.query {
            put("url.query", Text(query));
        }
        if let Some(host) = request.host.as_ref().and_then(|h| h.to_str().ok()) {
            let (name, port) = host_and_port(host);
            put("server.address", Text(name));
            if let Some(port) = port {
                put("server.port", int(port.into()));
            }
        }
        if let Some(version) = request.version {
            put("network.protocol.version", Text(version));
        }
        if let Some(agent) = request.user_agent.as_ref().and_then(|a| a.to_str().ok()) {
            put("user_agent.original", Text(agent));
        }
        if let Some(source) = request.source {
            let mut text = Vec::with_capacity(40);
            crate::context::address(&mut text, source);
            put("client.address", Text(std::str::from_utf8(&text).unwrap_or_default()));
        }
        if let Some(size) = request.size {
            put("http.request.body.size", int(size));
        }
        put("http.response.body.size", int(self.response_bytes));
        // What went wrong is told by a word where there is one, by the status where not.
        match self.error.as_deref() {
            Some("panic") => put("error.type", Text("panic")),
            _ if self.status >= 500 => put("error.type", Text(itoa::Buffer::new().format(self.status))),
            Some(_) => put("error.type", Text("aborted")),
            None => {}
        }
    }
}

/// `kittens.example:8080` in its parts; `[::1]` has none.
fn host_and_port(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, None),
    }
}
