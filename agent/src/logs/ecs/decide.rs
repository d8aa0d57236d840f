//! What becomes of each ECS field: which of the members that were noted says it, how it is read, where it is written.

use std::borrow::Cow;

use sightline_instrument::wire::field as f;

use super::{Ecs, NONE, Noted};
use crate::json;
use crate::logs::draft::Draft;
use crate::logs::fields::{self, Reading, Slot};
use crate::logs::level::{self, Scale};
use crate::logs::record::Source;
use crate::logs::scan::{self, Kind as Json, Scan};
use crate::logs::stream::{Kind, UNKNOWN};
use crate::logs::timestamp::{self, Nanos};
use crate::logs::{ids, labels};

/// One record at work.
pub(super) struct Work<'a> {
    pub(super) line: &'a [u8],
    pub(super) ecs: &'a mut Ecs,
    pub(super) draft: &'a mut Draft,
}

impl<'a> Work<'a> {
    /// Decides about every field.
    pub(super) fn all(&mut self, scan: &Scan, source: Source<'_>, environment: &str, now: Nanos) {
        self.timestamp(now);
        self.level();
        self.message();
        self.service(source);
        self.environment(environment);
        self.host(source);
        self.trace();
        self.request();
        self.error();
        self.rest();
        self.move_plain_values(scan);
        self.dataset();
    }

    fn best(&self, slot: Slot) -> Option<Noted> {
        self.ecs.noted.get(usize::from(self.ecs.best[slot as usize])).copied()
    }

    fn own(&self, slot: Slot) -> Option<Noted> {
        self.ecs.noted.get(usize::from(self.ecs.own[slot as usize])).copied()
    }

    fn text(&self, noted: &Noted) -> Option<Cow<'a, str>> {
        scan::text(self.line, &noted.member)
    }

    fn value(&self, noted: &Noted) -> &'a [u8] {
        noted.member.value(self.line)
    }

    /// Writes an ECS field: in its own place if the record has it, else beside what came.
    fn set(&mut self, slot: Slot, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        match self.own(slot) {
            Some(own) => self.draft.replace(own.member.value, write),
            None => self.draft.add(name, write),
        }
    }

    fn set_text(&mut self, slot: Slot, name: &str, text: &[u8]) {
        self.set(slot, name, |out| json::string(out, text));
    }

    /// Copies a foreign value as it stands to its ECS name, unless it is there or moves there anyway.
    fn copy(&mut self, slot: Slot, name: &str, accept: impl Fn(Json) -> bool) {
        let Some(best) = self.best(slot).filter(|b| b.field.rank > 0 && accept(b.member.kind)) else {
            return;
        };
        if best.field.object == Some(name) && best.top && self.own(slot).is_none() {
            return;
        }
        let value = self.value(&best);
        self.set(slot, name, |out| out.extend_from_slice(value));
    }

    fn timestamp(&mut self, now: Nanos) {
        let mut nanos = None;
        if let Some(best) = self.best(Slot::Timestamp) {
            if let Some(plain) = best.member.plain(self.line) {
                if best.field.rank == 0 && timestamp::is_canonical(plain) {
                    return;
                }
                nanos = timestamp::parse(plain, now);
            } else if best.member.kind == Json::Number {
                nanos = timestamp::number(self.value(&best));
                let fraction = self.best(Slot::InstantNanos).map(|n| self.value(&n));
                let fraction = fraction.and_then(|n| std::str::from_utf8(n).ok()?.parse::<i64>().ok());
                if best.field.key == "instant.epochSecond"
                    && let Some(fraction) = fraction
                {
                    nanos = nanos.map(|n| n + fraction.clamp(0, 999_999_999));
                }
            }
            if nanos.is_none() && best.field.rank == 0 && best.member.kind != Json::Null {
                // The sender's word is kept, but not where a date has to be.
                let value = self.value(&best);
                let quoted = matches!(best.member.kind, Json::Plain | Json::Escaped);
                self.draft.add("labels.timestamp", |out| match quoted {
                    true => out.extend_from_slice(value),
                    false => json::string(out, value),
                });
            }
        }
        self.set(Slot::Timestamp, f::TIMESTAMP, |out| {
            out.push(b'"');
            timestamp::write(out, nanos.unwrap_or(now));
            out.push(b'"');
        });
    }

    fn level(&mut self) {
        let Some(best) = self.best(Slot::Level) else { return };
        let scale = match best.field.reading {
            Reading::PythonLevel => Scale::Python,
            Reading::LogbackLevel => Scale::Logback,
            Reading::SyslogLevel => Scale::Syslog,
            Reading::OtelLevel => Scale::Otel,
            _ => Scale::Pino,
        };
        let digits = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
        let (plain, level) = match best.member.kind {
            Json::Number => (None, digits(self.value(&best)).and_then(|n| level::number(n, scale))),
            Json::Plain => {
                let plain = best.member.plain(self.line).unwrap_or_default();
                let scaled = digits(plain).and_then(|n| level::number(n, scale));
                (Some(plain), scaled.or_else(|| level::word(plain)))
            }
            _ => return,
        };
        let Some(level) = level else { return };
        if best.field.rank == 0 {
            if plain == Some(level.as_bytes()) {
                return;
            }
            // The ECS field is overwritten: a spelling that says more than the five words stays as a label.
            if let Some(plain) = plain.filter(|p| !p.eq_ignore_ascii_case(level.as_bytes())) {
                self.draft.add_text("labels.level", plain);
            }
        }
        self.set_text(Slot::Level, f::LEVEL, level.as_bytes());
    }

    fn message(&mut self) {
        let Some(best) = self.best(Slot::Message) else { return };
        let value = self.value(&best);
        match best.member.kind {
            Json::Plain | Json::Escaped if best.field.rank == 0 => {}
            Json::Plain | Json::Escaped if best.field.key == "log" => {
                // Docker's lines end with the newline they were written with.
                let text = self.text(&best).unwrap_or_default();
                self.set_text(Slot::Message, f::MESSAGE, text.trim_end_matches(['\n', '\r']).as_bytes());
            }
            Json::Plain | Json::Escaped | Json::Number | Json::Bool if best.field.rank > 0 => {
                self.copy(Slot::Message, f::MESSAGE, |_| true);
            }
            // Text has to be text: what a logger put there instead is shown as it was written.
            Json::Object | Json::Array if best.field.rank <= 1 => {
                self.set_text(Slot::Message, f::MESSAGE, value);
            }
            _ => {}
        }
    }

    fn service(&mut self, source: Source<'_>) {
        self.ecs.service.clear();
        let mut best = self.best(Slot::Service);
        if best.is_none_or(|b| !matches!(b.member.kind, Json::Plain | Json::Escaped)) {
            // bunyan and pino call the application `name`; others call their logger so.
            best = self.best(Slot::Logger).filter(|b| {
                b.field.key == "name" && self.best(Slot::Level).is_some_and(|l| l.member.kind == Json::Number)
            });
            if let Some(best) = best {
                self.ecs.best[Slot::Logger as usize] = NONE;
                let value = self.value(&best);
                self.set(Slot::Service, f::SERVICE_NAME, |out| out.extend_from_slice(value));
            }
        } else {
            self.copy(Slot::Service, f::SERVICE_NAME, |_| true);
        }
        let named = best.and_then(|b| self.text(&b)).filter(|name| !name.is_empty());
        match (named, source.service) {
            (Some(name), _) => self.ecs.service.extend_from_slice(name.as_bytes()),
            (None, Some(default)) => {
                self.ecs.service.extend_from_slice(default.as_bytes());
                self.set_text(Slot::Service, f::SERVICE_NAME, default.as_bytes());
            }
            (None, None) => self.ecs.service.extend_from_slice(UNKNOWN.as_bytes()),
        }
    }

    fn environment(&mut self, default: &str) {
        self.ecs.environment.clear();
        let named = self.best(Slot::Environment).and_then(|b| Some((b, self.text(&b)?)));
        match named.filter(|(_, text)| !text.is_empty()) {
            Some((_, text)) => {
                self.ecs.environment.extend_from_slice(text.as_bytes());
                self.copy(Slot::Environment, f::SERVICE_ENVIRONMENT, |_| true);
            }
            None => {
                self.ecs.environment.extend_from_slice(default.as_bytes());
                self.set_text(Slot::Environment, f::SERVICE_ENVIRONMENT, default.as_bytes());
            }
        }
        self.copy(Slot::Version, f::SERVICE_VERSION, is_scalar);
    }

    fn host(&mut self, source: Source<'_>) {
        match (self.best(Slot::Host), source.host) {
            (Some(_), _) => self.copy(Slot::Host, f::HOST_NAME, is_text),
            (None, Some(host)) => self.set_text(Slot::Host, f::HOST_NAME, host.as_bytes()),
            (None, None) => {}
        }
    }

    fn trace(&mut self) {
        let traceparent = self.best(Slot::Traceparent).and_then(|b| b.member.plain(self.line));
        let (parent_trace, parent_span) = traceparent.and_then(ids::traceparent).unzip();
        for (slot, name, digits, parent) in
            [(Slot::Trace, f::TRACE_ID, 32, parent_trace), (Slot::Span, f::SPAN_ID, 16, parent_span)]
        {
            let best = self.best(slot);
            let given = best.and_then(|b| Some((b, b.member.plain(self.line).or(Some(self.value(&b)))?)));
            let clean = given.and_then(|(best, text)| match best.field.reading {
                Reading::DecimalId => ids::decimal(text, digits),
                _ => ids::hexadecimal(text, digits),
            });
            match (given, clean.or(parent.map(<[u8]>::to_vec))) {
                (Some((best, text)), Some(clean)) if best.field.rank == 0 && text == clean => {}
                (_, Some(clean)) => {
                    if best.is_none_or(|b| b.field.object.is_none()) {
                        self.set_text(slot, name, &clean);
                    } else if let Some(best) = best {
                        // A plain `trace` moves; its value is made an id on the way.
                        self.draft.replace(best.member.value, |out| json::string(out, &clean));
                    }
                }
                _ => {}
            }
        }
    }

    /// What a record says of a request, under the ECS names and under the four short ones.
    fn request(&mut self) {
        let method = self.best(Slot::Method).and_then(|b| Some((b, b.member.plain(self.line)?)));
        let method = method.filter(|(b, text)| b.field.rank == 0 || is_verb(text));
        let status = self.best(Slot::Status).and_then(|b| Some((b, status(self.value(&b))?)));
        if let Some((best, text)) = method {
            if best.field.rank > 0 {
                self.set_text(Slot::Method, f::HTTP_METHOD, text);
            }
            if best.field.key != f::METHOD && !self.has_top(f::METHOD) {
                self.draft.add_text(f::METHOD, text);
            }
        }
        if let Some((best, code)) = status {
            if best.field.rank > 0 {
                self.set(Slot::Status, f::HTTP_STATUS, |out| json::integer(out, code));
            }
            if best.field.key != f::STATUS && !self.has_top(f::STATUS) {
                self.draft.add(f::STATUS, |out| json::integer(out, code));
            }
        }
        if let Some(best) = self.best(Slot::RequestId) {
            self.copy(Slot::RequestId, f::HTTP_REQUEST_ID, is_scalar);
            if best.field.key != f::REQUEST_ID && is_scalar(best.member.kind) && !self.has_top(f::REQUEST_ID)
            {
                let value = self.value(&best);
                self.draft.add(f::REQUEST_ID, |out| out.extend_from_slice(value));
            }
        }
        if method.is_some() || status.is_some() {
            self.path();
            self.copy(Slot::UserAgent, "user_agent.original", is_text);
        }
        if let Some(best) = self.best(Slot::SourceIp).filter(|b| b.field.rank > 0) {
            let address = best.member.plain(self.line).and_then(ids::address);
            if let Some(address) = address {
                self.set_text(Slot::SourceIp, f::SOURCE_IP, address.to_string().as_bytes());
            }
        } else if let Some(own) = self.own(Slot::SourceIp).filter(|own| own.top) {
            let address = own.member.plain(self.line).and_then(ids::address);
            if address.is_none() && own.member.kind != Json::Null {
                self.draft.rename(own.member.key, |out| out.extend_from_slice(b"source.address"));
            }
        }
    }

    fn path(&mut self) {
        let Some(best) = self.best(Slot::Path).filter(|b| b.field.rank > 0) else { return };
        let Some(text) = self.text(&best).filter(|text| text.starts_with('/')) else { return };
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*text, None),
        };
        self.set_text(Slot::Path, f::URL_PATH, path.as_bytes());
        match query {
            Some(query) if self.best(Slot::Query).is_none() => {
                self.set_text(Slot::Query, f::URL_QUERY, query.as_bytes());
            }
            _ => self.copy(Slot::Query, f::URL_QUERY, is_text),
        }
    }

    fn error(&mut self) {
        self.copy(Slot::ErrorType, f::ERROR_TYPE, is_text);
        self.copy(Slot::ErrorMessage, f::ERROR_MESSAGE, is_text);
        // A list of frames is not a text to search in; it stays where it is.
        self.copy(Slot::ErrorStack, f::ERROR_STACK, is_text);
    }

    fn rest(&mut self) {
        self.copy(Slot::Logger, f::LOGGER, is_text);
        self.copy(Slot::User, f::USER_NAME, is_scalar);
        self.copy(Slot::Thread, "process.thread.name", is_text);
        self.copy(Slot::Pid, "process.pid", |kind| kind == Json::Number);
        if let Some(best) = self.best(Slot::Duration) {
            if let Reading::Times(nanoseconds) = best.field.reading {
                let text = best.member.plain(self.line).unwrap_or_else(|| self.value(&best));
                let value = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
                if let Some(value) = value.filter(|v| (0.0..1e9).contains(v)) {
                    let nanos = (value * nanoseconds as f64).round() as u64;
                    self.set(Slot::Duration, f::EVENT_DURATION, |out| json::integer(out, nanos));
                }
            } else if best.top && best.member.kind != Json::Number {
                self.draft.rename(best.member.key, |out| out.extend_from_slice(b"labels.event.duration"));
            }
        }
        if let Some(own) = self.own(Slot::Labels)
            && own.member.kind == Json::Object
        {
            let value = self.value(&own);
            if let Some(flat) = labels::flatten(value) {
                self.draft.replace(own.member.value, |out| out.extend_from_slice(&flat));
            }
        }
    }

    /// A plain value where ECS has an object moves into the object; a plain value whose name other members continue
    /// after a dot becomes `name.value`.
    fn move_plain_values(&mut self, scan: &Scan) {
        for index in 0..self.ecs.noted.len() {
            let Noted { member, field, top } = self.ecs.noted[index];
            let Some(to) = field.object else { continue };
            let object = match member.kind {
                Json::Object | Json::Null => true,
                Json::Array => {
                    matches!(member.value(self.line)[1..].trim_ascii_start().first(), Some(b'{' | b']'))
                }
                _ => false,
            };
            if !top || object {
                continue;
            }
            let to = match field.key {
                "process" if member.kind == Json::Number => "process.pid",
                "trace" if member.plain(self.line).is_none_or(|t| ids::hexadecimal(t, 32).is_none()) => {
                    "labels.trace"
                }
                _ => to,
            };
            let taken = self.ecs.noted.iter().any(|n| n.field.key == to && n.top)
                || scan.members.iter().any(|m| m.key(self.line) == to.as_bytes());
            self.draft.rename(member.key, |out| {
                if taken {
                    out.extend_from_slice(b"labels.");
                    out.extend_from_slice(field.key.as_bytes());
                } else {
                    out.extend_from_slice(to.as_bytes());
                }
            });
        }
        for &index in &self.ecs.dotted {
            let key = scan.members[index].key(self.line);
            for (dot, _) in key.iter().enumerate().filter(|(_, b)| **b == b'.') {
                let parent = scan.members.iter().find(|m| m.key(self.line) == &key[..dot]);
                let Some(parent) = parent.filter(|p| !matches!(p.kind, Json::Object | Json::Null)) else {
                    continue;
                };
                if fields::find(&key[..dot]).is_some_and(|f| f.object.is_some()) {
                    continue;
                }
                self.draft.rename((parent.key.1, parent.key.1), |out| out.extend_from_slice(b".value"));
            }
        }
    }

    fn dataset(&mut self) {
        let own = self.own(Slot::Dataset).and_then(|own| own.member.plain(self.line));
        let kind = own.and_then(Kind::of_dataset);
        self.ecs.kind = kind.unwrap_or_else(|| self.guess_kind());
        if own.is_none() {
            let service = std::mem::take(&mut self.ecs.service);
            let kind = self.ecs.kind;
            self.set(Slot::Dataset, f::EVENT_DATASET, |out| {
                out.push(b'"');
                json::escape(out, &service);
                out.push(b'.');
                out.extend_from_slice(kind.as_str().as_bytes());
                out.push(b'"');
            });
            self.ecs.service = service;
        }
    }

    fn guess_kind(&self) -> Kind {
        let is_panic =
            |slot| self.best(slot).is_some_and(|b| b.top && b.member.plain(self.line) == Some(&b"panic"[..]));
        if is_panic(Slot::ErrorType) || is_panic(Slot::Handler) {
            return Kind::Panic;
        }
        let category = self.best(Slot::Category).map(|b| self.value(&b)).unwrap_or_default();
        let audit = [&b"\"authentication\""[..], b"\"iam\"", b"\"session\""]
            .iter()
            .any(|word| memchr::memmem::find(category, word).is_some());
        if audit { Kind::Audit } else { Kind::App }
    }

    fn has_top(&self, key: &str) -> bool {
        self.ecs.noted.iter().any(|n| n.top && n.field.key == key)
    }
}

fn is_text(kind: Json) -> bool {
    matches!(kind, Json::Plain | Json::Escaped)
}

fn is_scalar(kind: Json) -> bool {
    matches!(kind, Json::Plain | Json::Escaped | Json::Number)
}

fn is_verb(text: &[u8]) -> bool {
    const VERBS: [&[u8]; 9] =
        [b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS", b"CONNECT", b"TRACE"];
    VERBS.contains(&text)
}

/// An HTTP status, as a number or in quotes.
fn status(value: &[u8]) -> Option<u32> {
    let digits = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|code| (100..600).contains(code))
}
