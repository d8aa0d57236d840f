//! What a receiver needs of the queue behind its lane, and no more; tests put a vector in its place.

use std::future::Future;
use std::pin::Pin;

use crate::queue::{self, Broken, Full, Queue};

/// A future of a [`Sink`].
pub type Wait<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Marks what one [`Sink::append`] took; the default stands for nothing, which is always safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Ticket(Option<queue::Ticket>);

/// A bounded queue.
pub trait Sink: Send + Sync + 'static {
    /// Takes all payloads or none; never waits.
    fn append(&self, payloads: &[&[u8]]) -> Result<Ticket, Full>;
    /// Resolves when everything up to `ticket` survives a crash.
    fn durable(&self, ticket: Ticket) -> Wait<'_, Result<(), Broken>>;
    /// Resolves when an append may work again.
    fn wait_room(&self) -> Wait<'_, ()>;
}

impl Sink for Queue {
    fn append(&self, payloads: &[&[u8]]) -> Result<Ticket, Full> {
        Queue::append(self, payloads).map(|ticket| Ticket(Some(ticket)))
    }

    fn durable(&self, ticket: Ticket) -> Wait<'_, Result<(), Broken>> {
        match ticket.0 {
            Some(ticket) => Box::pin(Queue::durable(self, ticket)),
            None => Box::pin(std::future::ready(Ok(()))),
        }
    }

    fn wait_room(&self) -> Wait<'_, ()> {
        Box::pin(Queue::wait_room(self))
    }
}

#[cfg(test)]
pub(crate) mod memory {
    //! A sink for tests: a vector with a bound that can be moved.

    use super::{Broken, Full, Sink, Ticket, Wait};
    use parking_lot::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    #[derive(Default)]
    pub(crate) struct Memory {
        pub(crate) payloads: Mutex<Vec<Vec<u8>>>,
        pub(crate) bound: AtomicUsize,
        pub(crate) room: Notify,
    }

    impl Memory {
        pub(crate) fn with_bound(bound: usize) -> std::sync::Arc<Self> {
            std::sync::Arc::new(Memory { bound: AtomicUsize::new(bound), ..Memory::default() })
        }

        pub(crate) fn len(&self) -> usize {
            self.payloads.lock().len()
        }

        pub(crate) fn set_bound(&self, bound: usize) {
            self.bound.store(bound, Ordering::SeqCst);
            self.room.notify_waiters();
        }

        /// Waits until `n` payloads are there; panics after ten seconds.
        pub(crate) async fn until(&self, n: usize) {
            for _ in 0..1000 {
                if self.len() >= n {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            panic!("{} of {n} payloads arrived", self.len());
        }
    }

    impl Sink for Memory {
        fn append(&self, payloads: &[&[u8]]) -> Result<Ticket, Full> {
            let mut all = self.payloads.lock();
            if all.len() + payloads.len() > self.bound.load(Ordering::SeqCst) {
                return Err(Full::Bound);
            }
            all.extend(payloads.iter().map(|p| p.to_vec()));
            Ok(Ticket::default())
        }

        fn durable(&self, _: Ticket) -> Wait<'_, Result<(), Broken>> {
            Box::pin(async { Ok(()) })
        }

        fn wait_room(&self) -> Wait<'_, ()> {
            Box::pin(self.room.notified())
        }
    }
}
