//! OTLP's `AnyValue` as text and as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json;
use crate::spans::protobuf::{Malformed, Value, fields};
use crate::spans::span::text;

/// Values nested deeper than this are cut off.
const MAX_DEPTH: usize = 16;

/// Key and value of a `KeyValue` message; both empty if missing.
pub fn key_value(message: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut key, mut value) = (&[][..], &[][..]);
    for field in fields(message) {
        match field? {
            (1, found) => key = found.bytes()?,
            (2, found) => value = found.bytes()?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// The text of a value that is a string; `None` for all others.
pub fn string(any: &[u8]) -> Option<&[u8]> {
    match fields(any).last()? {
        Ok((1, Value::Bytes(text))) => Some(text),
        _ => None,
    }
}

/// Appends a value as a JSON string: strings as they are, bytes as base64, lists and maps as JSON text.
pub fn write_text(any: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match fields(any).last().transpose()? {
        None => out.extend_from_slice(b"\"\""),
        Some((1, value)) => text(out, value.bytes()?),
        Some((2..=4, _)) => {
            out.push(b'"');
            let from = out.len();
            write_json(any, 0, out)?;
            // A double that is no number brings its own quotes.
            if out[from] == b'"' {
                out.remove(from);
            } else {
                out.push(b'"');
            }
        }
        Some((5 | 6, _)) => {
            let mut inner = Vec::new();
            write_json(any, 0, &mut inner)?;
            json::string(out, &inner);
        }
        Some((7, _)) => write_json(any, 0, out)?,
        Some(_) => out.extend_from_slice(b"\"\""),
    }
    Ok(())
}

/// Appends a value as JSON.
pub fn write_json(any: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let Some(last) = fields(any).last() else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    match last? {
        (1, value) => text(out, value.bytes()?),
        (2, value) => out.extend_from_slice(if value.number()? == 0 { b"false" } else { b"true" }),
        (3, value) => json::integer(out, value.number()? as i64),
        (4, value) => json::float(out, f64::from_bits(value.number()?)),
        (5, value) => {
            out.push(b'[');
            list(value.bytes()?, depth, out, |item, out| write_json(item, depth + 1, out))?;
            out.push(b']');
        }
        (6, value) => {
            out.push(b'{');
            list(value.bytes()?, depth, out, |item, out| member(item, depth + 1, out))?;
            out.push(b'}');
        }
        (7, value) => json::string(out, STANDARD.encode(value.bytes()?).as_bytes()),
        _ => out.extend_from_slice(b"null"),
    }
    Ok(())
}

/// Appends a `KeyValue` as a member of an object.
pub fn member(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let (key, value) = key_value(message)?;
    text(out, key);
    out.push(b':');
    write_json(value, depth, out)
}

fn list(
    message: &[u8],
    depth: usize,
    out: &mut Vec<u8>,
    mut write: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    if depth >= MAX_DEPTH {
        return Ok(());
    }
    let mut first = true;
    for field in fields(message) {
        if let (1, item) = field? {
            if !std::mem::replace(&mut first, false) {
                out.push(b',');
            }
            write(item.bytes()?, out)?;
        }
    }
    Ok(())
}
