//! What happens to a sample that was never seen: its tags are read, its name is resolved, its series is found or
//! created if the budget allows, and the way there is remembered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use sightline_instrument::wire::{self, label, metric, outcome};

use super::Registry;
use super::cache::Target;
use super::family::{ByLabels, Family, Shape};
use super::series::{Series, Value, render_labels};
use crate::metrics::line::{Kind, Refusal, Sample, tags};
use crate::metrics::naming::{self, Action, Origin, Resolved};
use crate::metrics::tally::{Batch, Lost};

/// What one series takes at least: itself, its place in its family, and the allocator's share.
pub(super) const SERIES_BYTES: usize = size_of::<Series>() + 16 + 24 + 112;
/// What one metric takes at least.
pub(super) const FAMILY_BYTES: usize = size_of::<Family>() + 16 + 120 + 64;
/// The value of labels whose series was not kept apart.
const OTHER: &str = "_other";
/// Series of one metric that fold by service, before all fold into one.
const FOLDS: usize = 100;

/// Why a sample has no series.
pub(super) enum Denied {
    /// It was malformed in a way that only shows when its tags are read.
    Refused(Refusal),
    /// It was understood, but there is no place for it.
    Lost(Lost),
}

/// A series that somebody wants to update.
pub(crate) struct Wanted {
    pub(crate) family: String,
    pub(crate) shape: Shape,
    /// By ascending key.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) help: Option<String>,
    pub(crate) ttl: u32,
    /// Hash of the dotted name that it comes from; 0 if it comes from elsewhere.
    pub(crate) source: u64,
}

impl Registry {
    /// The series of a sample, its scale, and whether it is an `_other` one.
    pub(super) fn resolve(
        &self,
        sample: &Sample<'_>,
        hash: u64,
        now: u64,
        batch: &mut Batch,
    ) -> Result<(Arc<Series>, f64, bool), Denied> {
        let rules = self.rules.load();
        let identity = match tags::identify(sample, self.dialect) {
            Ok(identity) => identity,
            Err(reason) => {
                self.remember(hash, sample, Target::Refused(reason), 1.0, 0);
                return Err(Denied::Refused(reason));
            }
        };
        batch.bad_tags += u64::from(identity.bad_tags);
        batch.tagged += u64::from(!identity.tags.is_empty());
        let resolved = naming::resolve(&identity.name, sample.kind, &identity.tags, &rules);
        let scale = resolved.scale.unwrap_or(1.0);
        let found = if resolved.action == Action::Drop {
            Err(Denied::Lost(Lost::Rule))
        } else if resolved.family.is_empty() {
            Err(Denied::Refused(Refusal::MalformedLine))
        } else {
            let registers = registers_outcomes(&resolved);
            let wanted = self.wanted(resolved, sample.kind, &identity.name, batch);
            if registers {
                self.register_outcomes(&wanted, now, batch);
            }
            self.series(wanted, now, batch).map_err(Denied::Lost)
        };
        let target = match &found {
            Ok((series, false)) => Target::Series(Arc::clone(series)),
            Ok((series, true)) => Target::Folded(Arc::clone(series)),
            Err(Denied::Refused(reason)) => Target::Refused(*reason),
            Err(Denied::Lost(reason)) => Target::Lost(*reason),
        };
        self.remember(hash, sample, target, scale, identity.bad_tags);
        found.map(|(series, folded)| (series, scale, folded))
    }

    /// Remembers the way to a target. What leads nowhere is remembered only while there is room, and so are further
    /// spellings of known series.
    fn remember(&self, hash: u64, sample: &Sample<'_>, target: Target, scale: f64, bad_tags: u32) {
        let full = self.bytes.load(Relaxed) as u64 >= self.budget.memory.0;
        if full && !matches!(target, Target::Folded(_)) {
            return;
        }
        let folded = matches!(target, Target::Folded(_));
        let bytes = self.cache.insert(hash, sample, target, scale, bad_tags);
        if !folded {
            self.bytes.fetch_add(bytes, Relaxed);
        }
    }

    /// Puts reserved names out of the way.
    fn wanted(&self, resolved: Resolved, kind: Kind, name: &str, batch: &mut Batch) -> Wanted {
        let Resolved { mut family, mut labels, observer, ttl, help, rule, .. } = resolved;
        self.keep_clear(&mut family, rule == Origin::Flat, batch);
        self.rename_reserved_labels(&mut labels, batch);
        Wanted {
            shape: match kind {
                Kind::Counter => Shape::Counter,
                Kind::Gauge => Shape::Gauge,
                Kind::Set => Shape::Set,
                Kind::Timer | Kind::Histogram | Kind::Distribution => Shape::Observer(observer),
            },
            family,
            labels,
            help,
            ttl: ttl.map_or(0, |ttl| u32::try_from(ttl.as_secs().max(1)).unwrap_or(u32::MAX)),
            source: if rule == Origin::Flat { self.cache.hash_bytes(name.as_bytes()).max(1) } else { 0 },
        }
    }

    /// Names of the agent are never given away, those of the convention not to names that do not follow it.
    pub(crate) fn keep_clear(&self, family: &mut String, foreign: bool, batch: &mut Batch) {
        let claims = |prefix: &str| family.starts_with(prefix);
        if (foreign && claims(metric::PREFIX)) || self.reserved.iter().any(|prefix| claims(prefix)) {
            family.insert_str(0, "exported_");
            batch.renamed_metrics += 1;
        }
    }

    /// `le`, `quantile` and `__…` belong to Prometheus: they get the prefix that it gives to clashing labels itself.
    pub(crate) fn rename_reserved_labels(&self, labels: &mut Vec<(String, String)>, batch: &mut Batch) {
        let before = batch.renamed_labels;
        for (key, _) in labels.iter_mut() {
            if key == "le" || key == "quantile" || key.starts_with("__") || key.is_empty() {
                key.insert_str(0, "exported_");
                batch.renamed_labels += 1;
            }
        }
        if batch.renamed_labels > before {
            labels.sort_by(|a, b| a.0.cmp(&b.0));
            labels.dedup_by(|later, first| later.0 == first.0);
        }
    }

    /// Shows the outcomes that alerts ask for at 0, so that a first failure is a step and not a beginning.
    fn register_outcomes(&self, like: &Wanted, now: u64, batch: &mut Batch) {
        for registered in outcome::REGISTERED {
            let mut labels: Vec<_> =
                like.labels.iter().filter(|(k, _)| k != label::OUTCOME).cloned().collect();
            labels.push((label::OUTCOME.to_owned(), registered.to_owned()));
            labels.sort_by(|a, b| a.0.cmp(&b.0));
            let wanted = Wanted {
                family: metric::OUTCOMES.to_owned(),
                shape: Shape::Counter,
                labels,
                help: None,
                ttl: like.ttl,
                source: 0,
            };
            // Without room they stay unregistered: the sample that came is worth more.
            let _ = self.series(wanted, now, batch);
        }
    }

    /// Finds or creates a series; the second value tells whether it is an `_other` one.
    pub(crate) fn series(
        &self,
        wanted: Wanted,
        now: u64,
        batch: &mut Batch,
    ) -> Result<(Arc<Series>, bool), Lost> {
        if wanted.ttl > 0 {
            self.has_ttl.store(true, Relaxed);
        }
        let mut labels = render_labels(wanted.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        loop {
            let families = self.families.read();
            let Some(family) = families.get(wanted.family.as_str()) else {
                drop(families);
                self.create_family(&wanted)?;
                continue;
            };
            if family.restored.load(Relaxed) && family.shape != wanted.shape {
                drop(families);
                self.end_family(&wanted.family);
                continue;
            }
            if !family.shape.agrees(&wanted.shape) {
                return Err(Lost::TypeConflict);
            }
            if wanted.source != 0 && family.source != 0 && family.source != wanted.source {
                batch.collisions += 1;
            }
            // Held with `families`: a sweep cannot take the family away in between.
            let mut series = family.series.lock();
            if let Some(found) = series.get(labels.as_str()) {
                if wanted.ttl > 0 {
                    found.0.set_ttl(wanted.ttl);
                }
                return Ok((Arc::clone(&found.0), false));
            }
            let fold = series.len() >= self.budget.series_per_metric || self.is_full();
            if fold {
                family.folded.fetch_add(1, Relaxed);
                let over = series.len().saturating_sub(self.budget.series_per_metric);
                labels = fold_labels(&wanted.labels, over < FOLDS);
                if let Some(found) = series.get(labels.as_str()) {
                    return Ok((Arc::clone(&found.0), true));
                }
            }
            let value = family.new_value(self.set_window);
            let created = Arc::new(Series::new(labels, value, wanted.ttl, now));
            let spare = if matches!(created.value, Value::Summary(_)) { 128 } else { 0 };
            self.bytes.fetch_add(created.heap_bytes() + SERIES_BYTES + spare, Relaxed);
            self.live.fetch_add(1, Relaxed);
            series.insert(ByLabels(Arc::clone(&created)));
            return Ok((created, fold));
        }
    }

    fn end_family(&self, name: &str) {
        let Some(family) = self.families.write().remove(name) else { return };
        let series = family.series.lock();
        for series in series.iter() {
            series.0.end();
        }
        self.live.fetch_sub(series.len(), Relaxed);
    }

    fn is_full(&self) -> bool {
        self.live.load(Relaxed) >= self.budget.series
            || self.bytes.load(Relaxed) as u64 >= self.budget.memory.0
    }

    fn create_family(&self, wanted: &Wanted) -> Result<(), Lost> {
        let mut families = self.families.write();
        if families.contains_key(wanted.family.as_str()) {
            return Ok(());
        }
        // A new name has no `_other` to fold into: unrelated numbers make no sum.
        if self.is_full() && !wanted.family.starts_with(metric::PREFIX) {
            return Err(Lost::Budget);
        }
        let clashes = ["_sum", "_count", "_bucket"].iter().any(|suffix| {
            let base = wanted.family.strip_suffix(suffix).and_then(|base| families.get(base));
            base.is_some_and(|base| base.shape.suffixes().contains(suffix))
        }) || wanted
            .shape
            .suffixes()
            .iter()
            .any(|suffix| families.contains_key(format!("{}{suffix}", wanted.family).as_str()));
        if clashes {
            return Err(Lost::TypeConflict);
        }
        let family = Family {
            name: wanted.family.as_str().into(),
            shape: wanted.shape.clone(),
            help: wanted.help.as_deref().or_else(|| convention_help(&wanted.family)).map(Into::into),
            source: wanted.source,
            folded: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            per_second: Default::default(),
            restored: AtomicBool::new(false),
            series: Default::default(),
        };
        self.bytes.fetch_add(FAMILY_BYTES + 2 * family.name.len(), Relaxed);
        families.insert(family.name.clone(), Arc::new(family));
        Ok(())
    }
}

/// The labels of the `_other` series that takes the place of one there is no room for. Where it happened stays
/// visible as long as the services themselves are few.
fn fold_labels(labels: &[(String, String)], by_service: bool) -> String {
    let keeps = |key: &str| by_service && (key == label::ENVIRONMENT || key == label::SERVICE);
    if !by_service {
        return render_labels([("overflow", OTHER)]);
    }
    let kept = labels.iter().filter(|(k, _)| wire_label(k));
    let text = render_labels(kept.map(|(k, v)| (k.as_str(), if keeps(k) { v.as_str() } else { OTHER })));
    if text.is_empty() { render_labels([("overflow", OTHER)]) } else { text }
}

/// Labels of the convention are a fixed set; those of tags are the client's choice, and so without a bound.
fn wire_label(key: &str) -> bool {
    [
        label::ENVIRONMENT,
        label::HOST,
        label::SERVICE,
        label::GROUP,
        label::SEGMENT,
        label::OUTCOME,
        label::MEASURE,
        label::CHECK,
        label::VERSION,
    ]
    .contains(&key)
}

fn registers_outcomes(resolved: &Resolved) -> bool {
    resolved.rule == Origin::Convention
        && [metric::CALLS, metric::OUTCOMES, metric::TIMING].contains(&resolved.family.as_str())
        && !resolved.labels.iter().any(|(k, v)| {
            // A registered one brings the others along only once.
            k == label::GROUP && [wire::group::PROCESS, wire::group::HEALTH].contains(&v.as_str())
        })
}

fn convention_help(family: &str) -> Option<&'static str> {
    Some(match family {
        metric::CALLS => "Requests or operations begun.",
        metric::OUTCOMES => "How requests or operations ended.",
        metric::TIMING => "How long requests or operations took, in seconds.",
        metric::DISTRIBUTION => "Other distributions; durations are in seconds.",
        metric::GAUGE => "Values that go up and down.",
        metric::SET_SIZE => "Distinct members of sets within the window.",
        metric::HEALTH => "Health checks: 0 ok, 1 degraded, 2 failed.",
        metric::BUILD_INFO => "Always 1; the label version says what runs.",
        _ => return None,
    })
}
