//! What this thread is working for at the moment: the service, the request and the span.
//!
//! It is set for the time of each poll, so that it follows a request through `await`s, and is carried over by
//! [`crate::spawn`]. Outside of requests it is the service that was installed last, without a request.

use crate::context::Request;
use crate::ids::SpanIds;
use crate::instrument::Instrument;
use pin_project_lite::pin_project;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// What work is done for.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) instrument: Instrument,
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) ids: Option<SpanIds>,
    /// Whether whoever entered counts a panic itself, as the handler's outcome.
    pub(crate) caught: bool,
}

impl Scope {
    pub(crate) fn new(instrument: Instrument, request: Option<Arc<Request>>, ids: Option<SpanIds>) -> Self {
        Scope { instrument, request, ids, caught: false }
    }
}

static INSTALLED: OnceLock<Instrument> = OnceLock::new();

thread_local! {
    static CURRENT: RefCell<Option<Arc<Scope>>> = const { RefCell::new(None) };
    /// Spans of `tracing` that were entered since the scope was: while there are none, the scope's span is the innermost.
    static SPANS: Cell<u32> = const { Cell::new(0) };
}

/// Makes this the process's service. False if there is one already.
pub(crate) fn install(instrument: Instrument) -> bool {
    INSTALLED.set(instrument).is_ok()
}

pub(crate) fn installed() -> Option<&'static Instrument> {
    INSTALLED.get()
}

/// The scope of this thread, if it works for anything in particular.
pub(crate) fn scope() -> Option<Arc<Scope>> {
    CURRENT.try_with(|c| c.try_borrow().ok().and_then(|c| c.clone())).ok().flatten()
}

/// Calls `f` with the scope, without touching its count of references.
pub(crate) fn with_scope<R>(f: impl FnOnce(Option<&Scope>) -> R) -> R {
    let mut f = Some(f);
    let done = CURRENT.try_with(|c| {
        let borrowed = c.try_borrow().ok()?;
        f.take().map(|f| f(borrowed.as_deref()))
    });
    match (done, f) {
        (Ok(Some(result)), _) => result,
        // The thread is ending, or its scope is being exchanged.
        (_, Some(f)) => f(None),
        (_, None) => unreachable!("f is taken only where its result is returned"),
    }
}

/// Calls `f` with the service that this thread works for, or the installed one.
pub(crate) fn with_instrument<R>(f: impl FnOnce(&Instrument) -> R) -> Option<R> {
    with_scope(|scope| match scope {
        Some(scope) => Some(f(&scope.instrument)),
        None => installed().map(f),
    })
}

/// Works for what is in `slot` until the guard is dropped. The scope is lent, not copied, so that nothing is counted: meanwhile the
/// slot holds what was before.
pub(crate) fn lend(slot: &mut Option<Arc<Scope>>) -> Lent<'_> {
    let lent = swap(slot);
    Lent { slot, lent, spans: SPANS.try_with(|s| s.replace(0)).unwrap_or_default() }
}

/// Puts the scope back into its slot.
pub(crate) struct Lent<'a> {
    slot: &'a mut Option<Arc<Scope>>,
    lent: bool,
    spans: u32,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if self.lent {
            swap(self.slot);
        }
        let _ = SPANS.try_with(|s| s.set(self.spans));
    }
}

/// Restores what was before.
pub(crate) struct Entered {
    slot: Option<Arc<Scope>>,
    entered: bool,
    spans: u32,
}

/// Works for `scope` until the guard is dropped.
pub(crate) fn enter(scope: Option<Arc<Scope>>) -> Entered {
    let mut slot = scope;
    let entered = swap(&mut slot);
    Entered { slot, entered, spans: SPANS.try_with(|s| s.replace(0)).unwrap_or_default() }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.entered {
            swap(&mut self.slot);
        }
        let _ = SPANS.try_with(|s| s.set(self.spans));
    }
}

/// Exchanges this thread's scope with `slot`. False, and nothing done, when the thread is ending or its scope is being looked at.
fn swap(slot: &mut Option<Arc<Scope>>) -> bool {
    CURRENT
        .try_with(|c| match c.try_borrow_mut() {
            Ok(mut current) => {
                std::mem::swap(&mut *current, slot);
                true
            }
            Err(_) => false,
        })
        .unwrap_or(false)
}

/// A span of `tracing` was entered, or left.
#[cfg(feature = "otlp")]
pub(crate) fn span_entered(now: bool) {
    let _ = SPANS.try_with(|s| s.set(if now { s.get() + 1 } else { s.get().saturating_sub(1) }));
}

/// Whether a span of `tracing` was entered since the scope was.
#[cfg(feature = "otlp")]
pub(crate) fn in_span() -> bool {
    SPANS.try_with(Cell::get).is_ok_and(|n| n > 0)
}

pin_project! {
    /// A future that works for a scope whenever it is polled.
    pub(crate) struct Scoped<F> {
        scope: Option<Arc<Scope>>,
        #[pin]
        future: F,
    }
}

impl<F> Scoped<F> {
    pub(crate) fn new(scope: Option<Arc<Scope>>, future: F) -> Self {
        Scoped { scope, future }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _lent = lend(this.scope);
        this.future.poll(cx)
    }
}

/// The correlation id of the request that this thread works for.
///
/// ```
/// assert_eq!(sightline_instrument::request_id(), None, "no request here");
/// ```
pub fn request_id() -> Option<String> {
    with_scope(|s| Some(s?.request.as_ref()?.id.as_str().to_owned()))
}

/// The trace id (32 lower-case hexadecimal digits) that this thread works for.
///
/// ```
/// assert_eq!(sightline_instrument::trace_id(), None, "no request here");
/// ```
pub fn trace_id() -> Option<String> {
    with_scope(|s| {
        let ids = s?.ids?;
        Some(String::from_utf8_lossy(&crate::ids::hex32(ids.trace_id)).into_owned())
    })
}

/// Adds a field to the record of the request that this thread works for, as `labels.key`. The more of the story is
/// in that one record, the fewer records it takes to find out what happened.
///
/// ```
/// sightline_instrument::annotate("kittens", 3); // outside of a request this does nothing
/// ```
pub fn annotate(key: &'static str, value: impl std::fmt::Display) {
    with_scope(|s| {
        if let Some(request) = s.and_then(|s| s.request.as_ref()) {
            request.note(key, &value);
        }
    });
}
