//! The five series that each handler or operation has: called, timing, success, failed, panic.

use super::registry::Registry;
use super::series::{Counter, Timer};
use crate::current;
use crate::wire::outcome;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct OperationCells {
    pub(crate) group: String,
    pub(crate) segment: String,
    pub(crate) called: Counter,
    pub(crate) success: Counter,
    pub(crate) failed: Counter,
    pub(crate) panic: Counter,
    pub(crate) timing: Timer,
    /// What each span of it says.
    pub(crate) span: Vec<u8>,
}

impl OperationCells {
    pub(crate) fn register(registry: &Registry, group: &str, segment: &str) -> Self {
        let (group, segment) = (crate::wire::part(group), crate::wire::part(segment));
        let counter = |outcome| registry.counter_of(&[&group, &segment, outcome]);
        OperationCells {
            called: counter(outcome::CALLED),
            success: counter(outcome::SUCCESS),
            failed: counter(outcome::FAILED),
            panic: counter(outcome::PANIC),
            timing: registry.timer_of(&[&group, &segment, outcome::TIMING]),
            span: crate::traces::span::of_operation(registry.service(), &group, &segment),
            group,
            segment,
        }
    }
}

/// Something that is called, takes time, and ends in exactly one outcome. Its outcomes are sent as 0 from the
/// moment it is first named, so that a first failure shows as a rise.
///
/// ```
/// let charge: sightline_instrument::Operation = sightline_instrument::operation("payments", "charge");
/// charge.called();
/// charge.success();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Operation(pub(crate) Arc<OperationCells>);

impl Operation {
    /// It began.
    ///
    /// ```
    /// sightline_instrument::operation("payments", "charge").called();
    /// ```
    pub fn called(&self) {
        self.0.called.increment(1);
    }

    /// It ended well.
    ///
    /// ```
    /// sightline_instrument::operation("payments", "charge").success();
    /// ```
    pub fn success(&self) {
        self.0.success.increment(1);
    }

    /// It ended badly.
    ///
    /// ```
    /// sightline_instrument::operation("payments", "charge").failed();
    /// ```
    pub fn failed(&self) {
        self.0.failed.increment(1);
    }

    /// It took this long.
    ///
    /// ```
    /// use std::time::Duration;
    /// sightline_instrument::operation("payments", "charge").timing(Duration::from_millis(80));
    /// ```
    pub fn timing(&self, took: Duration) {
        self.0.timing.record(took);
    }

    /// Registers its outcomes at 0 without counting anything.
    ///
    /// ```
    /// use sightline_instrument::testing::Capture;
    /// let capture = Capture::new("shop");
    /// capture.call(|| sightline_instrument::operation("payments", "charge").register());
    /// assert_eq!(capture.counter("payments.charge.failed"), Some(0));
    /// ```
    pub fn register(&self) {}
}

/// The operation `service.group.segment`; `handler` is short for the group of requests. Outside of an
/// instrumented service it counts nothing.
///
/// ```
/// let charge = sightline_instrument::operation("payments", "charge");
/// charge.called();
/// charge.failed();
/// ```
pub fn operation(group: &str, segment: &str) -> Operation {
    current::with_instrument(|i| Operation(i.0.metrics.operation(group, segment))).unwrap_or_default()
}
