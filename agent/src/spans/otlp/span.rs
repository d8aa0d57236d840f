//! One OTLP span as a Zipkin span: what is read of it first, and its JSON.

use std::net::IpAddr;

use sightline_instrument::wire::attribute;

use super::translate::{Facts, Resource, Scratch};
use super::value::{key_value, member, string, write_text};
use crate::spans::protobuf::{Malformed, fields};
use crate::spans::span::{Endpoint, Head, Kind, Writer, duration_us, text};

/// One span, as far as it has to be known before the first byte of it is written.
pub(super) struct Span<'a> {
    message: &'a [u8],
    head: Head<'a>,
    start: u64,
    end: u64,
    status: u64,
    description: &'a [u8],
    state: &'a [u8],
    remote: Remote<'a>,
    events: bool,
    service: &'a [u8],
    group: &'a [u8],
    segment: &'a [u8],
    dropped: [u64; 3],
    links: bool,
}

/// The best attribute for the remote endpoint so far; a lower rank is better.
#[derive(Clone, Copy)]
struct Remote<'a> {
    rank: u8,
    name: &'a [u8],
    port: u16,
    port_rank: u8,
}

impl<'a> Span<'a> {
    /// `None` if an id is missing or all zeros.
    pub(super) fn read(message: &'a [u8]) -> Result<Option<Self>, Malformed> {
        let head = Head {
            trace: [0; 16],
            id: [0; 8],
            parent: [0; 8],
            name: b"",
            kind: None,
            timestamp: 0,
            duration: 0,
        };
        let remote = Remote { rank: u8::MAX, name: b"", port: 0, port_rank: u8::MAX };
        let mut span = Span {
            message,
            head,
            start: 0,
            end: 0,
            status: 0,
            description: b"",
            state: b"",
            remote,
            events: false,
            service: b"",
            group: b"",
            segment: b"",
            dropped: [0; 3],
            links: false,
        };
        for field in fields(message) {
            match field? {
                (1, id) => match id.bytes()?.try_into() {
                    Ok(id) => span.head.trace = id,
                    Err(_) => return Ok(None),
                },
                (2, id) => match id.bytes()?.try_into() {
                    Ok(id) => span.head.id = id,
                    Err(_) => return Ok(None),
                },
                (3, state) => span.state = state.bytes()?,
                (4, id) => match id.bytes()? {
                    [] => {}
                    id => match id.try_into() {
                        Ok(id) => span.head.parent = id,
                        Err(_) => return Ok(None),
                    },
                },
                (5, name) => span.head.name = name.bytes()?,
                (6, kind) => {
                    span.head.kind = match kind.number()? {
                        2 => Some(Kind::Server),
                        3 => Some(Kind::Client),
                        4 => Some(Kind::Producer),
                        5 => Some(Kind::Consumer),
                        _ => None,
                    }
                }
                (7, start) => span.start = start.number()?,
                (8, end) => span.end = end.number()?,
                (9, attribute) => span.attribute(attribute.bytes()?)?,
                (10, count) => span.dropped[0] = count.number()?,
                (11, _) => span.events = true,
                (12, count) => span.dropped[1] = count.number()?,
                (13, _) => span.links = true,
                (14, count) => span.dropped[2] = count.number()?,
                (15, status) => {
                    for field in fields(status.bytes()?) {
                        match field? {
                            (2, text) => span.description = text.bytes()?,
                            (3, code) => span.status = code.number()?,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        if span.head.trace == [0; 16] || span.head.id == [0; 8] {
            return Ok(None);
        }
        span.head.timestamp = span.start / 1000;
        span.head.duration = duration_us(span.end.saturating_sub(span.start));
        Ok(Some(span))
    }

    fn attribute(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let (key, any) = key_value(message)?;
        match key {
            b"service" if attribute::SERVICE == "service" => self.service = string(any).unwrap_or_default(),
            b"group" if attribute::GROUP == "group" => self.group = string(any).unwrap_or_default(),
            b"segment" if attribute::SEGMENT == "segment" => self.segment = string(any).unwrap_or_default(),
            _ => {
                if let Some(rank) = remote_rank(key) {
                    if rank < self.remote.rank
                        && let Some(name) = string(any).filter(|name| !name.is_empty())
                    {
                        (self.remote.rank, self.remote.name) = (rank, name);
                    }
                } else if let Some(rank) = port_rank(key)
                    && rank < self.remote.port_rank
                {
                    let number = fields(any).last().transpose()?.and_then(|(_, value)| value.number().ok());
                    if let Some(port) = number.and_then(|n| u16::try_from(n).ok()) {
                        (self.remote.port_rank, self.remote.port) = (rank, port);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn facts(&self, resource: &Resource<'a>) -> Facts<'a> {
        Facts {
            trace: self.head.trace,
            error: self.status == 2,
            duration: self.end.saturating_sub(self.start),
            end: self.end,
            environment: resource.environment,
            host: resource.host,
            service: if self.service.is_empty() { resource.service } else { self.service },
            group: self.group,
            segment: self.segment,
        }
    }

    pub(super) fn write(
        &self,
        resource: &Resource<'_>,
        scratch: &Scratch,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let mut span = Writer::begin(out, &self.head);
        span.endpoint("localEndpoint", &Endpoint { service: resource.service, ..Endpoint::default() });
        if matches!(self.head.kind, Some(Kind::Client | Kind::Producer)) && self.remote.rank < u8::MAX {
            let ip = std::str::from_utf8(self.remote.name).ok().and_then(|name| name.parse::<IpAddr>().ok());
            let service = if ip.is_some() { b"" } else { self.remote.name };
            span.endpoint("remoteEndpoint", &Endpoint { service, ip, port: self.remote.port });
        }
        if self.events {
            span.annotations();
            for field in fields(self.message) {
                if let (11, event) = field? {
                    annotation(event.bytes()?, &mut span)?;
                }
            }
            span.end_annotations();
        }
        span.tags();
        let collides = self.write_attributes(&mut span, scratch)?;
        if !collides {
            span.written_tags(&scratch.tags);
        } else {
            self.write_resource_without_own(&mut span, scratch)?;
        }
        match self.status {
            1 => span.tag(b"otel.status_code", b"OK"),
            2 => {
                span.tag(b"otel.status_code", b"ERROR");
                // Zipkin marks a span by the presence of this tag; an empty one is hard to see.
                span.tag(b"error", if self.description.is_empty() { b"true" } else { self.description });
            }
            _ => {}
        }
        if !self.state.is_empty() {
            span.tag(b"w3c.tracestate", self.state);
        }
        for (key, count) in [
            (&b"otel.dropped_attributes_count"[..], self.dropped[0]),
            (b"otel.dropped_events_count", self.dropped[1]),
            (b"otel.dropped_links_count", self.dropped[2]),
        ] {
            if count > 0 {
                span.tag(key, count.to_string().as_bytes());
            }
        }
        if self.links {
            self.write_links(&mut span)?;
        }
        span.end(b"");
        Ok(())
    }

    /// Writes the span's own attributes; true if one of them has the key of a resource attribute.
    fn write_attributes(&self, span: &mut Writer<'_>, scratch: &Scratch) -> Result<bool, Malformed> {
        let mut collides = false;
        for field in fields(self.message) {
            if let (9, attribute) = field? {
                let (key, any) = key_value(attribute.bytes()?)?;
                // What the status says goes before an attribute of the same name.
                if self.status == 2 && matches!(key, b"error" | b"otel.status_code") {
                    continue;
                }
                collides |= scratch.has(key);
                let mut written = Ok(());
                span.tag_with(key, |out| written = write_text(any, out));
                written?;
            }
        }
        Ok(collides)
    }

    /// The rare case: resource attributes one by one, without those that the span says itself.
    fn write_resource_without_own(&self, span: &mut Writer<'_>, scratch: &Scratch) -> Result<(), Malformed> {
        let all: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&[b"{", &scratch.tags[..], b"}"].concat()).map_err(|_| Malformed)?;
        for (key, value) in all {
            let mut own = false;
            for field in fields(self.message) {
                if let (9, attribute) = field? {
                    own |= key_value(attribute.bytes()?)?.0 == key.as_bytes();
                }
            }
            if !own && let Some(value) = value.as_str() {
                span.tag(key.as_bytes(), value.as_bytes());
            }
        }
        Ok(())
    }

    fn write_links(&self, span: &mut Writer<'_>) -> Result<(), Malformed> {
        let mut index = 0;
        for field in fields(self.message) {
            if let (13, link) = field? {
                let (mut trace, mut id) = (&[][..], &[][..]);
                for field in fields(link.bytes()?) {
                    match field? {
                        (1, value) => trace = value.bytes()?,
                        (2, value) => id = value.bytes()?,
                        _ => {}
                    }
                }
                let mut value = Vec::with_capacity(49);
                crate::json::hex(&mut value, trace);
                value.push(b'|');
                crate::json::hex(&mut value, id);
                span.tag(format!("otlp.link.{index}").as_bytes(), &value);
                index += 1;
            }
        }
        Ok(())
    }
}

/// An event becomes an annotation: its name, and its attributes as JSON behind it if there are any.
fn annotation(event: &[u8], span: &mut Writer<'_>) -> Result<(), Malformed> {
    let (mut time, mut name, mut attributes) = (0, &[][..], false);
    for field in fields(event) {
        match field? {
            (1, value) => time = value.number()?,
            (2, value) => name = value.bytes()?,
            (3, _) => attributes = true,
            _ => {}
        }
    }
    if !attributes {
        span.annotation(time / 1000, |out| text(out, name));
        return Ok(());
    }
    let mut value = Vec::new();
    text(&mut value, name);
    value.extend_from_slice(b":{");
    let mut first = true;
    for field in fields(event) {
        if let (3, attribute) = field? {
            if !std::mem::replace(&mut first, false) {
                value.push(b',');
            }
            member(attribute.bytes()?, 1, &mut value)?;
        }
    }
    value.push(b'}');
    span.annotation(time / 1000, |out| text(out, &value));
    Ok(())
}

/// The specification's order of attributes for the name of the other side.
fn remote_rank(key: &[u8]) -> Option<u8> {
    Some(match key {
        b"peer.service" => 0,
        b"server.address" => 1,
        b"net.peer.name" => 2,
        b"network.peer.address" => 3,
        b"server.socket.domain" => 4,
        b"server.socket.address" => 5,
        b"net.sock.peer.name" => 6,
        b"net.sock.peer.addr" => 7,
        b"peer.hostname" => 8,
        b"peer.address" => 9,
        b"db.namespace" | b"db.name" => 10,
        _ => return None,
    })
}

fn port_rank(key: &[u8]) -> Option<u8> {
    Some(match key {
        b"server.port" => 1,
        b"net.peer.port" => 2,
        b"network.peer.port" => 3,
        b"server.socket.port" => 5,
        b"net.sock.peer.port" => 7,
        _ => return None,
    })
}
