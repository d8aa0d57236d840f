//! Syslog lines (RFC 5424 and RFC 3164) taken apart into the fields that ECS has for them.

use super::level::{self, Scale};
use super::timestamp::{self, Nanos};
use crate::json;

/// Writes the line as a JSON object of ECS fields; false if it is not syslog.
pub fn to_json(line: &[u8], now: Nanos, out: &mut Vec<u8>) -> bool {
    let Some((priority, rest)) = priority(line) else { return false };
    let message = match rest {
        [b'1', b' ', rest @ ..] => rfc5424(rest, now),
        _ => Some(rfc3164(rest, now)),
    };
    let Some(message) = message else { return false };
    message.write(priority, out);
    true
}

#[derive(Default)]
struct Message<'a> {
    time: Option<Nanos>,
    host: &'a [u8],
    app: &'a [u8],
    process: &'a [u8],
    id: &'a [u8],
    data: &'a [u8],
    text: &'a [u8],
}

/// `<34>` and what follows.
fn priority(line: &[u8]) -> Option<(u32, &[u8])> {
    let rest = line.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|&b| b == b'>')?;
    let digits = std::str::from_utf8(&rest[..end]).ok()?;
    let priority: u32 = digits.parse().ok().filter(|&p| p < 192 && !digits.starts_with('+'))?;
    Some((priority, &rest[end + 1..]))
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&b| b == b' ') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, b""),
    }
}

/// After `<34>1 `: time, host, application, process, message id, structured data, text.
fn rfc5424(rest: &[u8], now: Nanos) -> Option<Message<'_>> {
    let (time, rest) = word(rest);
    let (host, rest) = word(rest);
    let (app, rest) = word(rest);
    let (process, rest) = word(rest);
    let (id, rest) = word(rest);
    let (data, text) = match rest {
        [b'-', text @ ..] => (&b""[..], text),
        [b'[', ..] => rest.split_at(structured(rest)?),
        _ => return None,
    };
    let said = |part: &'static [u8], value| if value == part { &b""[..] } else { value };
    let text = text.strip_prefix(b" ").unwrap_or(text);
    Some(Message {
        time: timestamp::parse(time, now),
        host: said(b"-", host),
        app: said(b"-", app),
        process: said(b"-", process),
        id: said(b"-", id),
        data,
        text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
    })
}

/// The length of `[a b="c"][d]`; quotes may hide brackets, backslashes may hide quotes.
fn structured(text: &[u8]) -> Option<usize> {
    let (mut quoted, mut open, mut i) = (false, false, 0);
    while let Some(&byte) = text.get(i) {
        match byte {
            b'\\' if quoted => i += 1,
            b'"' if open => quoted = !quoted,
            b'[' if !open => open = true,
            b']' if open && !quoted => open = false,
            _ if !open => return Some(i),
            _ => {}
        }
        i += 1;
    }
    (!open).then_some(text.len())
}

/// After `<34>`: `Oct 11 22:14:15 host app[process]: text`; each part may be missing.
fn rfc3164(rest: &[u8], now: Nanos) -> Message<'_> {
    let mut message = Message { text: rest, ..Message::default() };
    let length = if rest.first().is_some_and(u8::is_ascii_digit) { word(rest).0.len() } else { 15 };
    let Some(time) = rest.get(..length).and_then(|time| timestamp::parse(time, now)) else { return message };
    message.time = Some(time);
    let rest = rest[length..].trim_ascii_start();
    message.text = rest;
    let (host, after) = word(rest);
    if host.ends_with(b":") {
        // Local senders leave the host out.
        return tagged(message, rest);
    }
    message.host = host;
    tagged(message, after)
}

fn tagged<'a>(mut message: Message<'a>, text: &'a [u8]) -> Message<'a> {
    message.text = text;
    let name = text.iter().take(64).position(|b| !(b.is_ascii_alphanumeric() || b"-_./".contains(b)));
    let Some(end) = name.filter(|&end| end > 0) else { return message };
    let (app, rest) = text.split_at(end);
    let (process, rest) = match rest {
        [b'[', inner @ ..] => match inner.iter().position(|&b| b == b']') {
            Some(end) => (&inner[..end], &inner[end + 1..]),
            None => return message,
        },
        _ => (&b""[..], rest),
    };
    if let Some(text) = rest.strip_prefix(b":") {
        (message.app, message.process, message.text) = (app, process, text.trim_ascii_start());
    }
    message
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
const SEVERITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];

impl Message<'_> {
    fn write(&self, priority: u32, out: &mut Vec<u8>) {
        let (facility, severity) = (priority / 8, priority % 8);
        out.extend_from_slice(b"{\"log.syslog.priority\":");
        json::integer(out, priority);
        out.extend_from_slice(b",\"log.syslog.facility.code\":");
        json::integer(out, facility);
        out.extend_from_slice(b",\"log.syslog.severity.code\":");
        json::integer(out, severity);
        if let Some(time) = self.time {
            out.extend_from_slice(b",\"@timestamp\":\"");
            timestamp::write(out, time);
            out.push(b'"');
        }
        let numeric = !self.process.is_empty()
            && self.process.len() < 10
            && self.process.iter().all(u8::is_ascii_digit);
        let level = level::number(severity, Scale::Syslog).unwrap_or("info");
        for (key, value) in [
            ("log.syslog.facility.name", FACILITIES[facility as usize].as_bytes()),
            ("log.syslog.severity.name", SEVERITIES[severity as usize].as_bytes()),
            ("log.level", level.as_bytes()),
            ("message", self.text),
            ("host.name", self.host),
            ("service.name", self.app),
            ("log.syslog.appname", self.app),
            ("log.syslog.procid", self.process),
            ("process.pid", if numeric { self.process } else { b"" }),
            ("log.syslog.msgid", self.id),
            ("labels.structured_data", self.data),
        ] {
            if value.is_empty() {
                continue;
            }
            out.extend_from_slice(b",\"");
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\":");
            json::string(out, value);
        }
        out.push(b'}');
    }
}
