//! The `metrics` facade: what libraries and services say through its macros joins the same series.
//!
//! `metrics::counter!("cache.kittens.hit")` is the series `service.cache.kittens.hit`; labels become tags.

use super::names;
use super::registry::{Cell, Kind, Registry};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use parking_lot::RwLock;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// The recorder to install.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    registry: Arc<Registry>,
    /// Units, by name. StatsD has no place for the texts.
    units: Arc<RwLock<HashMap<String, Unit>>>,
}

thread_local! {
    static RECENT: RefCell<Vec<Option<Recent>>> = const { RefCell::new(Vec::new()) };
}

const KEPT: usize = 256;

struct Recent {
    registry: u64,
    key: Key,
    cell: Cell,
}

impl Recorder {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Recorder { registry, units: Arc::default() }
    }

    fn describe(&self, kind: Kind, name: &KeyName, unit: Option<Unit>, text: SharedString) {
        // StatsD has no place for a text; a scrape has.
        #[cfg(feature = "pull")]
        if let Some(pull) = &self.registry.pull {
            pull.describe(kind, &names::dotted(name.as_str()), text);
        }
        #[cfg(not(feature = "pull"))]
        let _ = (kind, text);
        let Some(unit) = unit else { return };
        let mut units = self.units.write();
        if units.len() < 10_000 {
            units.insert(name.as_str().to_owned(), unit);
        }
    }

    fn cell(&self, kind: Kind, key: &Key) -> Cell {
        let at = (key.get_hash() ^ kind as u64) as usize % KEPT;
        let hit = RECENT.try_with(|recent| {
            let recent = recent.try_borrow().ok()?;
            let entry = recent.get(at)?.as_ref()?;
            (entry.registry == self.registry.id() && fits(&entry.cell, kind) && entry.key == *key)
                .then(|| entry.cell.clone())
        });
        if let Ok(Some(cell)) = hit {
            return cell;
        }
        let cell = self.look_up(kind, key);
        let _ = RECENT.try_with(|recent| {
            if let Ok(mut recent) = recent.try_borrow_mut() {
                if recent.is_empty() {
                    recent.resize_with(KEPT, || None);
                }
                recent[at] =
                    Some(Recent { registry: self.registry.id(), key: key.clone(), cell: cell.clone() });
            }
        });
        cell
    }

    fn look_up(&self, kind: Kind, key: &Key) -> Cell {
        let kind = match kind {
            Kind::Histogram if self.in_seconds(key.name()) => Kind::Seconds,
            kind => kind,
        };
        let tags: Vec<_> =
            key.labels().map(|l| (names::tag(l.key()).replace(':', "_"), names::tag(l.value()))).collect();
        self.registry.cell(kind, &names::dotted(key.name()), &tags)
    }

    fn in_seconds(&self, name: &str) -> bool {
        match self.units.read().get(name) {
            Some(unit) => *unit == Unit::Seconds,
            // The convention's word for a duration; the facade records durations as seconds.
            None => name.ends_with(".timing"),
        }
    }
}

fn fits(cell: &Cell, kind: Kind) -> bool {
    matches!(
        (cell, kind),
        (Cell::Counter(_), Kind::Counter)
            | (Cell::Gauge(_), Kind::Gauge)
            | (Cell::Samples(..), Kind::Histogram)
    )
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(Kind::Counter, &key, unit, text);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(Kind::Gauge, &key, unit, text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(Kind::Histogram, &key, unit, text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.cell(Kind::Counter, key) {
            Cell::Counter(cell) => Counter::from_arc(cell),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.cell(Kind::Gauge, key) {
            Cell::Gauge(cell) => Gauge::from_arc(cell),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.cell(Kind::Histogram, key) {
            Cell::Samples(cell, _) => Histogram::from_arc(cell),
            _ => Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drops::Drops;
    use crate::identity::Identity;
    use crate::metrics::{render, series::Samples};
    use crate::settings::Settings;

    #[test]
    fn the_facade_joins_the_same_series() {
        let settings = Settings::new("svc");
        let registry =
            Arc::new(Registry::new(&settings, &Identity::new(&settings), Arc::new(Drops::default())));
        let recorder = Recorder::new(registry.clone());
        registry.counter_of(&["cache", "kittens", "hit"]).increment(1);
        metrics::with_local_recorder(&recorder, || {
            metrics::describe_histogram!("db.wait", Unit::Seconds, "time to a connection");
            metrics::counter!("cache.kittens.hit").increment(2);
            metrics::counter!("kittens served", "breed" => "tabby|#x").increment(1);
            metrics::gauge!("pool.size").set(4.0);
            metrics::gauge!("pool.size").decrement(1.0);
            metrics::histogram!("db.wait").record(0.0015);
            metrics::histogram!("bytes.read").record(1024.0);
            metrics::histogram!("handlers.list.timing").record(std::time::Duration::from_millis(2));
        });
        let mut lines = Vec::new();
        render::flush(&registry, &mut Samples::default(), &mut String::new(), |l| {
            lines.push(l.replace("environment:dev,host:localhost", "…"));
        });
        expect_test::expect![[r##"
            svc.cache.kittens.hit:3|c|#…
            svc.kittens_served:1|c|#…,breed:tabby__x
            svc.pool.size:3|g|#…
            svc.db.wait:1.5|ms|#…
            svc.bytes.read:1024|h|#…
            svc.handlers.list.timing:2|ms|#…"##]]
        .assert_eq(&lines.join("\n"));
    }
}
