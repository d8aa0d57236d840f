//! What leaves the process: timed, counted, and a span below the request's.

use crate::current::{self, Scope, Scoped};
use crate::ids::SpanIds;
use crate::instrument::Instrument;
use crate::metrics::operation::OperationCells;
use crate::traces::span::{Attributes, Finished, Role};
use crate::wire::field;
use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

/// An operation under way. Dropping it unfinished counts as failed: the future was given up.
#[derive(Debug)]
pub(crate) struct Running {
    instrument: Instrument,
    operation: Arc<OperationCells>,
    pub(crate) scope: Arc<Scope>,
    parent: Option<SpanIds>,
    role: Role,
    start_ns: u64,
    start_mono: u64,
    pub(crate) attributes: Attributes,
    /// Of a call over HTTP, for the name of its span.
    pub(crate) method: Option<http::Method>,
    /// What kind of error it ended with (`error.type`), where one is known: a word of a handful.
    pub(crate) error_type: Option<Cow<'static, str>>,
    done: bool,
}

impl Running {
    /// `None` outside of any instrumented service.
    pub(crate) fn start(group: &str, segment: &str, role: Role) -> Option<Self> {
        let (instrument, request, outer) = current::with_scope(|scope| match scope {
            Some(scope) => Some((scope.instrument.clone(), scope.request.clone(), scope.ids)),
            None => current::installed().map(|i| (i.clone(), None, None)),
        })?;
        let parent = entered_span().or(outer);
        let trace_id = parent.map_or_else(|| instrument.0.id_source.trace_id(), |p| p.trace_id);
        let sampled =
            parent.map_or_else(|| instrument.settings().sampler.decide(None, trace_id), |p| p.sampled);
        let ids = SpanIds { trace_id, span_id: instrument.0.id_source.span_id(), sampled };
        let operation = instrument.0.metrics.operation(group, segment);
        operation.called.increment(1);
        let now = instrument.0.clock.now();
        let mut scope = Scope::new(instrument.clone(), request, Some(ids));
        scope.caught = current::with_scope(|s| s.is_some_and(|s| s.caught));
        Some(Running {
            scope: Arc::new(scope),
            instrument,
            operation,
            parent,
            role,
            start_ns: now.unix_ns,
            start_mono: now.mono_ns,
            attributes: Attributes::NONE,
            method: None,
            error_type: None,
            done: false,
        })
    }

    /// Whether its span will be sent: attributes of one that will not need not be made.
    pub(crate) fn recorded(&self) -> bool {
        self.instrument.0.spans.open && self.scope.ids.is_some_and(|ids| ids.sampled)
    }

    pub(crate) fn finish(mut self, error: Option<String>) {
        self.end(error.as_deref());
    }

    /// [`Running::finish`] with what kind of error it was.
    pub(crate) fn failed(mut self, kind: impl Into<Cow<'static, str>>, error: &str) {
        self.error_type = Some(kind.into());
        self.end(Some(error));
    }

    fn end(&mut self, error: Option<&str>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let took = self.instrument.0.clock.mono_ns().saturating_sub(self.start_mono);
        match error {
            None => self.operation.success.increment(1),
            Some(_) if std::thread::panicking() => self.operation.panic.increment(1),
            Some(_) => self.operation.failed.increment(1),
        }
        if let Some(timing) = &self.operation.timing.0 {
            timing.record_ns(took);
        }
        let Some(ids) = self.scope.ids.filter(|ids| ids.sampled && self.instrument.0.spans.open) else {
            return;
        };
        if error.is_some() {
            let kind = self.error_type.as_deref().unwrap_or("_OTHER");
            self.attributes.text(field::ERROR_TYPE, kind);
        }
        Finished {
            ids,
            parent: self.parent.map_or(0, |p| p.span_id),
            parent_remote: false,
            role: self.role,
            start_ns: self.start_ns,
            duration_ns: took,
            error,
            operation: &self.operation,
            request: self.scope.request.as_deref(),
            method: self.method.as_ref().map(|m| self.instrument.settings().methods.in_name(m)),
            status: 0,
            grpc: None,
            response_bytes: 0,
            attributes: &self.attributes,
        }
        .send(&self.instrument);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (kind, why) = match std::thread::panicking() {
            true => ("panic", "panic"),
            false => ("aborted", "given up before it ended"),
        };
        self.error_type = Some(kind.into());
        self.end(Some(why));
    }
}

/// The innermost span that the service entered itself, if the bridge knows of one.
fn entered_span() -> Option<SpanIds> {
    #[cfg(feature = "otlp")]
    return crate::traces::bridge::current_ids();
    #[cfg(not(feature = "otlp"))]
    None
}

pub(crate) fn said(error: &dyn Display) -> String {
    use std::fmt::Write;
    let mut out = Vec::new();
    let mut cut = crate::json::Escaping { out: &mut out, left: 256 };
    let _ = write!(cut, "{error}");
    String::from_utf8_lossy(&out).into_owned()
}

/// Times a call that leaves the process: metrics `service.group.segment.called`, `.timing` and `.success` or `.failed`,
/// and a client span below the current one.
///
/// ```
/// use sightline_instrument::timed;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// async fn select_kittens() -> Result<u32, std::io::Error> { Ok(3) }
/// let kittens = timed("mysql", "select_kittens", select_kittens()).await.unwrap();
/// # assert_eq!(kittens, 3);
/// # });
/// ```
///
/// # Errors
/// Those of the future, unchanged.
pub async fn timed<T, E: Display>(
    group: &str,
    segment: &str,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Some(running) = Running::start(group, segment, Role::Client) else { return future.await };
    let result = Scoped::new(Some(running.scope.clone()), future).await;
    running.finish(result.as_ref().err().map(|e| said(e)));
    result
}

/// [`timed`] for work that does not wait asynchronously: a call into SQLite, say.
///
/// ```
/// let n = sightline_instrument::timed_blocking("sqlite", "count", || Ok::<_, std::fmt::Error>(3)).unwrap();
/// assert_eq!(n, 3);
/// ```
///
/// # Errors
/// Those of the work, unchanged.
pub fn timed_blocking<T, E: Display>(
    group: &str,
    segment: &str,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let Some(running) = Running::start(group, segment, Role::Client) else { return work() };
    let result = {
        let _entered = current::enter(Some(running.scope.clone()));
        work()
    };
    running.finish(result.as_ref().err().map(|e| said(e)));
    result
}

/// [`timed`] for steps inside the service that cannot fail: its span is internal.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let sorted = sightline_instrument::measured("ranking", "sort", async { vec![1, 2, 3] }).await;
/// # assert_eq!(sorted.len(), 3);
/// # });
/// ```
pub async fn measured<T>(group: &str, segment: &str, future: impl Future<Output = T>) -> T {
    let Some(running) = Running::start(group, segment, Role::Internal) else { return future.await };
    let result = Scoped::new(Some(running.scope.clone()), future).await;
    running.finish(None);
    result
}
