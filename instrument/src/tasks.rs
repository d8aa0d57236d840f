//! Tasks and threads that carry the request with them: their records and panics belong to it.

use crate::current::{self, Scope, Scoped};
use std::future::Future;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The scope for work that nobody catches: its panics are counted by the hook.
fn carried() -> Option<Arc<Scope>> {
    current::scope().map(|s| {
        let mut scope = Scope::new(s.instrument.clone(), s.request.clone(), s.ids);
        scope.caught = false;
        Arc::new(scope)
    })
}

/// `tokio::spawn` that carries the request with it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let task = sightline_instrument::spawn(async { 1 + 1 });
/// assert_eq!(task.await.unwrap(), 2);
/// # });
/// ```
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(Scoped::new(carried(), future))
}

/// `tokio::task::spawn_blocking` that carries the request with it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let task = sightline_instrument::spawn_blocking(|| 1 + 1);
/// assert_eq!(task.await.unwrap(), 2);
/// # });
/// ```
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let scope = carried();
    tokio::task::spawn_blocking(move || {
        let _entered = current::enter(scope);
        work()
    })
}
