//! The pump's loop: read, send, settle.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use super::backoff::Backoff;
use super::events::{Events, label};
use super::flow::Flow;
use super::settings::Settings;
use super::status::Status;
use super::window::Window;
use crate::export::dead_letters::{DeadLetters, Refused};
use crate::export::{Entry, Exporter, Verdict};
use crate::ledger;
use crate::queue::{Batch, Queue, Reader};

/// Records between the oldest that is open and the newest that is read: one that is refused for a while must
/// not let the rest run away from it without end.
const MAX_SPAN: usize = 1 << 20;
/// A pause that is as good as none at all.
const IDLE: Duration = Duration::from_secs(3600);

/// Records that are tried together.
struct Group {
    entries: Vec<Entry>,
    bytes: usize,
    attempt: u32,
}

/// A group that waits for its next try; the earliest is the greatest.
struct Waiting(Reverse<Instant>, Group);

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

struct Flight {
    group: Arc<Group>,
    sent: Instant,
}

pub(super) struct Run<E> {
    queue: Arc<Queue>,
    exporter: Arc<E>,
    dead_letters: Arc<DeadLetters>,
    max_bytes: usize,
    max_in_flight: usize,
    linger: Duration,
    backoff: Backoff,
    status: Arc<Mutex<Status>>,
    stop: watch::Receiver<Option<Instant>>,
    events: Events,
    books: Arc<ledger::Lane>,
    flow: Flow,
    window: Window,
    reader: Option<Reader>,
    tasks: JoinSet<Vec<Verdict>>,
    flights: HashMap<Id, Flight>,
    retries: BinaryHeap<Waiting>,
    /// Bytes under way and waiting.
    held: usize,
    /// Nothing is sent before this: the back end as a whole is in trouble.
    gate: Instant,
    failures: u32,
    /// When the oldest record that was not yet read was first seen.
    filling: Option<Instant>,
    mean_bytes: f64,
}

impl<E: Exporter> Run<E> {
    pub(super) fn new(
        queue: Arc<Queue>,
        exporter: Arc<E>,
        dead_letters: Arc<DeadLetters>,
        settings: &Settings,
        status: Arc<Mutex<Status>>,
        stop: watch::Receiver<Option<Instant>>,
    ) -> Self {
        let reader = queue.reader();
        Run {
            books: ledger::lane(queue.lane()),
            events: Events::new(exporter.name(), queue.lane()),
            max_bytes: settings.max_bytes.as_usize().max(1),
            max_in_flight: settings.max_in_flight.as_usize(),
            linger: settings.linger.0,
            backoff: Backoff { base: settings.backoff.0, max: settings.max_backoff.0 },
            flow: Flow::new(settings.max_records, if E::IN_ORDER { 1 } else { settings.max_concurrency }),
            window: Window::new(reader.next_seq()),
            reader: Some(reader),
            queue,
            exporter,
            dead_letters,
            status,
            stop,
            tasks: JoinSet::new(),
            flights: HashMap::new(),
            retries: BinaryHeap::new(),
            held: 0,
            gate: Instant::now(),
            failures: 0,
            filling: None,
            mean_bytes: 400.0,
        }
    }

    pub(super) async fn run(mut self) {
        let mut progress = self.queue.progress();
        loop {
            progress.mark_unchanged();
            let end_seq = progress.borrow().end_seq;
            let wake = self.send(end_seq).await;
            let deadline = *self.stop.borrow_and_update();
            if let Some(deadline) = deadline {
                // Also what has been taken and is not on disk yet.
                let drained = self.queue.depth().records == 0;
                if drained || Instant::now() >= deadline {
                    break;
                }
            }
            let wake = deadline.map_or(wake, |deadline| wake.min(deadline));
            tokio::select! {
                Some(done) = self.tasks.join_next_with_id(), if !self.flights.is_empty() => {
                    let (id, verdicts) = match done {
                        Ok((id, verdicts)) => (id, Some(verdicts)),
                        Err(error) => (error.id(), None),
                    };
                    self.settle(id, verdicts).await;
                }
                changed = progress.changed() => if changed.is_err() { break },
                _ = self.stop.changed() => {}
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
        // What is under way is not acknowledged and stays in the queue.
        self.tasks.shutdown().await;
        self.queue.acknowledge(self.window.base());
    }

    fn unread(&self, end_seq: u64) -> u64 {
        self.reader.as_ref().map_or(0, |reader| end_seq.saturating_sub(reader.next_seq()))
    }

    /// Sends all that may be sent now; says when to look again if nothing happens before.
    async fn send(&mut self, end_seq: u64) -> Instant {
        loop {
            let now = Instant::now();
            // While the back end is in trouble, one batch at a time finds out whether it has recovered.
            let limit = if self.failures > 0 { 1 } else { self.flow.concurrency() };
            if self.flights.len() >= limit {
                return now + IDLE;
            }
            if now < self.gate {
                return self.gate;
            }
            let next_retry = self.retries.peek().map(|w| w.0.0);
            if next_retry.is_some_and(|due| due <= now) {
                let group = self.due(now);
                self.dispatch(group);
                continue;
            }
            if let Some(due) = next_retry.filter(|_| E::IN_ORDER) {
                return due;
            }
            let stopping = self.stop.borrow().is_some();
            let wake = next_retry.unwrap_or(now + IDLE);
            match self.ripe(end_seq, now, stopping) {
                Some(at) if at <= now => match self.read().await {
                    Ok(Some(group)) => self.dispatch(group),
                    Ok(None) => {}
                    Err(error) => {
                        self.events.trouble("reading the queue", &error);
                        return now + self.backoff.base;
                    }
                },
                Some(at) => return wake.min(at),
                None => return wake,
            }
        }
    }

    /// When the next batch is to be read: now if it is full, later if it may fill, never while there is no room.
    fn ripe(&mut self, end_seq: u64, now: Instant, stopping: bool) -> Option<Instant> {
        let unread = self.unread(end_seq);
        if unread == 0 {
            self.filling = None;
            return None;
        }
        let since = *self.filling.get_or_insert(now);
        if self.held > 0 && self.held + self.max_bytes > self.max_in_flight || self.window.span() >= MAX_SPAN
        {
            return None;
        }
        let full = (self.max_bytes as f64 / self.mean_bytes).min(self.flow.records() as f64);
        if unread as f64 >= full || stopping {
            return Some(now);
        }
        // A small batch goes only when nothing else is under way: the answer's time is used to gather more.
        self.flights.is_empty().then_some(since + self.linger)
    }

    /// Reads a batch; `None` if all that was there was damage.
    async fn read(&mut self) -> std::io::Result<Option<Group>> {
        let Some(mut reader) = self.reader.take() else { return Ok(None) };
        let (records, bytes) = (self.flow.records(), self.max_bytes);
        let read = tokio::task::spawn_blocking(move || {
            let batch = reader.next_batch(records, bytes);
            (reader, batch)
        });
        let (reader, batch) = read.await.map_err(std::io::Error::other)?;
        self.reader = Some(reader);
        self.filling = None;
        let Batch { entries, lost } = batch?;
        for seq in lost.into_iter().flatten() {
            self.window.finish(seq);
        }
        self.queue.acknowledge(self.window.base());
        let group = Group::new(entries, 0);
        if !group.entries.is_empty() {
            let mean = group.bytes as f64 / group.entries.len() as f64;
            self.mean_bytes = (self.mean_bytes * 0.8 + mean * 0.2).max(1.0);
        }
        self.held += group.bytes;
        Ok((!group.entries.is_empty()).then_some(group))
    }

    /// Joins the groups whose time has come into one batch.
    fn due(&mut self, now: Instant) -> Group {
        let mut joined = Group::new(Vec::new(), 0);
        while let Some(waiting) = self.retries.peek() {
            let (records, bytes) = (waiting.1.entries.len(), waiting.1.bytes);
            let first = joined.entries.is_empty();
            let fits = joined.entries.len() + records <= self.flow.records()
                && joined.bytes + bytes <= self.max_bytes;
            if waiting.0.0 > now || (!first && !fits) {
                break;
            }
            let Some(Waiting(_, group)) = self.retries.pop() else { break };
            joined.attempt = joined.attempt.max(group.attempt);
            joined.bytes += group.bytes;
            joined.entries.extend(group.entries);
        }
        joined
    }

    fn dispatch(&mut self, group: Group) {
        let group = Arc::new(group);
        let (exporter, batch) = (self.exporter.clone(), group.clone());
        let task = self.tasks.spawn(async move { exporter.export(&batch.entries).await });
        self.flights.insert(task.id(), Flight { group, sent: Instant::now() });
        self.show();
    }

    /// Takes in how a batch went.
    async fn settle(&mut self, id: Id, verdicts: Option<Vec<Verdict>>) {
        let Some(flight) = self.flights.remove(&id) else { return };
        let group = &flight.group;
        if verdicts.is_none() {
            self.events.trouble("exporting", &"the exporter panicked");
        }
        let mut verdicts = verdicts.unwrap_or_default();
        // An exporter that says nothing of a record has not delivered it.
        verdicts.resize_with(group.entries.len(), || Verdict::Retry { after: None, reason: "other".into() });

        let mut retry: Vec<&Entry> = Vec::new();
        let mut refused: Vec<Refused> = Vec::new();
        let (mut asked, mut reason, mut done) = (None::<Duration>, None::<String>, 0u64);
        let mut reasons: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (entry, verdict) in group.entries.iter().zip(verdicts) {
            match verdict {
                Verdict::Done => {
                    done += 1;
                    self.window.finish(entry.seq);
                }
                Verdict::Retry { after, reason: why } => {
                    asked = asked.max(after);
                    *reasons.entry(label(&why)).or_default() += 1;
                    reason = Some(why);
                    retry.push(entry);
                }
                Verdict::Reject { reason } => refused.push(Refused { entry: entry.clone(), reason }),
            }
        }
        self.books.dequeued(done);
        self.books.exported(self.exporter.name(), done);
        if !refused.is_empty() && !self.bury(&refused).await {
            retry.extend(refused.iter().map(|refused| &refused.entry));
            reason = Some("dead_letters".into());
            *reasons.entry("dead_letters").or_default() += refused.len() as u64;
            retry.sort_unstable_by_key(|entry| entry.seq);
        }
        for (reason, records) in reasons {
            self.events.retried(reason, records);
        }
        self.queue.acknowledge(self.window.base());

        let now = Instant::now();
        let (took, records) = (now - flight.sent, group.entries.len());
        let all_failed = retry.len() == records;
        let outcome = if retry.is_empty() {
            self.flow.went_well(records, took);
            "ok"
        } else {
            self.flow.went_badly(flight.sent, now);
            if all_failed { "failed" } else { "partial" }
        };
        self.events.batch(outcome, records, took);
        // A group that was singled out before and fails again says nothing of the back end as a whole.
        let down = all_failed && (group.attempt == 0 || self.failures > 0);
        self.judge(down, reason.as_deref().unwrap_or_default(), asked, now);
        self.held -= group.bytes;
        if !retry.is_empty() {
            // A few records that stay behind must not hold the whole chunk that they were read with.
            let few = retry.len() * 2 < records;
            let keep = |entry: &Entry| match few {
                true => Entry { seq: entry.seq, payload: Bytes::copy_from_slice(&entry.payload) },
                false => entry.clone(),
            };
            let attempt = group.attempt + 1;
            let group = Group::new(retry.into_iter().map(keep).collect(), attempt);
            self.held += group.bytes;
            let pause = self.backoff.pause(attempt, asked, fastrand::f64());
            self.retries.push(Waiting(Reverse(now + pause), group));
        }
        self.show();
    }

    /// Opens or shuts the gate and keeps the status.
    fn judge(&mut self, down: bool, reason: &str, asked: Option<Duration>, now: Instant) {
        if down {
            self.failures = self.failures.saturating_add(1);
            self.gate = now + self.backoff.pause(self.failures, asked, fastrand::f64());
            if self.status.lock().failed(reason, SystemTime::now()) {
                self.events.unreachable(reason);
            }
        } else {
            self.gate = now;
            let recovered = std::mem::take(&mut self.failures) > 0;
            if recovered {
                // They waited for the back end, and it is back.
                let retries = std::mem::take(&mut self.retries);
                self.retries =
                    retries.into_iter().map(|Waiting(_, group)| Waiting(Reverse(now), group)).collect();
            }
            if self.status.lock().reached(SystemTime::now()) {
                self.events.reached(recovered);
            }
        }
    }

    /// Keeps refused records as dead letters. False if that failed: then they are tried again.
    async fn bury(&mut self, refused: &[Refused]) -> bool {
        let (letters, exporter) = (self.dead_letters.clone(), self.exporter.name());
        let (lane, owned) = (self.queue.lane(), refused.to_vec());
        let put = tokio::task::spawn_blocking(move || letters.put(lane, exporter, &owned, SystemTime::now()));
        match put.await.map_err(std::io::Error::other).flatten() {
            Ok(()) => {
                for refused in refused {
                    self.window.finish(refused.entry.seq);
                }
                self.books.dequeued(refused.len() as u64);
                self.books.dead_lettered(exporter, refused.len() as u64);
                self.events.dead_lettered(refused.len(), &refused[0].reason);
                true
            }
            Err(error) => {
                self.events.trouble("keeping dead letters", &error);
                false
            }
        }
    }

    fn show(&self) {
        let mut status = self.status.lock();
        status.in_flight = self.flights.len();
        status.retrying = self.retries.iter().map(|w| w.1.entries.len()).sum();
        self.events.in_flight(self.flights.len());
    }
}

impl Group {
    fn new(entries: Vec<Entry>, attempt: u32) -> Self {
        let bytes = entries.iter().map(|entry| entry.payload.len()).sum();
        Group { entries, bytes, attempt }
    }
}
