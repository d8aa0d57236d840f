//! The books of each lane: every record that came in is exported, a dead letter, dropped for a reason, or queued.
//!
//! `received + recovered + replayed = exported + dead-lettered + dropped + queued`, in records. `recovered` are
//! those that waited on disk when the process began, `replayed` those that came back from the dead letters.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use metrics::{Counter, counter, gauge};
use parking_lot::Mutex;

/// The books of one lane. Cheap to call; any thread.
pub struct Lane {
    name: &'static str,
    received: Count,
    recovered: Count,
    replayed: Count,
    exported: AtomicU64,
    dead_lettered: AtomicU64,
    dropped: AtomicU64,
    /// The same by reason; there are a handful.
    losses: Mutex<Vec<(&'static str, u64)>>,
    queued: AtomicI64,
}

/// Records that one lane has lost for one reason since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    pub lane: &'static str,
    pub reason: &'static str,
    pub records: u64,
}

struct Count(AtomicU64, Counter);

impl Count {
    fn new(counter: Counter) -> Self {
        Count(AtomicU64::new(0), counter)
    }

    fn add(&self, records: u64) {
        self.0.fetch_add(records, Relaxed);
        self.1.increment(records);
    }
}

/// The figures of one lane at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    pub lane: &'static str,
    pub received: u64,
    pub recovered: u64,
    pub replayed: u64,
    pub exported: u64,
    pub dead_lettered: u64,
    pub dropped: u64,
    pub queued: i64,
}

impl Balance {
    /// What came in less what became of it: 0, but for records between two steps at this very moment.
    pub fn difference(&self) -> i64 {
        let came = self.received + self.recovered + self.replayed;
        let went = self.exported + self.dead_lettered + self.dropped;
        came.wrapping_sub(went) as i64 - self.queued
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: received {} + recovered {} + replayed {} = exported {} + dead-lettered {} + dropped {} + queued {}",
            self.lane,
            self.received,
            self.recovered,
            self.replayed,
            self.exported,
            self.dead_lettered,
            self.dropped,
            self.queued
        )?;
        match self.difference() {
            0 => Ok(()),
            off => write!(f, " (off by {off})"),
        }
    }
}

fn lanes() -> &'static Mutex<Vec<Arc<Lane>>> {
    static LANES: OnceLock<Mutex<Vec<Arc<Lane>>>> = OnceLock::new();
    LANES.get_or_init(Mutex::default)
}

/// The books of the lane `name`, the same ones for every caller.
pub fn lane(name: &'static str) -> Arc<Lane> {
    let mut lanes = lanes().lock();
    if let Some(lane) = lanes.iter().find(|lane| lane.name == name) {
        return lane.clone();
    }
    let lane = Arc::new(Lane::new(name));
    lanes.push(lane.clone());
    lane
}

/// The figures of all lanes.
pub fn balances() -> Vec<Balance> {
    lanes().lock().iter().map(|lane| lane.balance()).collect()
}

/// The losses of all lanes, by reason.
pub fn losses() -> Vec<Loss> {
    let of = |lane: &Arc<Lane>| {
        let name = lane.name;
        let losses = lane.losses.lock();
        losses.iter().map(|&(reason, records)| Loss { lane: name, reason, records }).collect::<Vec<_>>()
    };
    lanes().lock().iter().flat_map(of).collect()
}

/// The lanes whose books do not balance. Right only while nothing moves.
pub fn check() -> Result<(), Vec<Balance>> {
    let off: Vec<Balance> = balances().into_iter().filter(|b| b.difference() != 0).collect();
    if off.is_empty() { Ok(()) } else { Err(off) }
}

/// Refreshes the gauges; called before each scrape.
pub fn publish() {
    for balance in balances() {
        gauge!("sightline_queued", "lane" => balance.lane).set(balance.queued as f64);
        gauge!("sightline_ledger_difference", "lane" => balance.lane).set(balance.difference() as f64);
    }
}

impl Lane {
    fn new(name: &'static str) -> Self {
        Lane {
            name,
            received: Count::new(counter!("sightline_received_total", "lane" => name)),
            recovered: Count::new(counter!("sightline_recovered_total", "lane" => name)),
            replayed: Count::new(counter!("sightline_replayed_total", "lane" => name)),
            exported: AtomicU64::new(0),
            dead_lettered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            losses: Mutex::default(),
            queued: AtomicI64::new(0),
        }
    }

    /// Input became records. Whoever makes records of input calls this, then enqueues, exports or drops them.
    pub fn received(&self, records: u64) {
        self.received.add(records);
    }

    /// Records were found on disk at the start.
    pub fn recovered(&self, records: u64) {
        self.recovered.add(records);
        self.queued.fetch_add(records as i64, Relaxed);
    }

    /// Dead letters go another round; the queue counts them as queued when it takes them.
    pub fn replayed(&self, records: u64) {
        self.replayed.add(records);
    }

    /// The queue took records.
    pub fn enqueued(&self, records: u64) {
        self.queued.fetch_add(records as i64, Relaxed);
    }

    /// Records left the queue, whatever became of them.
    pub fn dequeued(&self, records: u64) {
        self.queued.fetch_sub(records as i64, Relaxed);
    }

    /// `exporter` has delivered records.
    pub fn exported(&self, exporter: &'static str, records: u64) {
        self.exported.fetch_add(records, Relaxed);
        counter!("sightline_exported_total", "lane" => self.name, "exporter" => exporter).increment(records);
    }

    /// Records that `exporter` refused for good are kept as dead letters.
    pub fn dead_lettered(&self, exporter: &'static str, records: u64) {
        self.dead_lettered.fetch_add(records, Relaxed);
        counter!("sightline_dead_lettered_total", "lane" => self.name, "exporter" => exporter)
            .increment(records);
    }

    /// Records are gone: `queue_full`, `corrupt`, `kernel`, … A short fixed word.
    pub fn dropped(&self, reason: &'static str, records: u64) {
        self.dropped.fetch_add(records, Relaxed);
        {
            let mut losses = self.losses.lock();
            match losses.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, lost)) => *lost += records,
                None => losses.push((reason, records)),
            }
        }
        counter!("sightline_dropped_total", "lane" => self.name, "reason" => reason).increment(records);
    }

    /// Shows losses that may happen at 0 from the start, so that an alert on an increase sees the very first one.
    pub fn may_drop(&self, reasons: &[&'static str]) {
        for &reason in reasons {
            self.dropped(reason, 0);
        }
    }

    /// The figures now.
    pub fn balance(&self) -> Balance {
        Balance {
            lane: self.name,
            received: self.received.0.load(Relaxed),
            recovered: self.recovered.0.load(Relaxed),
            replayed: self.replayed.0.load(Relaxed),
            exported: self.exported.load(Relaxed),
            dead_lettered: self.dead_lettered.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            queued: self.queued.load(Relaxed),
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.balance().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{check, lane};

    #[test]
    fn the_books_balance_only_when_every_record_is_accounted_for() {
        let books = lane("ledger-test");
        books.received(10);
        books.recovered(3);
        assert_eq!(books.balance().difference(), 10);
        books.enqueued(8);
        books.dropped("queue_full", 2);
        let lost = super::Loss { lane: "ledger-test", reason: "queue_full", records: 2 };
        assert!(super::losses().contains(&lost));
        assert_eq!(books.balance().difference(), 0);
        books.dequeued(5);
        books.exported("test", 4);
        assert_eq!(lane("ledger-test").balance().difference(), 1, "one record is nowhere");
        assert!(check().unwrap_err().iter().any(|b| b.lane == "ledger-test"));
        books.dead_lettered("test", 1);
        assert_eq!(books.balance().difference(), 0);
        assert_eq!(
            books.balance().to_string(),
            "ledger-test: received 10 + recovered 3 + replayed 0 = exported 4 + dead-lettered 1 + dropped 2 + queued 6"
        );
    }
}
