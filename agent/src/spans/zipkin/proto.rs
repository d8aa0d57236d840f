//! Zipkin v2 spans in proto3 (`zipkin.proto3.ListOfSpans`).

use std::net::IpAddr;

use super::{Keep, Parts, Place, Refused, put};
use crate::receive::payloads::Payloads;
use crate::spans::protobuf::{Malformed, fields};
use crate::spans::span::{Head, Kind};

/// Reads a list of spans; an entry without valid ids is refused alone.
pub fn translate(list: &[u8], out: &mut Payloads, keep: Keep<'_>) -> Result<Refused, String> {
    all(list, out, keep).map_err(|e| e.to_string())
}

fn all(list: &[u8], out: &mut Payloads, keep: Keep<'_>) -> Result<Refused, Malformed> {
    let mut refused = Refused::default();
    for field in fields(list) {
        if let (1, span) = field?
            && !one(span.bytes()?, out, keep)?
        {
            refused.0 += 1;
        }
    }
    Ok(refused)
}

fn one(message: &[u8], out: &mut Payloads, keep: Keep<'_>) -> Result<bool, Malformed> {
    let mut head =
        Head { trace: [0; 16], id: [0; 8], parent: [0; 8], name: b"", kind: None, timestamp: 0, duration: 0 };
    let mut parts = Parts::default();
    for field in fields(message) {
        match field? {
            (1, id) => head.trace = filled(id.bytes()?),
            (2, id) => head.parent = filled(id.bytes()?),
            (3, id) => head.id = filled(id.bytes()?),
            (4, kind) => {
                head.kind = match kind.number()? {
                    1 => Some(Kind::Client),
                    2 => Some(Kind::Server),
                    3 => Some(Kind::Producer),
                    4 => Some(Kind::Consumer),
                    _ => None,
                }
            }
            (5, name) => head.name = name.bytes()?,
            (6, time) => head.timestamp = time.number()?,
            (7, time) => head.duration = time.number()?,
            (8, endpoint) => parts.local = place(endpoint.bytes()?)?,
            (9, endpoint) => parts.remote = place(endpoint.bytes()?)?,
            (10, annotation) => {
                let (mut time, mut value) = (0, &[][..]);
                for field in fields(annotation.bytes()?) {
                    match field? {
                        (1, found) => time = found.number()?,
                        (2, found) => value = found.bytes()?,
                        _ => {}
                    }
                }
                parts.annotations.push((time, value));
            }
            (11, entry) => {
                let (mut key, mut value) = (&[][..], &[][..]);
                for field in fields(entry.bytes()?) {
                    match field? {
                        (1, found) => key = found.bytes()?,
                        (2, found) => value = found.bytes()?,
                        _ => {}
                    }
                }
                parts.tags.push((key, value));
            }
            (12, debug) => parts.debug = debug.number()? != 0,
            (13, shared) => parts.shared = shared.number()? != 0,
            _ => {}
        }
    }
    if head.trace == [0; 16] || head.id == [0; 8] {
        return Ok(false);
    }
    put(&head, &parts, out, keep);
    Ok(true)
}

/// An id of up to `N` bytes, filled with zeros on the left; too long a one is none.
fn filled<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut id = [0; N];
    if bytes.len() <= N {
        id[N - bytes.len()..].copy_from_slice(bytes);
    }
    id
}

fn place(message: &[u8]) -> Result<Place<'_>, Malformed> {
    let mut place = Place::default();
    for field in fields(message) {
        match field? {
            (1, name) => place.service = name.bytes()?,
            (2, ip) => place.ip = <[u8; 4]>::try_from(ip.bytes()?).ok().map(IpAddr::from),
            (3, ip) => place.ip = place.ip.or(<[u8; 16]>::try_from(ip.bytes()?).ok().map(IpAddr::from)),
            (4, port) => place.port = u16::try_from(port.number()?).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(place)
}
