//! Panics: a hook that notes them, a thread that turns the notes into reports.
//!
//! The hook runs in a thread that is falling: it takes no lock that others hold for long, does no I/O, allocates little,
//! and never panics. Finding the names of a stack takes a tenth of a second the first time; the thread does that.

pub(crate) mod fingerprint;
pub(crate) mod report;
mod stack;

use crate::context::Request;
use crate::current::{self, Scope};
use crate::ids::SpanIds;
use crate::instrument::Instrument;
use crossbeam_channel::{Receiver, Sender, bounded};
use stack::Stack;
use std::any::Any;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

/// Reports that wait, at most; a service that panics faster has said what it has to say.
const WAITING: usize = 64;
/// Of a message, at most.
const MESSAGE: usize = 8 << 10;

/// What the hook saw.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) message: String,
    /// `file:line:column`.
    pub(crate) location: Option<String>,
    pub(crate) thread: String,
    pub(crate) stack: Option<Stack>,
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) ids: Option<SpanIds>,
    pub(crate) unix_ns: u64,
}

/// Where notes wait for the thread.
#[derive(Debug)]
pub(crate) struct Reports {
    sender: Sender<Note>,
    receiver: Receiver<Note>,
    lost: AtomicU64,
}

impl Default for Reports {
    fn default() -> Self {
        let (sender, receiver) = bounded(WAITING);
        Reports { sender, receiver, lost: AtomicU64::new(0) }
    }
}

/// Sets the hook, once for the process; the hook that was there goes on being called.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            note(info);
            before(info);
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let (scope, instrument) = match current::scope() {
        Some(scope) => (Some(scope.clone()), scope.instrument.clone()),
        None => match current::installed() {
            Some(instrument) => (None, instrument.clone()),
            None => return,
        },
    };
    let caught = scope.as_ref().is_some_and(|s| s.caught);
    let request = scope.as_ref().and_then(|s| s.request.clone());
    if let Some(request) = &request {
        request.reported.store(true, Ordering::Relaxed);
    }
    let thread = std::thread::current();
    let said = message(info.payload());
    let note = Note {
        message: said.clone(),
        location: info.location().map(|l| format!("{}:{}:{}", l.file(), l.line(), l.column())),
        thread: thread.name().unwrap_or("unnamed").to_owned(),
        stack: Some(Stack::capture()),
        request,
        ids: scope.as_ref().and_then(|s| s.ids),
        unix_ns: instrument.0.clock.now().unix_ns,
    };
    if !caught {
        // No handler will count it: a thread or a task of its own fell.
        instrument.0.metrics.counter_of(&["process", "tasks", crate::wire::outcome::PANIC]).increment(1);
    }
    instrument.0.panics.put(note);
    // The process ends when this hook returns: what can be said must be said now.
    if cfg!(panic = "abort") || ends_here(&said) {
        while write_next(&instrument, None) {}
        instrument.shutdown(Duration::from_secs(1));
    }
}

/// Whether the language aborts after this panic: it says so in no other way that is stable.
fn ends_here(message: &str) -> bool {
    matches!(message, "panic in a function that cannot unwind" | "panic in a destructor during cleanup")
}

impl Reports {
    fn put(&self, note: Note) {
        if self.sender.try_send(note).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A panic that passed no hook (`resume_unwind`) and was caught by the layer.
pub(crate) fn note_caught(scope: Option<&Scope>, payload: &dyn Any) {
    let Some(Scope { instrument, request: Some(request), ids, .. }) = scope else { return };
    if request.reported.swap(true, Ordering::Relaxed) {
        return;
    }
    instrument.0.panics.put(Note {
        message: message(payload),
        location: None,
        thread: std::thread::current().name().unwrap_or("unnamed").to_owned(),
        stack: None,
        request: Some(request.clone()),
        ids: *ids,
        unix_ns: instrument.0.clock.now().unix_ns,
    });
}

/// Writes the next report, waiting for it if told to. False when there was none.
pub(crate) fn write_next(instrument: &Instrument, wait: Option<Duration>) -> bool {
    let reports = &instrument.0.panics;
    let note = match wait {
        Some(wait) => reports.receiver.recv_timeout(wait).ok(),
        None => reports.receiver.try_recv().ok(),
    };
    let Some(note) = note else { return false };
    report::write(instrument, &note);
    let lost = reports.lost.swap(0, Ordering::Relaxed);
    if lost > 0 {
        instrument.note("error", &format!("{lost} panics came too fast to be reported one by one"));
    }
    true
}

/// After this long without a panic the symbols are forgotten.
const QUIET: Duration = Duration::from_secs(5);

/// Writes reports as they come until `ended` says so.
pub(crate) fn write_all(instrument: &Instrument, ended: impl Fn() -> bool) {
    const TICK: Duration = Duration::from_millis(250);
    let mut last = None;
    while !ended() {
        if write_next(instrument, Some(TICK)) {
            last = Some(Instant::now());
        } else if last.is_some_and(|at: Instant| at.elapsed() >= QUIET) {
            last = None;
            stack::forget_symbols();
        }
    }
    while write_next(instrument, None) {}
}

/// What a panic said.
pub(crate) fn message(payload: &dyn Any) -> String {
    let text = payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(a panic without a text)");
    crate::json::cut(text, MESSAGE).to_owned()
}
