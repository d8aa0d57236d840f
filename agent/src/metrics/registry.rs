//! All series: the lookup from a sample to its series, their creation within a budget, and their end.
//!
//! A known sample costs one hash, one look into what its thread saw last and one update of its series. Everything else
//! happens once for each series: tags are read, the name is resolved, labels are put in order. Scrapes read series by pages and
//! never hold a lock that an update needs for longer than it takes to copy a page of pointers.

mod builds;
pub mod cache;
mod create;
mod events;
mod exemplar;
pub mod family;
mod front;
pub mod series;
mod state;
mod top;
mod walk;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use sightline_instrument::wire::metric;

pub(crate) use self::create::Wanted;
pub use self::exemplar::EachExemplar;
pub use self::state::Loaded;
pub use self::top::{Offender, Order, Spread, Top};
pub use self::walk::{Each, EachNative};

use self::cache::{Cache, Entry, Target};
use self::family::Family;
use self::front::Front;
use self::series::{Series, Value};
use super::line::{self, Check, Dialect, Event, Kind, Refusal, Sample, Sink};
use super::naming::Rules;
use super::settings::{Budget, Settings};
use super::tally::{Batch, Tally};
use crate::hooks::LogLineHook;

/// All series of the metrics lane.
pub struct Registry {
    cache: Cache,
    families: RwLock<BTreeMap<Box<str>, Arc<Family>>>,
    rules: ArcSwap<Rules>,
    dialect: Dialect,
    budget: Budget,
    set_window: u64,
    reserved: Vec<String>,
    /// What the lane counts of itself.
    pub tally: Tally,
    live: AtomicUsize,
    has_ttl: AtomicBool,
    /// When the pace of metrics was last measured, in seconds since the epoch.
    paced: AtomicU64,
    /// Estimate of the bytes that series take.
    bytes: AtomicUsize,
    log_line: OnceLock<LogLineHook>,
}

impl Registry {
    /// An empty registry. `reserved` are prefixes of metric names, beside the agent's own, that no input may use.
    pub fn new(settings: &Settings, rules: Rules, reserved: &[&str]) -> Self {
        let own = metric::AGENT_PREFIX;
        Registry {
            cache: Cache::new(),
            families: RwLock::default(),
            rules: ArcSwap::from_pointee(rules),
            dialect: settings.dialect,
            budget: settings.budget.clone(),
            set_window: settings.set_window.0.as_secs().max(1),
            reserved: reserved.iter().chain([&own]).map(|&prefix| prefix.to_owned()).collect(),
            tally: Tally::new(),
            live: AtomicUsize::new(0),
            has_ttl: AtomicBool::new(false),
            paced: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            log_line: OnceLock::new(),
        }
    }

    /// Replaces the rules: series stay, names are resolved anew.
    pub fn set_rules(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
        self.cache.retain(|_| false);
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Takes the lines of one datagram, or of one stretch of a stream, at a time in seconds since the epoch.
    pub fn ingest(&self, lines: &[u8], now: u64, batch: &mut Batch) {
        thread_local! {
            static FRONT: Cell<Front> = const { Cell::new(Front::new()) };
        }
        FRONT.with(|cell| {
            // Taken out while it is used: whoever is called from here and comes back finds an empty one.
            let mut front = cell.take();
            front.renew(&self.cache);
            let mut ingest = Ingest { registry: self, now, batch, front: &mut front };
            let mut rest = lines;
            while !rest.is_empty() {
                let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                ingest.line(&rest[..end]);
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            cell.set(front);
        });
    }

    /// Where DogStatsD events and service checks go. The first call counts.
    pub fn on_log_line(&self, hook: LogLineHook) {
        let _ = self.log_line.set(hook);
    }

    /// Whether any series may end by silence.
    pub fn has_ttl(&self) -> bool {
        self.has_ttl.load(Relaxed)
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.live.load(Relaxed)
    }

    /// How many bytes series take, as the budget counts them.
    pub fn counted_bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends series that were silent for longer than they may be, builds that were replaced, and measures what the others take.
    pub fn sweep(&self, now: u64) {
        self.measure_pace(now);
        let mut bytes = 0;
        let mut ended = 0;
        for family in self.all_families() {
            let mut series = family.series.lock();
            let builds = (*family.name == *metric::BUILD_INFO)
                .then(|| builds::Latest::of(series.iter().map(|s| &*s.0)));
            series.retain(|s| {
                let stale = s.0.is_stale(now) || builds.as_ref().is_some_and(|builds| builds.replaced(&s.0));
                if stale {
                    s.0.end();
                    ended += 1;
                } else {
                    bytes += s.0.heap_bytes() + create::SERIES_BYTES;
                }
                !stale
            });
            bytes += create::FAMILY_BYTES + 2 * family.name.len();
        }
        if ended > 0 {
            self.families.write().retain(|_, family| !family.series.lock().is_empty());
            self.live.fetch_sub(ended, Relaxed);
            let mut batch = Batch { expired: ended as u64, ..Batch::default() };
            self.tally.flush(&mut batch);
        }
        bytes += self.cache.retain(|target| match target {
            Target::Series(series) | Target::Folded(series) => !series.has_ended(),
            Target::Refused(_) | Target::Lost(_) => true,
        });
        self.bytes.store(bytes, Relaxed);
        metrics::gauge!("sightline_series").set(self.len() as f64);
        metrics::gauge!("sightline_series_bytes").set(bytes as f64);
        metrics::gauge!("sightline_series_cache_entries").set(self.cache.entries() as f64);
    }

    /// A copy of the list of metrics, in order.
    pub fn all_families(&self) -> Vec<Arc<Family>> {
        self.families.read().values().cloned().collect()
    }

    /// Up to `most` metrics after the one called `after`, in order.
    pub fn family_page(&self, after: Option<&str>, most: usize, into: &mut Vec<Arc<Family>>) {
        into.clear();
        let families = self.families.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        into.extend(
            families.range::<str, _>((from, Bound::Unbounded)).take(most).map(|(_, f)| Arc::clone(f)),
        );
    }

    fn apply(&self, series: &Series, sample: &Sample<'_>, scale: f64, now: u64) {
        series.touch(now);
        let mut value = if sample.kind == Kind::Timer { sample.value / 1000.0 } else { sample.value };
        if scale != 1.0 {
            value *= scale;
        }
        match &series.value {
            Value::Counter(number) => number.add(value),
            Value::Gauge(number) if sample.relative => number.add(value),
            Value::Gauge(number) => number.set(value),
            Value::Histogram(histogram) => histogram.lock().observe(value, sample.weight),
            Value::Summary(summary) => summary.lock().observe(value, sample.weight, now),
            Value::Set(set) => set.lock().insert(self.cache.hash_bytes(sample.member), now),
        }
    }
}

/// Takes what lines hold into the registry.
struct Ingest<'r, 'b> {
    registry: &'r Registry,
    now: u64,
    batch: &'b mut Batch,
    front: &'b mut Front,
}

impl Ingest<'_, '_> {
    #[inline]
    fn line(&mut self, line: &[u8]) {
        if !line.is_empty() {
            self.batch.lines += 1;
            line::parse(line, self.registry.dialect, self);
        }
    }

    #[inline(never)]
    fn seldom(&mut self, sample: &Sample<'_>, hash: u64) {
        let Ingest { registry, now, batch, front } = self;
        if let Some(entry) = registry.cache.get(hash, sample)
            && registry.known(&entry, sample, *now, batch)
        {
            batch.cache_hits += 1;
            front.put(hash, entry);
            return;
        }
        match registry.resolve(sample, hash, *now, batch) {
            Ok((series, scale, folded)) => {
                registry.apply(&series, sample, scale, *now);
                batch.applied += 1;
                batch.folded += u64::from(folded);
            }
            Err(create::Denied::Refused(reason)) => {
                batch.received -= 1;
                batch.refuse(reason);
            }
            Err(create::Denied::Lost(reason)) => batch.lose(reason, 1),
        }
    }
}

impl Registry {
    /// False if the series has ended and must be looked up anew.
    #[inline]
    fn known(&self, entry: &Entry, sample: &Sample<'_>, now: u64, batch: &mut Batch) -> bool {
        match &entry.target {
            Target::Series(series) | Target::Folded(series) => {
                if series.has_ended() {
                    return false;
                }
                self.apply(series, sample, entry.scale, now);
                batch.applied += 1;
                batch.folded += u64::from(matches!(entry.target, Target::Folded(_)));
            }
            Target::Refused(reason) => {
                batch.received -= 1;
                batch.refuse(*reason);
            }
            Target::Lost(reason) => batch.lose(*reason, 1),
        }
        batch.tagged += u64::from(entry.tagged);
        batch.bad_tags += u64::from(entry.bad_tags);
        true
    }
}

impl Sink for Ingest<'_, '_> {
    #[inline]
    fn sample(&mut self, sample: &Sample<'_>) {
        let Ingest { registry, now, batch, front } = self;
        batch.received += 1;
        batch.kinds[sample.kind as usize] += 1;
        let hash = registry.cache.hash(sample);
        match front.get(hash, sample) {
            Some(entry) if registry.known(entry, sample, *now, batch) => batch.cache_hits += 1,
            _ => self.seldom(sample, hash),
        }
    }

    fn refuse(&mut self, reason: Refusal) {
        self.batch.refuse(reason);
    }

    fn ignore_field(&mut self) {
        self.batch.ignored_fields += 1;
    }

    fn event(&mut self, event: &Event<'_>) {
        self.registry.event(event, self.batch);
    }

    fn check(&mut self, check: &Check<'_>) {
        self.registry.check(check, self.now, self.batch);
    }
}

#[cfg(test)]
mod tests;
