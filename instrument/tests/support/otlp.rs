//! Reads as much of an OTLP export of spans as tests want to know.

/// A span by its ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    pub(crate) name: String,
}

/// All spans: field 1 of the message (resource), its 2 (scope), its 2 (span).
pub(crate) fn spans(body: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    for resource in fields(body, 1) {
        for scope in fields(resource, 2) {
            for span in fields(scope, 2) {
                let first = |number| fields(span, number).first().map(|f| f.to_vec()).unwrap_or_default();
                found.push(Span {
                    trace: first(1),
                    id: first(2),
                    parent: first(4),
                    name: String::from_utf8(first(5)).unwrap(),
                });
            }
        }
    }
    found
}

/// All fields of this number that have a length.
fn fields(mut message: &[u8], number: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let length = match tag & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            5 => 4,
            _ => varint(&mut message) as usize,
        };
        let (field, rest) = message.split_at(length);
        if tag >> 3 == number && tag & 7 == 2 {
            found.push(field);
        }
        message = rest;
    }
    found
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = message.split_first().unwrap();
        *message = rest;
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            break;
        }
    }
    value
}

/// Reads one request of HTTP; its body. `None` when there is none.
pub(crate) fn request(stream: &mut impl std::io::BufRead) -> Option<Vec<u8>> {
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

/// What an exporter wants to hear.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
