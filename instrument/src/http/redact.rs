//! Secrets kept out of records: query parameters, headers and log fields whose names say that they are secret.

use crate::json;
use http::{HeaderMap, HeaderValue, Method, Uri};

/// What stands in a record where a secret was.
pub(crate) const BLANK: &str = "[redacted]";

/// Whether a word that makes a name secret wherever it stands begins here. By its first letter: names are looked at for
/// every header of every request.
fn secret_word(rest: &[u8]) -> bool {
    let words: &[&[u8]] = match rest.first() {
        Some(b'a') => &[b"authorization", b"apikey", b"accesskey"],
        Some(b'c') => &[b"cookie", b"credential"],
        Some(b'j') => &[b"jwt"],
        Some(b'p') => &[b"password", b"passwd"],
        Some(b's') => &[b"secret", b"signature"],
        Some(b't') => &[b"token"],
        _ => return false,
    };
    words.iter().any(|word| rest.starts_with(word))
}

/// Names that are secret as a whole; as parts of words they are harmless (`keyboard`, `signal`).
const SECRET_NAMES: [&str; 8] = ["key", "sig", "auth", "code", "pwd", "pin", "session", "sid"];

/// Headers of most requests that carry no secret: told apart by their length and a comparison.
fn harmless(header: &str) -> bool {
    matches!(
        header,
        "accept"
            | "accept-encoding"
            | "accept-language"
            | "cache-control"
            | "connection"
            | "content-length"
            | "content-type"
            | "origin"
            | "referer"
            | "traceparent"
            | "tracestate"
            | "user-agent"
            | "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-request-id"
    )
}

/// Whether a field, header or parameter of this name carries a secret. Case, `-` and `_` do not matter.
pub(crate) fn secret(name: &str) -> bool {
    let mut flat = [0u8; 48];
    let mut len = 0;
    for b in name.bytes() {
        if b == b'-' || b == b'_' || b == b'.' {
            continue;
        }
        if len == flat.len() {
            break;
        }
        flat[len] = b.to_ascii_lowercase();
        len += 1;
    }
    let flat = &flat[..len];
    SECRET_NAMES.iter().any(|n| flat == n.as_bytes()) || (0..flat.len()).any(|at| secret_word(&flat[at..]))
}

/// A query with the values of secret parameters blanked, at most 2 KiB of it.
pub(crate) fn query(query: &str) -> String {
    let mut out = String::with_capacity(query.len().min(2_048));
    for pair in json::cut(query, 2_048).split('&') {
        if !out.is_empty() {
            out.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) if secret(name) => {
                out.push_str(name);
                out.push('=');
                out.push_str(BLANK);
            }
            _ => out.push_str(pair),
        }
    }
    out
}

/// What the compact form of a request shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    /// Whether its path needs no escaping.
    pub(crate) plain_path: bool,
    pub(crate) host: Option<&'a HeaderValue>,
    /// With secrets blanked.
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: Option<&'a HeaderMap>,
}

/// Headers that are shown, at most.
const HEADERS: usize = 40;
/// Of a header's value, at most.
const VALUE: usize = 256;

impl Shown<'_> {
    /// About how many bytes it will take.
    pub(crate) fn size(&self) -> usize {
        let path = self.uri.path().len() + self.query.map_or(0, str::len);
        // Most names and values together are shorter; who sends longer ones pays for the buffer's growth.
        128 + path.min(4_096) + self.headers.map_or(0, |h| h.len().min(HEADERS) * 56)
    }

    /// The request as compact JSON, escaped for the inside of a JSON string: what a reader searches by
    /// `"Method":"POST"`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\\\"Method\\\":\\\"");
        // A token: it needs no escaping.
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.extend_from_slice(b"\\\",\\\"Host\\\":\\\"");
        match self.host {
            Some(host) => header(out, host),
            None => twice(out, json::cut(self.uri.host().unwrap_or_default(), VALUE)),
        }
        out.extend_from_slice(b"\\\",\\\"Path\\\":\\\"");
        let path = json::cut(self.uri.path(), 2_048);
        if self.plain_path {
            out.extend_from_slice(path.as_bytes());
        } else {
            twice(out, path);
        }
        out.extend_from_slice(b"\\\",\\\"Query\\\":\\\"");
        if let Some(query) = self.query {
            twice(out, query);
        }
        out.extend_from_slice(b"\\\"");
        if let Some(headers) = self.headers {
            out.extend_from_slice(b",\\\"Headers\\\":{");
            let before = out.len();
            for (name, value) in headers.iter().take(HEADERS) {
                if *name == http::header::HOST {
                    continue;
                }
                out.extend_from_slice(b"\\\"");
                // Of lower-case letters and signs that need no escaping.
                out.extend_from_slice(name.as_str().as_bytes());
                out.extend_from_slice(b"\\\":\\\"");
                if value.is_sensitive() || (!harmless(name.as_str()) && secret(name.as_str())) {
                    out.extend_from_slice(BLANK.as_bytes());
                } else {
                    header(out, value);
                }
                out.extend_from_slice(b"\\\",");
            }
            if out.len() > before {
                out.pop();
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
}

/// A header's value.
fn header(out: &mut Vec<u8>, value: &HeaderValue) {
    let bytes = value.as_bytes();
    if bytes.len() <= VALUE && json::plain_ascii(bytes) {
        out.extend_from_slice(bytes);
    } else {
        twice(out, json::cut(value.to_str().unwrap_or("[binary]"), VALUE));
    }
}

/// Escapes for JSON inside a JSON string.
fn twice(out: &mut Vec<u8>, text: &str) {
    if json::plain(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut once = Vec::with_capacity(text.len() + 16);
    json::escape(&mut once, text);
    // Escaping leaves UTF-8 as it was.
    json::escape(out, std::str::from_utf8(&once).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secret_names_are_known_in_every_spelling() {
        for name in
            ["password", "X-Api-Key", "access_token", "Set-Cookie", "Authorization", "clientSecret", "sig"]
        {
            assert!(secret(name), "{name}");
        }
        for name in ["keyboard", "signal", "user", "content-type", "author", "encode", ""] {
            assert!(!secret(name), "{name}");
        }
    }

    #[test]
    fn queries_lose_their_secrets_only() {
        assert_eq!(query("a=1&token=abc&b&Password=x=y"), "a=1&token=[redacted]&b&Password=[redacted]");
    }

    proptest! {
        #[test]
        fn the_compact_request_is_json_within_json(path in "/[a-z0-9%]{0,20}", value in "[ -~]{0,40}") {
            let mut headers = HeaderMap::new();
            headers.insert("x-thing", HeaderValue::from_str(&value).unwrap());
            headers.insert("cookie", HeaderValue::from_static("id=secret"));
            let uri: Uri = path.parse().unwrap();
            let mut out = vec![b'"'];
            let shown = Shown {
                method: &Method::POST,
                uri: &uri,
                plain_path: json::plain(uri.path()),
                host: None,
                query: Some("a=\"b\""),
                headers: Some(&headers),
            };
            shown.write(&mut out);
            out.push(b'"');
            let text: String = serde_json::from_slice(&out).unwrap();
            prop_assert!(text.starts_with("{\"Method\":\"POST\","), "{}", text);
            let inner: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(inner["Headers"]["x-thing"].as_str().unwrap(), value.as_str());
            prop_assert_eq!(inner["Headers"]["cookie"].as_str().unwrap(), BLANK);
            prop_assert_eq!(inner["Query"].as_str().unwrap(), "a=\"b\"");
        }
    }
}
