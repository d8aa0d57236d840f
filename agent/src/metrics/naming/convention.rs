//! The convention of `instrument`: `service.group.segment.outcome` becomes one of eight metrics with labels.

use sightline_instrument::wire::{self, group, label, metric, outcome};

use super::{Action, Origin, Resolved, Rules, of_tags, sorted};
use crate::metrics::line::Kind;

/// Labels of a name of the convention; `None` for any other.
pub(super) fn resolve(name: &str, kind: Kind, tags: &[(&str, &str)], rules: &Rules) -> Option<Resolved> {
    let parts = wire::Name::parse(name, |e| rules.environments.iter().any(|known| known == e))?;
    let tag = |key: &str| tags.iter().rev().find(|(k, _)| *k == key).map(|&(_, v)| v);
    let environment = parts.environment.or_else(|| tag(label::ENVIRONMENT))?;
    let host = parts.host.or_else(|| tag(label::HOST))?;

    let (family, extra) = match kind {
        Kind::Counter if parts.outcome == outcome::CALLED => (metric::CALLS, None),
        Kind::Counter => (metric::OUTCOMES, Some((label::OUTCOME, parts.outcome))),
        Kind::Timer | Kind::Histogram | Kind::Distribution if parts.outcome == outcome::TIMING => {
            (metric::TIMING, None)
        }
        Kind::Timer | Kind::Histogram | Kind::Distribution => {
            (metric::DISTRIBUTION, Some((label::MEASURE, parts.outcome)))
        }
        Kind::Gauge if parts.group == group::HEALTH && parts.outcome == outcome::STATUS => {
            (metric::HEALTH, Some((label::CHECK, parts.segment)))
        }
        Kind::Gauge if is_build_info(&parts) => {
            (metric::BUILD_INFO, Some((label::VERSION, tag(label::VERSION).unwrap_or("unknown"))))
        }
        Kind::Gauge => (metric::GAUGE, Some((label::MEASURE, parts.outcome))),
        Kind::Set => (metric::SET_SIZE, Some((label::MEASURE, parts.outcome))),
    };
    let named = [
        (label::ENVIRONMENT, environment),
        (label::HOST, host),
        (label::SERVICE, parts.service),
        (label::GROUP, parts.group),
        (label::SEGMENT, parts.segment),
    ];
    let of_name = named.into_iter().chain(extra).map(|(k, v)| (k.to_owned(), v.to_owned()));
    Some(Resolved {
        action: Action::Map,
        family: family.to_owned(),
        labels: sorted(of_tags(tags).chain(of_name)),
        observer: rules.convention_observer.clone(),
        ttl: rules.ttl,
        scale: None,
        help: None,
        rule: Origin::Convention,
    })
}

fn is_build_info(parts: &wire::Name<'_>) -> bool {
    parts.group == group::PROCESS && parts.segment == "build" && parts.outcome == outcome::INFO
}
