//! A note of the hook to the record of a panic.

use super::{Note, fingerprint};
use crate::instrument::Instrument;
use crate::json;
use crate::logs::record;
use crate::wire::{field, kind};

/// Of the printed stack, at most.
const STACK: usize = 32 << 10;

pub(crate) fn write(instrument: &Instrument, note: &Note) {
    // Printing looks up the symbols: slow the first time.
    let stack = note.stack.as_ref().map(|s| s.print()).unwrap_or_default();
    let frames = fingerprint::frames(&stack);
    let fingerprint = fingerprint::of(&note.message, &frames, note.location.as_deref());
    record::with_buffer(|out| {
        record::begin(out, note.unix_ns, "error", kind::PANIC, &instrument.0.identity);
        json::member(out, field::MESSAGE, &format!("Error: {}", note.message));
        json::member(out, field::EVENT_OUTCOME, "failure");
        json::member(out, field::EVENT_CATEGORY, "process");
        json::member(out, field::HANDLER, "panic");
        if let Some(request) = &note.request {
            json::member_int(out, field::STATUS, 500u16);
            json::member_int(out, field::HTTP_STATUS, 500u16);
            json::member(out, field::METHOD, request.method.as_str());
            json::member(out, field::REQUEST_ID, request.id.as_str());
            json::member(out, field::HTTP_REQUEST_ID, request.id.as_str());
            // `handler` says panic; this says whose.
            json::member(out, "labels.handler", &request.route.cells.segment);
            request.write_http(out);
            // The compact request is escaped already.
            json::key(out, "labels.request");
            out.push(b'"');
            out.extend_from_slice(request.texts.compact());
            out.push(b'"');
            request.write_notes(out);
        }
        if let Some(ids) = note.ids {
            record::trace(out, ids);
        }
        json::member(out, field::ERROR_TYPE, "panic");
        json::member(out, field::ERROR_MESSAGE, &note.message);
        json::member(out, field::ERROR_FINGERPRINT, &fingerprint);
        if !stack.is_empty() {
            json::member(out, field::ERROR_STACK, &printed(&frames, &stack));
        }
        json::member(out, "process.thread.name", &note.thread);
        if let Some(location) = &note.location {
            let mut parts = location.rsplitn(3, ':');
            let (_, line, file) = (parts.next(), parts.next(), parts.next());
            json::member(out, "labels.location", location);
            json::member(out, "log.origin.file.name", file.unwrap_or(location));
            if let Some(line) = line.and_then(|l| l.parse::<u32>().ok()) {
                json::member_int(out, "log.origin.file.line", line);
            }
        }
        record::end(out);
        instrument.0.logs.push(out);
    });
    instrument.0.logs.wake();
}

/// The stack from the panic on, numbered anew; all of it if the start cannot be told.
fn printed(frames: &[fingerprint::Frame<'_>], stack: &str) -> String {
    use std::fmt::Write;
    if frames.is_empty() {
        return json::cut(stack, STACK).to_owned();
    }
    let mut out = String::with_capacity(stack.len().min(STACK));
    for (n, frame) in fingerprint::below_panic(frames).iter().enumerate() {
        let _ = writeln!(out, "{n:4}: {}", json::cut(frame.function, 160));
        if let Some(at) = frame.at {
            let _ = writeln!(out, "             at {at}");
        }
        if out.len() > STACK {
            break;
        }
    }
    json::cut(&out, STACK).to_owned()
}
