//! From a line to a record: what came stays, what the agent understands of it is added under its ECS name.

use std::borrow::Cow;

use serde_json::{Map, Value};

use sightline_instrument::wire::field;

use super::draft::Draft;
use super::ecs::Ecs;
use super::envelope::{Envelope, SENDERS};
use super::id::Ids;
use super::normalise;
use super::redact::Redactor;
use super::rules::{Outcome, Rules};
use super::scan::{Broken, Scan};
use super::sign_ins::Failure;
use super::stream::{Kind, Streams, UNKNOWN};
use super::syslog;
use super::timestamp::{self, Nanos};
use crate::json;
use crate::receive::payloads::Payloads;

/// Where lines come from; the same for all of a batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source<'a> {
    /// The machine, for records that do not say.
    pub host: Option<&'a str>,
    /// The service, for records that do not say.
    pub service: Option<&'a str>,
}

/// What the configuration says about records.
#[derive(Debug)]
pub struct Policy {
    /// `service.environment` of records that do not say.
    pub environment: String,
    /// Members beyond this many are kept as one text.
    pub max_fields: usize,
    /// Whether lines that begin with a syslog priority are taken apart.
    pub syslog: bool,
    /// Data streams.
    pub streams: Streams,
    /// Ids.
    pub ids: Ids,
    /// Configured changes.
    pub rules: Rules,
    /// Secrets, unless that is switched off.
    pub redactor: Option<Redactor>,
}

/// Finished records, and what had to be done to some of them.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records, in the form of [`Envelope`].
    pub payloads: Payloads,
    /// How many of them are in `unparsed`.
    pub unparsed: u64,
    /// How many went to another stream than they asked for, because there are too many.
    pub overflowed: u64,
    /// How many needed repair to be a document that Elasticsearch takes.
    pub repaired: u64,
    /// How many lines were not UTF-8; what could not be read is a replacement character.
    pub invalid_utf8: u64,
    /// How many lines were objects within objects beyond the bound; they are kept as text.
    pub too_deep: u64,
    /// How many a rule dropped; they are not among the payloads.
    pub dropped: u64,
    /// How many held a secret.
    pub redacted: u64,
    /// Sign-ins that failed.
    pub failures: Vec<Failure>,
}

impl Batch {
    /// Empties it.
    pub fn clear(&mut self) {
        self.payloads.clear();
        (self.unparsed, self.overflowed, self.repaired) = (0, 0, 0);
        (self.dropped, self.redacted, self.invalid_utf8, self.too_deep) = (0, 0, 0, 0);
        self.failures.clear();
    }
}

/// Memory that is reused from line to line.
#[derive(Debug, Default)]
pub struct Scratch {
    scan: Scan,
    ecs: Ecs,
    draft: Draft,
    spare: Vec<u8>,
}

impl Policy {
    /// Understands one line (which may hold several objects one after the other) and appends its records.
    pub fn line(
        &self,
        line: &[u8],
        source: Source<'_>,
        now: Nanos,
        scratch: &mut Scratch,
        batch: &mut Batch,
    ) {
        let mut line = line.trim_ascii();
        // Python's syslog handler ends its messages with a NUL, as C does its strings.
        while let Some(rest) = line.strip_suffix(b"\0") {
            line = rest.trim_ascii_end();
        }
        if line.is_empty() {
            return;
        }
        let text: Cow<'_, [u8]> = match std::str::from_utf8(line) {
            Ok(_) => Cow::Borrowed(line),
            Err(_) => {
                batch.invalid_utf8 += 1;
                Cow::Owned(String::from_utf8_lossy(line).into_owned().into_bytes())
            }
        };
        let mut rest: &[u8] = &text;
        while !rest.is_empty() {
            let end = match rest[0] {
                b'{' => {
                    let read = self.object(rest, source, now, None, scratch, batch);
                    batch.too_deep += u64::from(read == Err(Broken::Deep));
                    read.ok()
                }
                _ => None,
            };
            match end {
                Some(end) => rest = rest[end..].trim_ascii_start(),
                None => return self.plain(rest, source, now, scratch, batch),
            }
        }
    }

    /// Understands the object at the start of `line`, appends its record and returns where it ends. `id` is the
    /// sender's own, if it has one.
    pub fn object(
        &self,
        line: &[u8],
        source: Source<'_>,
        now: Nanos,
        id: Option<&str>,
        scratch: &mut Scratch,
        batch: &mut Batch,
    ) -> Result<usize, Broken> {
        let end = scratch.scan.object(line, 0)?;
        let suspect = self.redactor.as_ref().is_some_and(|r| r.suspects(&line[..end]));
        if suspect || !self.rules.is_empty() {
            let mut record = serde_json::from_slice(&line[..end]).map_err(|_| Broken::Syntax)?;
            match self.adjust(&mut record, batch) {
                Outcome::Dropped => return Ok(end),
                Outcome::Changed => {
                    let text = serde_json::to_vec(&record).map_err(|_| Broken::Syntax)?;
                    scratch.scan.object(&text, 0)?;
                    return self.scanned(&text, source, now, id, scratch, batch).map(|()| end);
                }
                Outcome::Untouched => {}
            }
        }
        self.scanned(&line[..end], source, now, id, scratch, batch).map(|()| end)
    }

    /// Applies the rules, then removes secrets.
    fn adjust(&self, record: &mut Map<String, Value>, batch: &mut Batch) -> Outcome {
        let outcome = self.rules.apply(record);
        if outcome == Outcome::Dropped {
            batch.dropped += 1;
        } else if self.redactor.as_ref().is_some_and(|redactor| redactor.record(record)) {
            batch.redacted += 1;
            return Outcome::Changed;
        }
        outcome
    }

    /// Finishes an object that `scratch.scan` has just read, over the slow road if it must be.
    fn scanned(
        &self,
        object: &[u8],
        source: Source<'_>,
        now: Nanos,
        id: Option<&str>,
        scratch: &mut Scratch,
        batch: &mut Batch,
    ) -> Result<(), Broken> {
        if !scratch.scan.odd && scratch.scan.members.len() <= self.max_fields {
            self.finish(object, source, now, id, scratch, batch);
            return Ok(());
        }
        let mut spare = std::mem::take(&mut scratch.spare);
        let repaired = normalise::object(object, self.max_fields, &mut spare);
        let done = repaired.and_then(|()| scratch.scan.object(&spare, 0)).map(|_| ());
        if done.is_ok() {
            batch.repaired += 1;
            self.finish(&spare, source, now, id, scratch, batch);
        }
        spare.clear();
        spare.shrink_to(1 << 20);
        scratch.spare = spare;
        done
    }

    fn finish(
        &self,
        object: &[u8],
        source: Source<'_>,
        now: Nanos,
        id: Option<&str>,
        scratch: &mut Scratch,
        batch: &mut Batch,
    ) {
        let Scratch { scan, ecs, draft, .. } = scratch;
        draft.clear();
        ecs.understand(object, scan, source, &self.environment, now, draft);
        let start = ecs.start;
        self.head(&ecs.service, ecs.kind, &ecs.environment, now, id, batch);
        let from = batch.payloads.bytes.len();
        draft.write(&object[start..], start, &mut batch.payloads.bytes);
        if draft.is_renamed() {
            unique(scan, &mut batch.payloads.bytes, from);
        }
        if ecs.kind == Kind::Audit {
            batch.failures.extend(Failure::of(&batch.payloads.bytes[from..]));
        }
        batch.payloads.end();
    }

    /// A line that is no JSON object.
    fn plain(&self, line: &[u8], source: Source<'_>, now: Nanos, scratch: &mut Scratch, batch: &mut Batch) {
        if !self.rules.is_empty() {
            let text = String::from_utf8_lossy(line).into_owned();
            let mut record: Map<String, Value> =
                [(field::MESSAGE.to_owned(), text.into())].into_iter().collect();
            match self.rules.apply(&mut record) {
                Outcome::Dropped => {
                    batch.dropped += 1;
                    return;
                }
                // What a rule has made an object of is no longer a plain line.
                Outcome::Changed => {
                    self.redactor.as_ref().map(|redactor| redactor.record(&mut record));
                    if let Ok(text) = serde_json::to_vec(&record)
                        && scratch.scan.object(&text, 0).is_ok()
                        && self.scanned(&text, source, now, None, scratch, batch).is_ok()
                    {
                        return;
                    }
                }
                Outcome::Untouched => {}
            }
        }
        if self.syslog {
            let mut spare = std::mem::take(&mut scratch.spare);
            spare.clear();
            let parsed = syslog::to_json(line, now, &mut spare);
            let parsed = parsed && self.object(&spare, source, now, None, scratch, batch).is_ok();
            scratch.spare = spare;
            if parsed {
                return;
            }
        }
        let clean = self.redactor.as_ref().filter(|redactor| redactor.suspects(line));
        let clean = clean.and_then(|redactor| Some(redactor.text(std::str::from_utf8(line).ok()?)));
        let line = clean.as_deref().map_or(line, str::as_bytes);
        batch.unparsed += 1;
        let service = source.service.unwrap_or(UNKNOWN);
        self.head(service.as_bytes(), Kind::Unparsed, self.environment.as_bytes(), now, None, batch);
        let out = &mut batch.payloads.bytes;
        out.extend_from_slice(b"{\"@timestamp\":\"");
        timestamp::write(out, now);
        out.extend_from_slice(b"\",\"message\":");
        json::string(out, line);
        let mut member = |key: &str, value: &[&str]| {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\":\"");
            value.iter().for_each(|part| json::escape(out, part.as_bytes()));
            out.push(b'"');
        };
        member(field::EVENT_DATASET, &[service, ".", Kind::Unparsed.as_str()]);
        member(field::SERVICE_ENVIRONMENT, &[&self.environment]);
        if let Some(service) = source.service {
            member(field::SERVICE_NAME, &[service]);
        }
        if let Some(host) = source.host {
            member(field::HOST_NAME, &[host]);
        }
        out.push(b'}');
        batch.payloads.end();
    }

    /// Appends stream and id, in the form of [`Envelope`].
    fn head(
        &self,
        service: &[u8],
        kind: Kind,
        environment: &[u8],
        now: Nanos,
        id: Option<&str>,
        batch: &mut Batch,
    ) {
        let from = batch.payloads.bytes.len();
        batch.payloads.bytes.push(0);
        let own = self.streams.write(service, kind, environment, &mut batch.payloads.bytes);
        batch.overflowed += u64::from(!own);
        // Both parts of a name are bounded far below 255 bytes.
        batch.payloads.bytes[from] = (batch.payloads.bytes.len() - from - 1) as u8;
        let fresh;
        let id = match id {
            Some(id) => {
                batch.payloads.bytes.push(SENDERS);
                id.as_bytes()
            }
            None => {
                fresh = self.ids.next((now / 1_000_000) as u64);
                &fresh
            }
        };
        let id = &id[..id.len().min(255)];
        batch.payloads.bytes.push(id.len() as u8);
        batch.payloads.bytes.extend_from_slice(id);
        debug_assert!(Envelope::decode(&batch.payloads.bytes[from..]).is_some());
    }
}

/// Writes the document at `from` anew if a key stands twice in it since a member was renamed.
fn unique(scan: &mut Scan, bytes: &mut Vec<u8>, from: usize) {
    if scan.object(bytes, from).is_ok() && scan.odd {
        let mut clean = Vec::new();
        if normalise::object(&bytes[from..], usize::MAX, &mut clean).is_ok() {
            bytes.truncate(from);
            bytes.extend_from_slice(&clean);
        }
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
