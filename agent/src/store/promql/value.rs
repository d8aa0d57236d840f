//! What queries read and what they give: samples, series of them, and the source that they come from.
use super::ast::Edge;
use super::error::Error;
use super::histogram::Histogram;
use crate::store::metrics::labels::Labels;
use crate::store::metrics::matcher::Matcher;
use std::sync::Arc;

/// The bits of the NaN by which a series says that it has ended.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

pub fn stale() -> f64 {
    f64::from_bits(STALE_BITS)
}

pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_BITS
}

/// One series at one step of a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Sample {
    #[default]
    Absent,
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Sample {
    pub fn is_absent(&self) -> bool {
        matches!(self, Sample::Absent)
    }

    pub fn float(&self) -> Option<f64> {
        match self {
            Sample::Float(v) => Some(*v),
            _ => None,
        }
    }

    pub(crate) fn histogram(h: Histogram) -> Sample {
        Sample::Histogram(Arc::new(h))
    }
}

/// Raw samples of one series in time order.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    pub times: Vec<i64>,
    pub floats: Vec<f64>,
    /// Beside `floats` where any sample is a histogram, else empty.
    pub histograms: Vec<Option<Arc<Histogram>>>,
    /// When a sample's series began, beside `times` where it is known, else empty. Milliseconds, 0 for unknown.
    pub starts: Vec<i64>,
    /// Milliseconds between the samples if they are roll-ups, 0 if they are as they came.
    pub spacing: i64,
}

impl Samples {
    pub fn clear(&mut self) {
        self.times.clear();
        self.floats.clear();
        self.histograms.clear();
        self.starts.clear();
        self.spacing = 0;
    }

    pub fn push(&mut self, time: i64, value: Sample) {
        match value {
            Sample::Absent => {}
            Sample::Float(v) => {
                self.times.push(time);
                self.floats.push(v);
                if !self.histograms.is_empty() {
                    self.histograms.push(None);
                }
            }
            Sample::Histogram(h) => {
                self.histograms.resize(self.times.len(), None);
                self.times.push(time);
                // Not read where a histogram stands beside it, except for the mark of staleness.
                self.floats.push(0.0);
                self.histograms.push(Some(h));
            }
        }
    }

    pub fn get(&self, i: usize) -> Sample {
        match self.histograms.get(i) {
            Some(Some(h)) => Sample::Histogram(h.clone()),
            _ => Sample::Float(self.floats[i]),
        }
    }

    /// Takes out the marks of staleness, which a range does not contain.
    pub(crate) fn drop_stale(&mut self) {
        if !self.floats.iter().any(|v| is_stale(*v)) {
            return;
        }
        let keep: Vec<bool> = self.floats.iter().map(|v| !is_stale(*v)).collect();
        retain(&mut self.times, &keep);
        retain(&mut self.floats, &keep);
        retain(&mut self.histograms, &keep);
        retain(&mut self.starts, &keep);
    }
}

fn retain<T>(list: &mut Vec<T>, keep: &[bool]) {
    let mut flags = keep.iter();
    list.retain(|_| flags.next().copied().unwrap_or(true));
}

/// Why samples are read, so that a store may answer from a coarser copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints<'a> {
    /// The function around a range; empty for an instant selector.
    pub function: &'a str,
    /// Milliseconds of the range; for an instant selector the lookback.
    pub range: i64,
    /// Milliseconds between two evaluations.
    pub step: i64,
}

/// A series that matched.
#[derive(Debug, Clone)]
pub struct Found {
    pub id: u64,
    pub labels: Labels,
}

/// Where a query finds its series. All times are milliseconds since 1970; both ends are included.
pub trait Source: Sync {
    /// The series that match all matchers and may have samples in the time, sorted by labels.
    fn find(&self, matchers: &[Matcher], from: i64, to: i64) -> Result<Vec<Found>, Error>;

    /// Replaces what is in `into` by the samples of one series.
    fn read(&self, id: u64, from: i64, to: i64, hints: Hints<'_>, into: &mut Samples) -> Result<(), Error>;
}

/// A source with nothing in it, for expressions without selectors.
pub struct Nothing;

impl Source for Nothing {
    fn find(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<Found>, Error> {
        Ok(Vec::new())
    }

    fn read(&self, _: u64, _: i64, _: i64, _: Hints<'_>, into: &mut Samples) -> Result<(), Error> {
        into.clear();
        Ok(())
    }
}

/// The times at which an expression is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) step: i64,
}

impl Grid {
    pub(crate) fn len(&self) -> usize {
        if self.end < self.start { 0 } else { ((self.end - self.start) / self.step) as usize + 1 }
    }

    pub(crate) fn time(&self, i: usize) -> i64 {
        self.start + self.step * i as i64
    }
}

/// One series over the grid; `values` has one entry a step.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// The name no longer fits the values; it goes when the query ends.
    pub(crate) drop_name: bool,
    pub(crate) values: Vec<Sample>,
}

/// A series with the raw samples of a range.
pub(crate) struct RangeSeries {
    pub(crate) labels: Labels,
    pub(crate) drop_name: bool,
    pub(crate) samples: Samples,
}

/// How the windows of a range lie relative to the step's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RangeShape {
    pub(crate) range: i64,
    pub(crate) offset: i64,
    pub(crate) at: Option<i64>,
    pub(crate) edge: Edge,
}

impl RangeShape {
    /// The right end of the window of a step.
    pub(crate) fn end(&self, time: i64) -> i64 {
        self.at.unwrap_or(time) - self.offset
    }
}

/// What an expression gives on the whole grid.
pub(crate) enum Value {
    Scalar(Vec<f64>),
    Vector(Vec<Series>),
    Str(String),
}

/// What a query gives.
#[derive(Debug, Clone)]
pub enum Answer {
    Scalar { time: i64, value: f64 },
    Str { time: i64, value: String },
    Vector { time: i64, series: Vec<(Labels, Sample)> },
    Matrix(Vec<(Labels, Vec<(i64, Sample)>)>),
}
