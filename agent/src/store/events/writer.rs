//! One thread for each lane that gathers batches and commits them together: the commit is what acknowledges the queue.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use tokio::sync::oneshot;

use super::lane::Lane;
use crate::export::{Entry, Verdict};

/// Batches that may wait for the thread.
const WAITING: usize = 16;
/// A gathering of so many records is committed at once.
const MOST: usize = 20_000;
/// A batch of so many is a sign of load: it is not held back for company.
const LARGE: usize = 256;
/// How long the thread waits for company while a large batch is there.
const QUIET: Duration = Duration::from_millis(15);
/// Merges, retention and checksums are looked after this often.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

struct Job {
    batch: Vec<Entry>,
    done: oneshot::Sender<Vec<Verdict>>,
}

/// Sends batches to the lane's thread. Dropping it waits for the commit that is under way.
pub(crate) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // The thread catches its panics; there is nothing to learn from its result.
            let _ = thread.join();
        }
    }
}

impl Writer {
    pub(crate) fn start(lane: Arc<Lane>) -> std::io::Result<Self> {
        let (jobs, work) = crossbeam_channel::bounded(WAITING);
        let name = format!("store-{}", lane.kind.name());
        let thread = std::thread::Builder::new().name(name).spawn(move || run(&lane, &work))?;
        Ok(Writer { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Resolves when the batch is committed, or will have to be tried again.
    pub(crate) async fn append(&self, batch: &[Entry]) -> Vec<Verdict> {
        let again =
            |reason: &str| vec![Verdict::Retry { after: None, reason: reason.to_owned() }; batch.len()];
        let (done, verdicts) = oneshot::channel();
        let mut job = Job { batch: batch.to_vec(), done };
        loop {
            let Some(jobs) = &self.jobs else { return again("stopped") };
            match jobs.try_send(job) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) => {
                    job = back;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(TrySendError::Disconnected(_)) => return again("stopped"),
            }
        }
        verdicts.await.unwrap_or_else(|_| again("stopped"))
    }
}

fn run(lane: &Lane, work: &Receiver<Job>) {
    let mut committed = Instant::now();
    let mut looked = Instant::now();
    loop {
        let first = match work.recv_timeout(HOUSEKEEPING) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Some(first) = first {
            let jobs = gather(first, work, committed, lane.settings.commit_interval.0);
            let batch: Vec<Entry> = jobs.iter().flat_map(|job| job.batch.iter().cloned()).collect();
            // A panic of the engine must not end the lane: what it was given is tried again.
            let verdicts = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                lane.append_batch(&batch)
            }))
            .unwrap_or_else(|_| {
                vec![
                    Verdict::Retry { after: Some(Duration::from_secs(1)), reason: "panic".to_owned() };
                    batch.len()
                ]
            });
            let mut verdicts = verdicts.into_iter();
            for job in jobs {
                let own = verdicts.by_ref().take(job.batch.len()).collect();
                // The receiver may have been cancelled; the queue hands the records out again and they are recognised.
                let _ = job.done.send(own);
            }
            committed = Instant::now();
        }
        if looked.elapsed() >= HOUSEKEEPING {
            looked = Instant::now();
            lane.expire();
            lane.refresh();
            lane.examine_next();
        }
    }
}

/// Waits for more batches: under load until none comes for a moment, else until the commit interval has passed.
fn gather(first: Job, work: &Receiver<Job>, committed: Instant, interval: Duration) -> Vec<Job> {
    let mut records = first.batch.len();
    let mut jobs = vec![first];
    while records < MOST {
        let rest = interval.saturating_sub(committed.elapsed());
        let wait = if records >= LARGE { rest.min(QUIET) } else { rest };
        let Ok(job) = work.recv_timeout(wait) else { break };
        records += job.batch.len();
        jobs.push(job);
    }
    jobs
}
