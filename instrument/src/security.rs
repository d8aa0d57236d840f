//! Who tried what: an audit record and a counter for each event of security. Names and addresses go into the record,
//! never into a metric's name.

use crate::current;
use crate::ids::SpanIds;
use crate::instrument::Instrument;
use crate::json;
use crate::logs::record;
use crate::wire::{field, group, kind, outcome};
use std::net::IpAddr;

/// Of each text in a record, at most.
const TEXT: usize = 512;

struct Event<'a> {
    action: &'static str,
    category: &'static str,
    level: &'static str,
    good: bool,
    who: &'a str,
    from: Option<IpAddr>,
    what: &'a str,
    how: &'a str,
    why: &'a str,
}

/// Someone could not sign in. `from` is needed only outside of a request; within one, the request's source (seen through
/// trusted proxies) is taken. `how` is the method: `password`, `token`, …
///
/// Counts `service.auth.login.failed`.
///
/// ```
/// sightline_instrument::security::auth_failed("nic", None, "password", "wrong password");
/// ```
pub fn auth_failed(who: &str, from: Option<IpAddr>, how: &str, why: &str) {
    tell(
        group::AUTH,
        "login",
        outcome::FAILED,
        &Event {
            action: "auth_failed",
            category: "authentication",
            level: "warn",
            good: false,
            who,
            from,
            what: "",
            how,
            why,
        },
    );
}

/// Someone signed in. Counts `service.auth.login.success`, and names the user in the request's record.
///
/// ```
/// sightline_instrument::security::auth_succeeded("nic", None, "password");
/// ```
pub fn auth_succeeded(who: &str, from: Option<IpAddr>, how: &str) {
    current::with_scope(|s| {
        if let Some(request) = s.and_then(|s| s.request.as_ref()) {
            let _ = request.user.set(json::cut(who, TEXT).to_owned());
        }
    });
    tell(
        group::AUTH,
        "login",
        outcome::SUCCESS,
        &Event {
            action: "auth_succeeded",
            category: "authentication",
            level: "info",
            good: true,
            who,
            from,
            what: "",
            how,
            why: "",
        },
    );
}

/// Someone known may not do what they asked for. Counts `service.auth.access.failed`.
///
/// ```
/// sightline_instrument::security::access_denied("nic", None, "delete kitten", "not an owner");
/// ```
pub fn access_denied(who: &str, from: Option<IpAddr>, what: &str, why: &str) {
    tell(
        group::AUTH,
        "access",
        outcome::FAILED,
        &Event {
            action: "access_denied",
            category: "iam",
            level: "warn",
            good: false,
            who,
            from,
            what,
            how: "",
            why,
        },
    );
}

/// Input was not valid. Counts `service.validation.<what>.failed`; `what` names the kind of input and comes from code.
///
/// ```
/// sightline_instrument::security::validation_failed("helloworld", "name is missing");
/// ```
pub fn validation_failed(what: &str, why: &str) {
    tell(
        group::VALIDATION,
        what,
        outcome::FAILED,
        &Event {
            action: "validation_failed",
            category: "web",
            level: "info",
            good: false,
            who: "",
            from: None,
            what,
            how: "",
            why,
        },
    );
}

/// Input was valid. Counts `service.validation.<what>.success`, without a record.
///
/// ```
/// sightline_instrument::security::validation_succeeded("helloworld");
/// ```
pub fn validation_succeeded(what: &str) {
    crate::metrics::operation(group::VALIDATION, what).success();
}

fn tell(group: &str, segment: &str, outcome: &str, event: &Event<'_>) {
    crate::metrics::counter(group, segment, outcome).increment(1);
    current::with_instrument(|instrument| write(instrument, event));
}

fn write(instrument: &Instrument, event: &Event<'_>) {
    record::with_buffer(|out| {
        record::begin(
            out,
            instrument.0.clock.now().unix_ns,
            event.level,
            kind::AUDIT,
            &instrument.0.identity,
        );
        message(out, event);
        json::member(out, field::EVENT_CATEGORY, event.category);
        json::member(out, "event.action", event.action);
        json::member(out, field::EVENT_OUTCOME, if event.good { "success" } else { "failure" });
        if !event.why.is_empty() {
            json::member(out, "event.reason", json::cut(event.why, TEXT));
        }
        for (key, value) in [("labels.method", event.how), ("labels.what", event.what)] {
            if !value.is_empty() {
                json::member(out, key, json::cut(value, TEXT));
            }
        }
        current::with_scope(|scope| {
            let ids: Option<SpanIds> = None;
            record::correlate(out, scope, ids);
            let request = scope.and_then(|s| s.request.as_deref());
            if let Some(request) = request {
                json::member(out, field::URL_PATH, request.texts.path().as_str());
            }
            let known = request.and_then(|r| r.user.get()).map_or("", String::as_str);
            let who = if event.who.is_empty() { known } else { event.who };
            if !who.is_empty() {
                json::member(out, field::USER_NAME, json::cut(who, TEXT));
            }
            if let Some(from) = event.from.or_else(|| request.and_then(|r| r.source)) {
                crate::context::source(out, from);
            }
        });
        record::end(out);
        instrument.0.logs.push(out);
    });
}

fn message(out: &mut Vec<u8>, event: &Event<'_>) {
    json::key(out, field::MESSAGE);
    out.push(b'"');
    json::escape(out, &event.action.replace('_', " "));
    for part in [event.who, event.what, event.why] {
        if !part.is_empty() {
            out.extend_from_slice(b": ");
            json::escape(out, json::cut(part, TEXT));
        }
    }
    out.push(b'"');
}
