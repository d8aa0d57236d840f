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

impl SpanRecord {
    /// `POST /helloworld` for servers; `sqlite select_kittens` for the rest.
    pub(crate) fn name(&self) -> String {
        match (&self.request, self.role) {
            (Some(request), Role::Server) => match &request.route {
                Some(route) => format!("{} {route}", request.method),
                None => request.method.to_string(),
            },
            _ => format!("{} {}", self.operation.group, self.operation.segment),
        }
    }

    /// OpenTelemetry's names for what is known, and ours that join a trace to its metric and its log.
    pub(crate) fn attributes(&self) -> Vec<(Cow<'static, str>, Value)> {
        use crate::wire::attribute;
        let text = |v: &str| Value::Text(v.to_owned());
        let mut out: Vec<(Cow<'static, str>, Value)> = vec![
            (attribute::GROUP.into(), text(&self.operation.group)),
            (attribute::SEGMENT.into(), text(&self.operation.segment)),
        ];
        if let Some(request) = &self.request {
            out.push((attribute::REQUEST_ID.into(), text(request.id.as_str())));
            if self.role == Role::Server {
                self.server_attributes(request, &mut out);
            }
        }
        out.extend(self.attributes.iter().map(|(k, v)| (Cow::Borrowed(*k), v.clone())));
        out
    }

    fn server_attributes(&self, request: &Request, out: &mut Vec<(Cow<'static, str>, Value)>) {
        let text = |v: &str| Value::Text(v.to_owned());
        let int = |v: u64| Value::Int(i64::try_from(v).unwrap_or(i64::MAX));
        out.push(("http.request.method".into(), text(request.method.as_str())));
        out.push(("url.path".into(), text(request.uri.path())));
        out.push(("url.scheme".into(), text(request.uri.scheme_str().unwrap_or("http"))));
        out.push(("http.response.status_code".into(), int(u64::from(self.status))));
        if let Some(route) = &request.route {
            out.push(("http.route".into(), text(route)));
        }
        if let Some(query) = &request.query {
            out.push(("url.query".into(), text(query)));
        }
        if let Some(host) = request.host.as_ref().and_then(|h| h.to_str().ok()) {
            out.push(("server.address".into(), text(host.rsplit_once(':').map_or(host, |(h, _)| h))));
        }
        if let Some(agent) = request.user_agent.as_ref().and_then(|a| a.to_str().ok()) {
            out.push(("user_agent.original".into(), text(agent)));
        }
        if let Some(source) = request.source {
            out.push(("client.address".into(), Value::Text(source.to_string())));
        }
        if let Some(size) = request.size {
            out.push(("http.request.body.size".into(), int(size)));
        }
        out.push(("http.response.body.size".into(), int(self.response_bytes)));
        if self.status >= 500 {
            out.push(("error.type".into(), Value::Text(self.status.to_string())));
        }
    }
}
