//! All series of one service: found by name, bounded in number, listed for the flush.

use super::names::{self, Packed};
use super::operation::OperationCells;
use super::overflow::Overflow;
use super::series::{Counter, CounterCell, Gauge, GaugeCell, SamplesCell, Timer};
use crate::drops::{Drops, Lane, Reason};
use crate::identity::Identity;
use crate::settings::Settings;
use crate::wire::{UNMATCHED, group};
use parking_lot::{Mutex, RwLock};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A series and what its line starts and ends with.
#[derive(Debug)]
pub(crate) struct Series {
    /// Full dotted name with its prefix.
    pub(crate) name: String,
    /// Tags without `#`, those of the identity first.
    pub(crate) tags: String,
    pub(crate) cell: Cell,
    /// Whether the collector has heard of it since the last announcement.
    pub(crate) announced: AtomicBool,
    /// For gauges: the change that was sent last.
    pub(crate) sent_change: AtomicU64,
}

#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Counter(Arc<CounterCell>),
    Gauge(Arc<GaugeCell>),
    /// With the type letter of its lines: `ms`, `h` or `d`.
    Samples(Arc<SamplesCell>, &'static str),
}

/// A route pattern and the handler that its requests are counted under.
#[derive(Debug)]
pub(crate) struct Route {
    /// `None` for requests that no route matches.
    pub(crate) pattern: Option<String>,
    pub(crate) cells: Arc<OperationCells>,
}

/// What a name is asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    /// Durations, in milliseconds on the wire.
    Timer,
    /// Values without a unit.
    Histogram,
    /// Histograms of the facade that were described in seconds: milliseconds on the wire.
    Seconds,
}

#[derive(Debug)]
pub(crate) struct Registry {
    id: u64,
    /// Its name as it was given.
    service: String,
    prefix: String,
    tags: String,
    max_series: usize,
    timer_samples: usize,
    drops: Arc<Drops>,
    overflow: Overflow,
    /// Who else looks at the series.
    #[cfg(feature = "pull")]
    pub(crate) pull: Option<super::pull::Pull>,
    by_name: RwLock<HashMap<String, Arc<Series>>>,
    /// In order of registration: lines come out in a stable order.
    list: Mutex<Vec<Arc<Series>>>,
    operations: RwLock<HashMap<String, Arc<OperationCells>>>,
    routes: RwLock<names::FastMap<String, Arc<Route>>>,
    unmatched: OnceLock<Arc<Route>>,
}

thread_local! {
    /// Recent look-ups of this thread: most threads use a handful of names.
    static RECENT: RefCell<Vec<Option<Recent>>> = const { RefCell::new(Vec::new()) };
}

const KEPT: usize = 512;

struct Recent {
    registry: u64,
    hash: u64,
    name: Box<[u64]>,
    found: Found,
}

#[derive(Clone)]
enum Found {
    Counter(Arc<CounterCell>),
    Gauge(Arc<GaugeCell>),
    Timer(Arc<SamplesCell>),
    Operation(Arc<OperationCells>),
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Registry {
    pub(crate) fn new(settings: &Settings, identity: &Identity, drops: Arc<Drops>) -> Self {
        Registry {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            service: settings.service.clone(),
            prefix: identity.metric_prefix.clone(),
            tags: identity.metric_tags.clone(),
            max_series: settings.max_series,
            timer_samples: settings.timer_samples,
            drops,
            overflow: Overflow::default(),
            #[cfg(feature = "pull")]
            pull: super::pull::Pull::new(settings, identity),
            by_name: RwLock::default(),
            list: Mutex::default(),
            operations: RwLock::default(),
            routes: RwLock::default(),
            unmatched: OnceLock::new(),
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// The counter of these name parts.
    pub(crate) fn counter_of(&self, parts: &[&str]) -> Counter {
        match self.recent(Kind::Counter, parts, || self.find(Kind::Counter, parts)) {
            Some(Found::Counter(cell)) => Counter(Some(cell)),
            _ => Counter(None),
        }
    }

    pub(crate) fn gauge_of(&self, parts: &[&str]) -> Gauge {
        match self.recent(Kind::Gauge, parts, || self.find(Kind::Gauge, parts)) {
            Some(Found::Gauge(cell)) => Gauge(Some(cell)),
            _ => Gauge(None),
        }
    }

    pub(crate) fn timer_of(&self, parts: &[&str]) -> Timer {
        match self.recent(Kind::Timer, parts, || self.find(Kind::Timer, parts)) {
            Some(Found::Timer(cell)) => Timer(Some(cell)),
            _ => Timer(None),
        }
    }

    /// The five usual series of a group and segment.
    pub(crate) fn operation(&self, group: &str, segment: &str) -> Arc<OperationCells> {
        let parts = [group, segment];
        let found = self.recent(Kind::Timer, &parts, || {
            let key = parts.join(".");
            if let Some(found) = self.operations.read().get(&key) {
                return Some(Found::Operation(found.clone()));
            }
            let made = Arc::new(OperationCells::register(self, group, segment));
            // Names come from code, but one made of a client's input must not grow the map without end.
            let mut operations = self.operations.write();
            if operations.len() < self.max_series {
                operations.insert(key, made.clone());
            }
            Some(Found::Operation(made))
        });
        match found {
            Some(Found::Operation(cells)) => cells,
            _ => Arc::new(OperationCells::register(self, group, segment)),
        }
    }

    /// The handler of a route pattern (as the router knows it, never a client's path).
    pub(crate) fn route(&self, pattern: &str) -> Arc<Route> {
        if let Some(found) = self.routes.read().get(pattern) {
            return found.clone();
        }
        let cells = self.operation(group::HANDLERS, &names::route(pattern));
        let made = Arc::new(Route { cells, pattern: Some(pattern.to_owned()) });
        let mut routes = self.routes.write();
        if routes.len() < self.max_series {
            routes.insert(pattern.to_owned(), made.clone());
        }
        made
    }

    /// That of requests that no route matches.
    pub(crate) fn unmatched(&self) -> Arc<Route> {
        let make = || {
            let cells = self.operation(group::HANDLERS, UNMATCHED);
            Arc::new(Route { cells, pattern: None })
        };
        self.unmatched.get_or_init(make).clone()
    }

    fn recent(&self, kind: Kind, parts: &[&str], find: impl FnOnce() -> Option<Found>) -> Option<Found> {
        let Some(name) = Packed::of(parts) else { return find() };
        let hash = name.hash ^ (kind as u64).wrapping_mul(0xff51_afd7_ed55_8ccd) ^ self.id;
        let at = (hash >> 32) as usize % KEPT;
        let hit = RECENT.try_with(|recent| {
            let recent = recent.try_borrow().ok()?;
            let entry = recent.get(at)?.as_ref()?;
            (entry.hash == hash && entry.registry == self.id && *entry.name == *name.words())
                .then(|| entry.found.clone())
        });
        if let Ok(Some(found)) = hit {
            return Some(found);
        }
        let found = find()?;
        let _ = RECENT.try_with(|recent| {
            if let Ok(mut recent) = recent.try_borrow_mut() {
                if recent.is_empty() {
                    recent.resize_with(KEPT, || None);
                }
                let name = name.words().into();
                recent[at] = Some(Recent { registry: self.id, hash, name, found: found.clone() });
            }
        });
        Some(found)
    }

    fn find(&self, kind: Kind, parts: &[&str]) -> Option<Found> {
        let name = parts.iter().map(|p| crate::wire::part(p)).collect::<Vec<_>>().join(".");
        Some(match self.cell(kind, &name, &[]) {
            Cell::Counter(cell) => Found::Counter(cell),
            Cell::Gauge(cell) => Found::Gauge(cell),
            Cell::Samples(cell, _) => Found::Timer(cell),
        })
    }

    /// The cell of a safe dotted name and tags, made if new; the overflow's when there are too many, or the name is taken
    /// by another kind.
    pub(crate) fn cell(&self, kind: Kind, name: &str, tags: &[(String, String)]) -> Cell {
        self.series(kind, name, tags).map_or_else(|| self.overflow.cell(kind), |series| series.cell.clone())
    }

    /// Counts as dropped what went into the overflow since the last time.
    pub(crate) fn settle(&self) {
        let lost = self.overflow.take();
        if lost > 0 {
            self.drops.add(Lane::Metrics, Reason::TooManySeries, lost);
        }
    }

    /// The series of a safe dotted name and tags, made if new. `None` when there are too many, or the name is
    /// taken by another kind.
    fn series(&self, kind: Kind, name: &str, tags: &[(String, String)]) -> Option<Arc<Series>> {
        let mut key = name.to_owned();
        for (k, v) in tags {
            key.push(',');
            key.push_str(k);
            key.push(':');
            key.push_str(v);
        }
        let found = self.by_name.read().get(&key).cloned();
        let series = match found {
            Some(series) => series,
            None => self.register(kind, key, name, tags)?,
        };
        let fits = matches!(
            (&series.cell, kind),
            (Cell::Counter(_), Kind::Counter)
                | (Cell::Gauge(_), Kind::Gauge)
                | (Cell::Samples(..), Kind::Timer | Kind::Histogram | Kind::Seconds)
        );
        fits.then_some(series)
    }

    fn register(
        &self,
        kind: Kind,
        key: String,
        name: &str,
        tags: &[(String, String)],
    ) -> Option<Arc<Series>> {
        let mut by_name = self.by_name.write();
        if let Some(series) = by_name.get(&key) {
            return Some(series.clone());
        }
        if by_name.len() >= self.max_series {
            return None;
        }
        let cell = match kind {
            Kind::Counter => Cell::Counter(Arc::default()),
            Kind::Gauge => Cell::Gauge(Arc::default()),
            Kind::Timer => Cell::Samples(Arc::new(SamplesCell::new(self.timer_samples, 1.0)), "ms"),
            Kind::Seconds => Cell::Samples(Arc::new(SamplesCell::new(self.timer_samples, 1e3)), "ms"),
            Kind::Histogram => Cell::Samples(Arc::new(SamplesCell::new(self.timer_samples, 1.0)), "h"),
        };
        let mut all_tags = self.tags.clone();
        // The long style has no tags at all: a collector that wants it would take them for part of the name.
        if !self.tags.is_empty() {
            for (k, v) in tags {
                all_tags.push(',');
                all_tags.push_str(k);
                all_tags.push(':');
                all_tags.push_str(v);
            }
        }
        let series = Arc::new(Series {
            name: format!("{}{name}", self.prefix),
            tags: all_tags,
            cell,
            announced: AtomicBool::new(false),
            sent_change: AtomicU64::new(0),
        });
        #[cfg(feature = "pull")]
        if let Some(pull) = &self.pull {
            pull.add(kind, &series, tags);
        }
        by_name.insert(key, series.clone());
        self.list.lock().push(series.clone());
        Some(series)
    }

    /// All series in order of registration.
    pub(crate) fn all(&self) -> Vec<Arc<Series>> {
        self.list.lock().clone()
    }

    /// From the next flush on, each counter and gauge is sent again even if it has not changed: a collector that
    /// was started meanwhile learns of them.
    pub(crate) fn announce_again(&self) {
        for series in self.list.lock().iter() {
            series.announced.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(max_series: usize) -> (Registry, Arc<Drops>) {
        let mut settings = Settings::new("svc");
        settings.max_series = max_series;
        let drops = Arc::new(Drops::default());
        (Registry::new(&settings, &Identity::new(&settings), drops.clone()), drops)
    }

    #[test]
    fn the_same_name_is_the_same_series() {
        let (registry, _) = registry(10);
        registry.counter_of(&["cache", "kittens", "hit"]).increment(1);
        std::thread::scope(|s| {
            s.spawn(|| registry.counter_of(&["cache", "kittens", "hit"]).increment(2));
        });
        let all = registry.all();
        assert_eq!(all.len(), 1);
        let Cell::Counter(cell) = &all[0].cell else { panic!("a counter") };
        assert_eq!(cell.pending.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn series_are_bounded_and_the_excess_is_counted() {
        let (registry, drops) = registry(3);
        for i in 0..10 {
            registry.counter_of(&["g", &i.to_string(), "hit"]).increment(1);
        }
        assert_eq!(registry.all().len(), 3);
        registry.settle();
        assert_eq!(drops.all().collect::<Vec<_>>(), [("metrics", "too_many_series", 7)]);
    }

    #[test]
    fn one_name_cannot_be_two_kinds() {
        let (registry, drops) = registry(10);
        registry.counter_of(&["a", "b", "c"]).increment(1);
        let gauge = registry.gauge_of(&["a", "b", "c"]);
        for _ in 0..3 {
            gauge.set(1.0);
        }
        registry.timer_of(&["a", "b", "c"]).record(std::time::Duration::from_millis(1));
        registry.settle();
        registry.settle();
        assert_eq!(drops.all().collect::<Vec<_>>(), [("metrics", "too_many_series", 4)]);
    }
}
