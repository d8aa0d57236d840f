//! The `tracing` layer: each event becomes one flat JSON line, with the fields of its spans and the ids of its request.

use super::record;
use crate::current;
use crate::drops::{Lane, Reason};
use crate::http::redact;
use crate::instrument::Instrument;
use crate::json;
use crate::wire::{field, kind};
use parking_lot::RwLock;
use std::fmt::{Debug, Write};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Interest, Level, LevelFilter, Metadata, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Spans of these would be spans about sending spans.
const TRANSPORT: [&str; 7] = ["h2", "hyper", "hyper_util", "opentelemetry", "reqwest", "rustls", "tonic"];

/// Which events are written, changeable while the service runs.
#[derive(Debug)]
pub(crate) struct LogFilter(RwLock<Targets>);

impl LogFilter {
    pub(crate) fn new(text: &str) -> Self {
        LogFilter(RwLock::new(parse(text).unwrap_or_else(|_| Targets::new().with_default(Level::INFO))))
    }

    pub(crate) fn set(&self, text: &str) -> Result<(), String> {
        *self.0.write() = parse(text)?;
        tracing_core::callsite::rebuild_interest_cache();
        Ok(())
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let by_level = self.0.read().would_enable(metadata.target(), metadata.level());
        // The log filter must not switch traces off.
        by_level || (metadata.is_span() && *metadata.level() <= Level::INFO)
    }

    fn max_level(&self) -> LevelFilter {
        let events = self.0.read().iter().map(|(_, level)| level).max().unwrap_or(LevelFilter::OFF);
        let events = events.max(self.0.read().default_level().unwrap_or(LevelFilter::OFF));
        events.max(LevelFilter::INFO)
    }
}

fn parse(text: &str) -> Result<Targets, String> {
    Targets::from_str(text)
        .map_err(|e| format!("{text}: {e}; expected target=level pairs such as info,hyper=warn"))
}

/// How many records a second each call site wrote. Call sites that share a slot share its allowance.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: u32,
    /// The second in the upper half, the count in the lower.
    slots: Box<[AtomicU64]>,
}

impl RateLimit {
    pub(crate) fn new(per_second: u32) -> Self {
        RateLimit { per_second, slots: (0..1_024).map(|_| AtomicU64::new(0)).collect() }
    }

    fn admits(&self, metadata: &'static Metadata<'static>, unix_ns: u64) -> bool {
        let address = std::ptr::from_ref(metadata) as usize;
        let slot = &self.slots[(address >> 4) % self.slots.len()];
        let second = (unix_ns / 1_000_000_000) << 32;
        let seen = slot.load(Ordering::Relaxed);
        if seen & !0xffff_ffff != second {
            slot.store(second | 1, Ordering::Relaxed);
            return self.per_second > 0;
        }
        if (seen as u32) >= self.per_second {
            return false;
        }
        slot.fetch_add(1, Ordering::Relaxed);
        true
    }
}

/// The fields of a span as members, kept with it: they are formatted once, not with every event.
struct SpanFields(Vec<(&'static str, Vec<u8>)>);

/// See the module.
pub(crate) struct LogLayer {
    instrument: Instrument,
}

impl LogLayer {
    pub(crate) fn new(instrument: Instrument) -> Self {
        LogLayer { instrument }
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.instrument.0.log_filter.max_level())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().fields().is_empty() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let mut fields = SpanFields(Vec::new());
        attributes.record(&mut Members { fields: &mut fields });
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(fields) = extensions.get_mut::<SpanFields>() {
            values.record(&mut Members { fields });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let instrument = &self.instrument;
        let normal = event.normalized_metadata();
        let metadata = normal.as_ref().unwrap_or_else(|| event.metadata());
        // Records of the `log` crate share one call site for each level: their filter is asked here.
        if normal.is_some() && !instrument.0.log_filter.wants(metadata) {
            return;
        }
        if let Some(share) = share(event)
            && fastrand::f64() >= share
        {
            instrument.0.drops.add(Lane::Logs, Reason::Sampled, 1);
            return;
        }
        let now = instrument.0.clock.now();
        if !instrument.0.rate_limit.admits(event.metadata(), now.unix_ns) {
            instrument.0.drops.add(Lane::Logs, Reason::RateLimited, 1);
            return;
        }
        record::with_buffer(|out| {
            record::begin(out, now.unix_ns, level(metadata.level()), kind::APP, &instrument.0.identity);
            current::with_scope(|scope| record::correlate(out, scope, span_ids()));
            let limit = instrument.0.settings.log_record_bytes;
            event.record(&mut Line { out, limit, cut: false });
            span_members(out, event, &context, limit);
            json::member(out, field::LOGGER, metadata.target());
            if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
                json::member(out, "log.origin.file.name", file);
                json::member_int(out, "log.origin.file.line", line);
            }
            record::end(out);
            instrument.0.logs.push(out);
        });
    }
}

/// The share of a call site's records to keep, if it names one: `info!(log.sample = 0.01, "…")`.
fn share(event: &Event<'_>) -> Option<f64> {
    struct Share(&'static str, Option<f64>);
    impl Visit for Share {
        fn record_f64(&mut self, field: &Field, value: f64) {
            if field.name() == self.0 {
                self.1 = Some(value);
            }
        }
        fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
    }
    const NAME: &str = "log.sample";
    event.metadata().fields().field(NAME)?;
    let mut share = Share(NAME, None);
    event.record(&mut share);
    share.1
}

impl LogLayer {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            let root = metadata.target().split("::").next().unwrap_or_default();
            if TRANSPORT.contains(&root) || root.starts_with("opentelemetry") {
                return false;
            }
        }
        self.instrument.0.log_filter.wants(metadata)
    }
}

/// The ids of the span that the bridge to OpenTelemetry has made current, if the service opened one.
fn span_ids() -> Option<crate::ids::SpanIds> {
    #[cfg(feature = "otlp")]
    return crate::traces::bridge::current_ids();
    #[cfg(not(feature = "otlp"))]
    None
}

fn span_members<S>(out: &mut Vec<u8>, event: &Event<'_>, context: &Context<'_, S>, limit: usize)
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let Some(inner) = context.event_span(event) else { return };
    let own = event.metadata().fields();
    // The innermost span's word counts where two use the same name.
    let mut seen: Vec<&'static str> = Vec::new();
    for span in inner.scope() {
        let extensions = span.extensions();
        let Some(SpanFields(fields)) = extensions.get() else { continue };
        for (name, value) in fields {
            if own.field(name).is_some() || seen.contains(name) || out.len() + value.len() > limit {
                continue;
            }
            seen.push(name);
            write_key(out, name);
            out.extend_from_slice(value);
        }
    }
}

pub(crate) fn level(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The ECS objects that a field with a dotted name may go into as it is.
const ECS: [&str; 13] = [
    "client",
    "container",
    "db",
    "error",
    "event",
    "http",
    "network",
    "process",
    "server",
    "source",
    "url",
    "user",
    "user_agent",
];

fn write_key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    match name {
        "message" => out.extend_from_slice(b"message"),
        "error" | "err" => out.extend_from_slice(field::ERROR_MESSAGE.as_bytes()),
        name => {
            let root = name.split_once('.').is_some_and(|(first, _)| ECS.contains(&first));
            if !root {
                out.extend_from_slice(b"labels.");
            }
            json::escape(out, name);
        }
    }
    out.extend_from_slice(b"\":");
}

/// Writes an event's fields into its line.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    limit: usize,
    cut: bool,
}

impl Line<'_> {
    /// Room for a value, `None` when the record is full. Names of the `log` crate's plumbing are left out.
    fn open(&mut self, field: &Field) -> Option<usize> {
        if field.name().starts_with("log.") && field.name() != "log.sample" {
            return None;
        }
        let left = self.limit.saturating_sub(self.out.len());
        if left < 128 {
            if !self.cut {
                self.cut = true;
                self.out.extend_from_slice(b",\"labels.truncated\":true");
            }
            return None;
        }
        write_key(self.out, field.name());
        if redact::secret(field.name()) {
            json::string(self.out, redact::BLANK);
            return None;
        }
        Some(left)
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(left) = self.open(field) {
            json::string(self.out, json::cut(value, left / 2));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if let Some(left) = self.open(field) {
            self.out.push(b'"');
            let _ = write!(json::Escaping { out: self.out, left: left / 2 }, "{value:?}");
            self.out.push(b'"');
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.open(field).is_some() {
            json::int(self.out, value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.open(field).is_some() {
            json::int(self.out, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if self.open(field).is_some() {
            json::float(self.out, value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.open(field).is_some() {
            self.out.extend_from_slice(if value { b"true" } else { b"false" });
        }
    }
}

/// Keeps a span's fields as JSON values.
struct Members<'a> {
    fields: &'a mut SpanFields,
}

impl Members<'_> {
    fn put(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>)) {
        let mut value = Vec::new();
        if redact::secret(field.name()) {
            json::string(&mut value, redact::BLANK);
        } else {
            write(&mut value);
        }
        match self.fields.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some(entry) => entry.1 = value,
            None => self.fields.0.push((field.name(), value)),
        }
    }
}

impl Visit for Members<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |out| json::string(out, json::cut(value, 4_096)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |out| {
            out.push(b'"');
            let _ = write!(json::Escaping { out, left: 4_096 }, "{value:?}");
            out.push(b'"');
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, |out| json::int(out, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |out| json::int(out, value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, |out| json::float(out, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, |out| out.extend_from_slice(if value { b"true" } else { b"false" }));
    }
}
