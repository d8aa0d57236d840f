//! A metric name with its type and its series, in the order in which they are shown.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use parking_lot::Mutex;

use super::series::{Number, Series, Value};
use crate::metrics::histogram::Histogram;
use crate::metrics::naming::Observer;
use crate::metrics::set::Set;
use crate::metrics::summary::Summary;

/// What a metric is. A set shows as a gauge but is none: a name cannot be both.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Counter.
    Counter,
    /// Gauge.
    Gauge,
    /// Gauge of distinct members.
    Set,
    /// Summary or histogram.
    Observer(Observer),
}

impl Shape {
    /// Whether both show as the same type.
    pub fn agrees(&self, other: &Shape) -> bool {
        match (self, other) {
            (Shape::Observer(Observer::Summary(_)), Shape::Observer(Observer::Summary(_)))
            | (Shape::Observer(Observer::Histogram(_)), Shape::Observer(Observer::Histogram(_))) => true,
            (Shape::Observer(_), _) | (_, Shape::Observer(_)) => false,
            (one, other) => one == other,
        }
    }

    /// The suffixes of further names that it shows.
    pub fn suffixes(&self) -> &'static [&'static str] {
        match self {
            Shape::Observer(Observer::Summary(_)) => &["_sum", "_count"],
            Shape::Observer(Observer::Histogram(_)) => &["_sum", "_count", "_bucket"],
            _ => &[],
        }
    }

    /// The word after `# TYPE name`.
    pub fn type_word(&self) -> &'static str {
        match self {
            Shape::Counter => "counter",
            Shape::Gauge | Shape::Set => "gauge",
            Shape::Observer(Observer::Summary(_)) => "summary",
            Shape::Observer(Observer::Histogram(_)) => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: Box<str>,
    /// Its type and options.
    pub shape: Shape,
    /// HELP, where something better than a stock phrase is known.
    pub help: Option<Box<str>>,
    /// Hash of the first dotted name that became this one, to notice others.
    pub source: u64,
    /// Samples that went to `_other`.
    pub folded: AtomicU64,
    /// How many samples its series got since the start, as measured now and then.
    pub samples: AtomicU64,
    /// How many a second in the last interval that was measured: the bits of an `f32`.
    pub per_second: AtomicU32,
    /// It comes from a state file: what is sent now may have another type or other options.
    pub restored: AtomicBool,
    /// By labels.
    pub series: Mutex<BTreeSet<ByLabels>>,
}

/// A series, ordered by its labels.
#[derive(Debug, Clone)]
pub struct ByLabels(pub Arc<Series>);

impl Borrow<str> for ByLabels {
    fn borrow(&self) -> &str {
        &self.0.labels
    }
}
impl PartialEq for ByLabels {
    fn eq(&self, other: &Self) -> bool {
        self.0.labels == other.0.labels
    }
}
impl Eq for ByLabels {}
impl PartialOrd for ByLabels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ByLabels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.labels.cmp(&other.0.labels)
    }
}

impl Family {
    /// An empty value of the family's type; `set_window` in seconds.
    pub fn new_value(&self, set_window: u64) -> Value {
        match &self.shape {
            Shape::Counter => Value::Counter(Number::default()),
            Shape::Gauge => Value::Gauge(Number::default()),
            Shape::Set => Value::Set(Box::new(Mutex::new(Set::new(set_window)))),
            Shape::Observer(Observer::Summary(o)) => {
                Value::Summary(Box::new(Mutex::new(Summary::new(Arc::clone(o)))))
            }
            Shape::Observer(Observer::Histogram(o)) => {
                Value::Histogram(Box::new(Mutex::new(Histogram::new(Arc::clone(o)))))
            }
        }
    }

    /// Up to `most` series after the one with the labels `after`, in order. The lock is held only for the copy.
    pub fn page(&self, after: Option<&str>, most: usize, into: &mut Vec<Arc<Series>>) {
        into.clear();
        let series = self.series.lock();
        match after {
            None => into.extend(series.iter().take(most).map(|s| Arc::clone(&s.0))),
            Some(after) => into.extend(
                series
                    .range::<str, _>((Bound::Excluded(after), Bound::Unbounded))
                    .take(most)
                    .map(|s| Arc::clone(&s.0)),
            ),
        }
    }
}
