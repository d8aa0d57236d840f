//! Metrics: counted and timed in the process by atomics, sent as StatsD lines each interval.

pub(crate) mod flush;
pub(crate) mod names;
pub(crate) mod operation;
pub(crate) mod overflow;
#[cfg(feature = "pull")]
pub(crate) mod pull;
pub(crate) mod recorder;
pub(crate) mod registry;
pub(crate) mod render;
pub(crate) mod series;
pub(crate) mod sink;

pub use operation::{Operation, operation};
pub use series::{Counter, Gauge, Timer};

use crate::current;

/// Counters and timing of a request handler: the group `handlers`.
///
/// ```
/// let list = sightline_instrument::handler("list");
/// list.called();
/// list.success();
/// ```
pub fn handler(segment: &str) -> Operation {
    operation(crate::wire::group::HANDLERS, segment)
}

/// A counter named `service.group.segment.outcome` for outcomes beyond success, failed and panic. Hold on
/// to it where it is hot: an increment by a held handle costs one atomic addition.
///
/// ```
/// sightline_instrument::counter("cache", "kittens", "hit").increment(1);
/// ```
pub fn counter(group: &str, segment: &str, outcome: &str) -> Counter {
    current::with_instrument(|i| i.0.metrics.counter_of(&[group, segment, outcome])).unwrap_or_default()
}

/// A gauge named `service.group.segment.measure`.
///
/// ```
/// sightline_instrument::gauge("queue", "orders", "depth").set(12.0);
/// ```
pub fn gauge(group: &str, segment: &str, measure: &str) -> Gauge {
    current::with_instrument(|i| i.0.metrics.gauge_of(&[group, segment, measure])).unwrap_or_default()
}

/// A timer named `service.group.segment.timing`.
///
/// ```
/// use std::time::Duration;
/// sightline_instrument::timer("sqlite", "select_kittens").record(Duration::from_micros(750));
/// ```
pub fn timer(group: &str, segment: &str) -> Timer {
    current::with_instrument(|i| i.0.metrics.timer_of(&[group, segment, crate::wire::outcome::TIMING]))
        .unwrap_or_default()
}
