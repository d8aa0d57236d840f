//! The request as compact JSON within JSON, which each access record shows and which a reader searches by `"Method":"POST"`.

use super::heads::{Heads, Kind};
use super::redact::{self, BLANK, secret};
use crate::json;
use http::header::HOST;
use http::{HeaderMap, Method, Uri};

/// The texts that are kept of a request, in one buffer: the compact form first, and after it those that needed escaping there.
/// Most need none, and are found within the compact form.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    compact: usize,
    path: Place,
    query: Option<Place>,
    host: Option<Place>,
    agent: Option<Place>,
}

/// Where one begins and ends.
#[derive(Debug, Default, Clone, Copy)]
struct Place(u32, u32);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// UTF-8.
    pub(crate) bytes: &'a [u8],
    /// It can stand in a JSON string as it is.
    plain: bool,
}

/// Headers that are shown, at most.
const HEADERS: usize = 40;
/// Of a header's value, at most.
const VALUE: usize = 256;
/// Of the path and of the query, at most.
const LONG: usize = 2_048;

impl Texts {
    /// Reads the head of a request once, and takes note of the headers that others look at.
    pub(crate) fn of<'a>(
        method: &Method,
        uri: &Uri,
        headers: &'a HeaderMap,
        with_headers: bool,
    ) -> (Texts, Heads<'a>) {
        let query = uri.query().map(redact::query);
        let lengths = uri.path().len() + query.as_ref().map_or(0, String::len);
        // Most names and values together are shorter; who sends longer ones pays for the buffer's growth.
        let room = 192 + lengths.min(4_096) + if with_headers { headers.len().min(HEADERS) * 56 } else { 0 };
        let mut texts = Texts { bytes: Vec::with_capacity(room), ..Texts::default() };
        let out = &mut texts.bytes;

        out.extend_from_slice(b"{\\\"Method\\\":\\\"");
        // A token: it needs no escaping.
        out.extend_from_slice(method.as_str().as_bytes());
        out.extend_from_slice(b"\\\",\\\"Host\\\":\\\"");
        let host = headers.get(HOST).map(|h| h.as_bytes());
        let host_place = put(out, host.unwrap_or_else(|| uri.host().unwrap_or_default().as_bytes()), VALUE);
        out.extend_from_slice(b"\\\",\\\"Path\\\":\\\"");
        let path = put(out, uri.path().as_bytes(), LONG);
        out.extend_from_slice(b"\\\",\\\"Query\\\":\\\"");
        let query_place = put(out, query.as_deref().unwrap_or_default().as_bytes(), LONG);
        out.extend_from_slice(b"\\\"");
        let (heads, agent) = show(out, headers, with_headers);
        out.push(b'}');
        texts.compact = texts.bytes.len();

        texts.path = path.unwrap_or_else(|| texts.append(uri.path().as_bytes(), LONG));
        texts.query = query.map(|q| query_place.unwrap_or_else(|| texts.append(q.as_bytes(), LONG)));
        texts.host = match host {
            Some(host) => Some(host_place.unwrap_or_else(|| texts.append(host, VALUE))),
            // HTTP/2 has no Host: it is the authority of the address there.
            None => uri.authority().map(|a| texts.append(a.as_str().as_bytes(), VALUE)),
        };
        texts.agent = match agent {
            Some(Ok(place)) => Some(place),
            Some(Err(agent)) => Some(texts.append(agent, VALUE)),
            None => None,
        };
        (texts, heads)
    }

    fn append(&mut self, text: &[u8], max: usize) -> Place {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(readable(text, max).as_bytes());
        Place(from as u32, self.bytes.len() as u32)
    }

    /// For the inside of a JSON string.
    pub(crate) fn compact(&self) -> &[u8] {
        &self.bytes[..self.compact]
    }

    pub(crate) fn path(&self) -> Text<'_> {
        self.text(self.path)
    }

    /// With secrets blanked.
    pub(crate) fn query(&self) -> Option<Text<'_>> {
        self.query.map(|place| self.text(place))
    }

    pub(crate) fn host(&self) -> Option<Text<'_>> {
        self.host.map(|place| self.text(place))
    }

    pub(crate) fn agent(&self) -> Option<Text<'_>> {
        self.agent.map(|place| self.text(place))
    }

    #[inline]
    fn text(&self, Place(from, to): Place) -> Text<'_> {
        let to = to as usize;
        Text { bytes: &self.bytes[from as usize..to], plain: to <= self.compact }
    }
}

impl<'a> Text<'a> {
    /// Up to `max` bytes of it.
    #[inline]
    pub(crate) fn cut(self, max: usize) -> &'a [u8] {
        if self.bytes.len() <= max { self.bytes } else { json::cut(self.as_str(), max).as_bytes() }
    }

    pub(crate) fn as_str(self) -> &'a str {
        // Nothing else is put in.
        std::str::from_utf8(self.bytes).unwrap_or_default()
    }

    /// Up to `max` bytes of it, as the inside of a JSON string.
    #[inline]
    pub(crate) fn write(self, out: &mut Vec<u8>, max: usize) {
        if self.plain {
            out.extend_from_slice(self.cut(max));
        } else {
            json::escape(out, json::cut(self.as_str(), max));
        }
    }
}

/// What can be read of a header's value.
fn readable(bytes: &[u8], max: usize) -> &str {
    json::cut(std::str::from_utf8(bytes).unwrap_or("[binary]"), max)
}

/// Writes a text for JSON within JSON; where it stands, if it stands there as it is.
#[inline]
fn put(out: &mut Vec<u8>, text: &[u8], max: usize) -> Option<Place> {
    if text.len() > max || !json::plain_ascii(text) {
        twice(out, readable(text, max));
        return None;
    }
    let from = out.len();
    out.extend_from_slice(text);
    Some(Place(from as u32, out.len() as u32))
}

#[cold]
fn twice(out: &mut Vec<u8>, text: &str) {
    let mut once = Vec::with_capacity(text.len() + 16);
    json::escape(&mut once, text);
    // Escaping leaves UTF-8 as it was.
    json::escape(out, std::str::from_utf8(&once).unwrap_or_default());
}

/// Where the user agent stands, or what it is.
type Agent<'a> = Option<Result<Place, &'a [u8]>>;

/// Shows the headers and takes note of them.
fn show<'a>(out: &mut Vec<u8>, headers: &'a HeaderMap, with_headers: bool) -> (Heads<'a>, Agent<'a>) {
    let (mut heads, mut agent) = (Heads::default(), None);
    let mut left = 0;
    if with_headers {
        left = HEADERS;
        out.extend_from_slice(b",\\\"Headers\\\":{");
    }
    let before = out.len();
    for (name, value) in headers {
        let kind = heads.note(name, value);
        let mut place = None;
        if left > 0 {
            left -= 1;
            if kind == Kind::Host {
                continue;
            }
            out.extend_from_slice(b"\\\"");
            // Of lower-case letters and signs that need no escaping.
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b"\\\":\\\"");
            if value.is_sensitive() || (kind == Kind::Unknown && secret(name.as_str())) {
                out.extend_from_slice(BLANK.as_bytes());
            } else {
                place = put(out, value.as_bytes(), VALUE);
            }
            out.extend_from_slice(b"\\\",");
        }
        if kind == Kind::Agent && agent.is_none() {
            agent = Some(place.ok_or(value.as_bytes()));
        }
    }
    if with_headers {
        if out.len() > before {
            out.pop();
        }
        out.push(b'}');
    }
    (heads, agent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn compact(texts: &Texts) -> serde_json::Value {
        let text = [b"\"", texts.compact(), b"\""].concat();
        let text: String = serde_json::from_slice(&text).unwrap();
        assert!(text.starts_with("{\"Method\":\"POST\","), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    fn json(text: Text<'_>) -> String {
        let mut out = vec![b'"'];
        text.write(&mut out, 2_048);
        out.push(b'"');
        serde_json::from_slice(&out).unwrap()
    }

    proptest! {
        #[test]
        fn all_texts_are_kept_and_shown_as_they_came(path in "/[a-zä\"'0-9%]{0,20}", host in "[ -~]{0,20}", agent in "[ -~]{0,40}", with in any::<bool>()) {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_str(&host).unwrap());
            headers.insert("cookie", HeaderValue::from_static("id=secret"));
            headers.insert("user-agent", HeaderValue::from_str(&agent).unwrap());
            let Ok(uri) = format!("{path}?token=abc&a=%22'").parse::<Uri>() else { return Ok(()) };
            let (texts, _) = Texts::of(&Method::POST, &uri, &headers, with);
            let shown = compact(&texts);
            prop_assert_eq!(shown["Path"].as_str().unwrap(), &path);
            prop_assert_eq!(shown["Host"].as_str().unwrap(), &host);
            prop_assert_eq!(shown["Query"].as_str().unwrap(), "token=[redacted]&a=%22'");
            if with {
                prop_assert_eq!(shown["Headers"]["user-agent"].as_str().unwrap(), &agent);
                prop_assert_eq!(shown["Headers"]["cookie"].as_str().unwrap(), BLANK);
            } else {
                prop_assert_eq!(shown.get("Headers"), None);
            }
            for (text, was) in [(texts.path(), path.as_str()), (texts.host().unwrap(), &host), (texts.agent().unwrap(), &agent)] {
                prop_assert_eq!(text.as_str(), was);
                prop_assert_eq!(json(text), was);
            }
            prop_assert_eq!(json(texts.query().unwrap()), "token=[redacted]&a=%22'");
        }
    }

    #[test]
    fn headers_are_shown_in_bounds_and_all_are_looked_at() {
        let mut headers = HeaderMap::new();
        for n in 0..50 {
            headers.append("x-many", HeaderValue::from_str(&n.to_string()).unwrap());
        }
        headers.append("user-agent", HeaderValue::from_static("last"));
        headers.append("b3", HeaderValue::from_bytes(b"\xff").unwrap());
        let uri = Uri::from_static("/");
        let (texts, heads) = Texts::of(&Method::POST, &uri, &headers, true);
        assert_eq!(texts.agent().unwrap().bytes, b"last");
        assert_eq!(heads.b3.unwrap().as_bytes(), b"\xff");
        assert_eq!(texts.compact().windows(6).filter(|w| w == b"x-many").count(), HEADERS);
        assert_eq!((texts.host(), texts.query()), (None, None));
    }

    #[test]
    fn what_cannot_be_read_says_so_and_what_is_long_is_cut() {
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_bytes(b"\xff\xfe").unwrap());
        headers.insert("x-long", HeaderValue::from_str(&"x".repeat(1_000)).unwrap());
        let uri: Uri = format!("/{}", "y".repeat(5_000)).parse().unwrap();
        let (texts, _) = Texts::of(&Method::POST, &uri, &headers, true);
        let shown = compact(&texts);
        assert_eq!(shown["Headers"]["user-agent"], "[binary]");
        assert_eq!(shown["Headers"]["x-long"].as_str().unwrap().len(), VALUE);
        assert_eq!(shown["Path"].as_str().unwrap().len(), LONG);
        assert_eq!(texts.path().bytes.len(), LONG);
        assert_eq!(texts.path().cut(10), b"/yyyyyyyyy");
    }
}
