//! OTLP spans to Zipkin spans by the OpenTelemetry specification's table, straight from protobuf bytes to JSON bytes.

use super::span::Span;
use super::value::{key_value, string, write_text};
use crate::receive::payloads::Payloads;
use crate::spans::protobuf::{Malformed, fields};
use crate::spans::span::text;

/// What a span says that matters beyond its JSON.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// 128 bits.
    pub trace: [u8; 16],
    /// Status error.
    pub error: bool,
    /// Nanoseconds.
    pub duration: u64,
    /// Nanoseconds since the epoch.
    pub end: u64,
    /// Resource: where it runs; empty if not said.
    pub environment: &'a [u8],
    /// Resource: which machine; empty if not said.
    pub host: &'a [u8],
    /// The service of the convention, or the resource's.
    pub service: &'a [u8],
    /// Group and segment of the convention; empty if not said.
    pub group: &'a [u8],
    /// See `group`.
    pub segment: &'a [u8],
}

/// Memory that is used again from request to request.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Resource and scope attributes, written as tags.
    pub(super) tags: Vec<u8>,
    /// The keys of these, for collisions.
    keys: Vec<u8>,
    key_ends: Vec<u32>,
}

/// How many spans a request held that are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused(pub u64);

/// Translates a whole `ExportTraceServiceRequest` into payloads. `keep` says of each span whether it is wanted.
pub fn translate(
    request: &[u8],
    scratch: &mut Scratch,
    out: &mut Payloads,
    keep: &mut dyn FnMut(&Facts<'_>) -> bool,
) -> Result<Refused, Malformed> {
    let mut refused = Refused::default();
    for field in fields(request) {
        if let (1, value) = field? {
            resource_spans(value.bytes()?, scratch, out, keep, &mut refused)?;
        }
    }
    Ok(refused)
}

#[derive(Clone, Copy, Default)]
pub(super) struct Resource<'a> {
    pub(super) service: &'a [u8],
    pub(super) environment: &'a [u8],
    pub(super) host: &'a [u8],
}

fn resource_spans(
    message: &[u8],
    scratch: &mut Scratch,
    out: &mut Payloads,
    keep: &mut dyn FnMut(&Facts<'_>) -> bool,
    refused: &mut Refused,
) -> Result<(), Malformed> {
    scratch.tags.clear();
    scratch.keys.clear();
    scratch.key_ends.clear();
    let mut resource = Resource::default();
    // The resource may stand behind its spans.
    for field in fields(message) {
        if let (1, value) = field? {
            for field in fields(value.bytes()?) {
                if let (1, attribute) = field? {
                    let (key, any) = key_value(attribute.bytes()?)?;
                    match key {
                        b"service.name" => {
                            resource.service = string(any).unwrap_or_default();
                            continue;
                        }
                        b"deployment.environment.name"
                        | b"deployment.environment"
                        | b"service.environment" => {
                            resource.environment = string(any).unwrap_or_default();
                        }
                        b"host.name" => resource.host = string(any).unwrap_or_default(),
                        _ => {}
                    }
                    scratch.add(key, |out| write_text(any, out))?;
                }
            }
        }
    }
    if resource.service.is_empty() {
        resource.service = b"unknown_service";
    }
    let (tags, keys) = (scratch.tags.len(), scratch.key_ends.len());
    for field in fields(message) {
        if let (2, value) = field? {
            scratch.tags.truncate(tags);
            scratch.key_ends.truncate(keys);
            scratch.keys.truncate(scratch.key_ends.last().map_or(0, |&end| end as usize));
            scope_spans(value.bytes()?, &resource, scratch, out, keep, refused)?;
        }
    }
    Ok(())
}

impl Scratch {
    fn add(
        &mut self,
        key: &[u8],
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if self.has(key) {
            return Ok(());
        }
        if !self.tags.is_empty() {
            self.tags.push(b',');
        }
        text(&mut self.tags, key);
        self.tags.push(b':');
        write(&mut self.tags)?;
        self.keys.extend_from_slice(key);
        self.key_ends.push(self.keys.len() as u32);
        Ok(())
    }

    pub(super) fn has(&self, key: &[u8]) -> bool {
        let mut from = 0;
        self.key_ends.iter().any(|&end| {
            let known = &self.keys[from..end as usize];
            from = end as usize;
            known == key
        })
    }
}

fn scope_spans(
    message: &[u8],
    resource: &Resource<'_>,
    scratch: &mut Scratch,
    out: &mut Payloads,
    keep: &mut dyn FnMut(&Facts<'_>) -> bool,
    refused: &mut Refused,
) -> Result<(), Malformed> {
    for field in fields(message) {
        if let (1, scope) = field? {
            for field in fields(scope.bytes()?) {
                match field? {
                    (1, name) if !name.bytes()?.is_empty() => {
                        let name = name.bytes()?;
                        scratch.add(b"otel.scope.name", |out| {
                            text(out, name);
                            Ok(())
                        })?;
                    }
                    (2, version) if !version.bytes()?.is_empty() => {
                        let version = version.bytes()?;
                        scratch.add(b"otel.scope.version", |out| {
                            text(out, version);
                            Ok(())
                        })?;
                    }
                    _ => {}
                }
            }
        }
    }
    for field in fields(message) {
        if let (2, value) = field? {
            match Span::read(value.bytes()?)? {
                None => refused.0 += 1,
                Some(span) => {
                    if keep(&span.facts(resource)) {
                        span.write(resource, scratch, &mut out.bytes)?;
                        out.end();
                    }
                }
            }
        }
    }
    Ok(())
}
