//! Trace ids, span ids and addresses, cleaned of the forms in which libraries write them.

use std::net::{IpAddr, SocketAddr};

/// An id as `digits` lower-case hexadecimal digits: dashes removed, shorter ones filled with zeros. `None` if it is
/// none, or all zeros.
pub fn hexadecimal(text: &[u8], digits: usize) -> Option<Vec<u8>> {
    let mut clean = Vec::with_capacity(digits);
    for &byte in text {
        match byte {
            b'0'..=b'9' | b'a'..=b'f' => clean.push(byte),
            b'A'..=b'F' => clean.push(byte.to_ascii_lowercase()),
            b'-' => {}
            _ => return None,
        }
    }
    if clean.len() > digits || clean.len() < 8 || clean.iter().all(|&b| b == b'0') {
        return None;
    }
    if clean.len() < digits {
        let missing = digits - clean.len();
        clean.splice(0..0, std::iter::repeat_n(b'0', missing));
    }
    Some(clean)
}

/// A 64-bit id written in decimal.
pub fn decimal(text: &[u8], digits: usize) -> Option<Vec<u8>> {
    let id: u64 = std::str::from_utf8(text).ok()?.parse().ok().filter(|&id| id != 0)?;
    Some(format!("{id:0digits$x}").into_bytes())
}

/// Trace and span of `00-<32>-<16>-01`.
pub fn traceparent(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = text.split(|&b| b == b'-');
    let (_, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let valid =
        |part: &[u8], digits| part.len() == digits && hexadecimal(part, digits).as_deref() == Some(part);
    (valid(trace, 32) && valid(span, 16)).then_some((trace, span))
}

/// An address, with or without a port; the first of a list.
pub fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.split(',').next()?.trim();
    let ip = text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|s| s.ip()));
    ip.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{address, decimal, hexadecimal, traceparent};

    fn hex(text: &str, digits: usize) -> Option<String> {
        hexadecimal(text.as_bytes(), digits).map(|id| String::from_utf8(id).unwrap())
    }

    #[test]
    fn ids_of_many_libraries_become_one_form() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(hex(id, 32).as_deref(), Some(id));
        assert_eq!(hex("4BF92F35-77B3-4DA6-A3CE-929D0E0E4736", 32).as_deref(), Some(id));
        assert_eq!(hex("a3ce929d0e0e4736", 32).as_deref(), Some("0000000000000000a3ce929d0e0e4736"));
        for text in ["", "xyz", "00000000000000000000000000000000", &format!("{id}0"), "abc"] {
            assert_eq!(hex(text, 32), None, "{text}");
        }
        assert_eq!(decimal(b"255", 16).as_deref(), Some(&b"00000000000000ff"[..]));
        assert_eq!(decimal(b"0", 16), None);
        let parent = format!("00-{id}-00f067aa0ba902b7-01");
        assert_eq!(traceparent(parent.as_bytes()), Some((id.as_bytes(), &b"00f067aa0ba902b7"[..])));
        assert_eq!(traceparent(b"00-0-0-01"), None);
    }

    #[test]
    fn addresses_with_and_without_ports() {
        for (text, ip) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:8080", "192.0.2.7"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("192.0.2.7, 10.0.0.1", "192.0.2.7"),
        ] {
            assert_eq!(address(text.as_bytes()), Some(ip.parse().unwrap()), "{text}");
        }
        assert_eq!(address(b"localhost"), None);
    }
}
