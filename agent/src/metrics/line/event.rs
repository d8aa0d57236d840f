//! DogStatsD events and service checks: not samples, but worth a log record and a health status.

use super::{Refusal, Sink};

/// `_e{5,4}:title|text|d:…|h:…|p:…|t:…|s:…|k:…|#tags`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Event<'a> {
    /// Title.
    pub title: &'a str,
    /// Text; `\n` in it is written as backslash and n.
    pub text: &'a str,
    /// Seconds since the epoch, as sent.
    pub at: Option<&'a str>,
    /// The machine it speaks of.
    pub host: Option<&'a str>,
    /// `normal` or `low`.
    pub priority: Option<&'a str>,
    /// `error`, `warning`, `info` or `success`.
    pub alert: Option<&'a str>,
    /// What groups it with others.
    pub key: Option<&'a str>,
    /// What sent it.
    pub source: Option<&'a str>,
    /// What stands behind `#`.
    pub tags: &'a str,
}

/// `_sc|name|status|d:…|h:…|#tags|m:message`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Check<'a> {
    /// What is checked.
    pub name: &'a str,
    /// 0 ok, 1 warning, 2 critical, 3 unknown.
    pub status: u8,
    /// Seconds since the epoch, as sent.
    pub at: Option<&'a str>,
    /// The machine it speaks of.
    pub host: Option<&'a str>,
    /// Why.
    pub message: Option<&'a str>,
    /// What stands behind `#`.
    pub tags: &'a str,
}

/// Hands on an event or a check. False if the line is neither, but a sample whose name starts with `_`.
pub fn parse(line: &[u8], sink: &mut impl Sink) -> bool {
    let is_event = line.starts_with(b"_e{");
    if !is_event && !line.starts_with(b"_sc|") {
        return false;
    }
    let Ok(text) = std::str::from_utf8(line) else {
        sink.refuse(Refusal::MalformedLine);
        return true;
    };
    let read = if is_event {
        event(&text[3..]).map(|event| sink.event(&event))
    } else {
        check(&text[4..]).map(|check| sink.check(&check))
    };
    if read.is_none() {
        sink.refuse(Refusal::MalformedEvent);
    }
    true
}

fn event(text: &str) -> Option<Event<'_>> {
    let (lengths, body) = text.split_once("}:")?;
    let (title, text) = lengths.split_once(',')?;
    let (title, text): (usize, usize) = (title.parse().ok()?, text.parse().ok()?);
    let end = title.checked_add(1)?.checked_add(text)?;
    let mut event = Event { title: body.get(..title)?, text: body.get(title + 1..end)?, ..Event::default() };
    if event.title.is_empty() || body.as_bytes().get(title) != Some(&b'|') {
        return None;
    }
    for field in body[end..].split('|').filter(|f| !f.is_empty()) {
        match field.split_at_checked(2) {
            _ if field.starts_with('#') => event.tags = &field[1..],
            Some(("d:", at)) => event.at = Some(at),
            Some(("h:", host)) => event.host = Some(host),
            Some(("p:", priority)) => event.priority = Some(priority),
            Some(("t:", alert)) => event.alert = Some(alert),
            Some(("k:", key)) => event.key = Some(key),
            Some(("s:", source)) => event.source = Some(source),
            _ => {}
        }
    }
    Some(event)
}

fn check(text: &str) -> Option<Check<'_>> {
    let (name, rest) = text.split_once('|')?;
    // The message comes last and may hold bars.
    let (rest, message) = match rest.split_once("|m:") {
        Some((rest, message)) => (rest, Some(message)),
        None => (rest, None),
    };
    let mut fields = rest.split('|');
    let status = fields.next()?.parse().ok().filter(|status| *status <= 3)?;
    let mut check = Check { name, status, message, ..Check::default() };
    if name.is_empty() {
        return None;
    }
    for field in fields {
        match field.split_at_checked(2) {
            _ if field.starts_with('#') => check.tags = &field[1..],
            Some(("d:", at)) => check.at = Some(at),
            Some(("h:", host)) => check.host = Some(host),
            _ => {}
        }
    }
    Some(check)
}
