//! Series in memory, as test files load them.
use super::{histogram, series};
use sightline_agent::store::metrics::labels::Labels;
use sightline_agent::store::metrics::matcher::Matcher;
use sightline_agent::store::promql::{Error, Found, Hints, Sample, Samples, Source};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
pub(crate) struct Memory {
    series: Vec<(Labels, Samples)>,
    /// Whether a query has read a native histogram.
    pub(crate) read_histogram: AtomicBool,
}

impl Memory {
    pub(crate) fn load(&mut self, step: i64, nhcb: bool, lines: &[String]) {
        // Start times are not kept by our store; their lines say nothing about values.
        let values = lines.iter().filter(|l| !l.contains("@st"));
        let mut given: Vec<(Labels, Vec<Sample>)> = values.map(|l| series::parse(l)).collect();
        if nhcb {
            let more = histogram::from_classic(&given);
            given.extend(more);
        }
        let mut all: BTreeMap<Labels, BTreeMap<i64, Sample>> = BTreeMap::new();
        for (labels, samples) in self.series.drain(..) {
            let points = (0..samples.times.len()).map(|i| (samples.times[i], samples.get(i)));
            all.insert(labels, points.collect());
        }
        for (labels, values) in given {
            let points = all.entry(labels).or_default();
            for (i, v) in values.into_iter().enumerate().filter(|(_, v)| !v.is_absent()) {
                points.insert(step * i as i64, v);
            }
        }
        for (labels, points) in all {
            let mut samples = Samples::default();
            points.into_iter().for_each(|(t, v)| samples.push(t, v));
            histogram::hint(&mut samples);
            self.series.push((labels, samples));
        }
    }
}

impl Source for Memory {
    fn find(&self, matchers: &[Matcher], _: i64, _: i64) -> Result<Vec<Found>, Error> {
        let found = self
            .series
            .iter()
            .enumerate()
            .filter(|(_, (labels, _))| matchers.iter().all(|m| m.matches_labels(labels)));
        Ok(found.map(|(i, (labels, _))| Found { id: i as u64, labels: labels.clone() }).collect())
    }

    fn read(&self, id: u64, from: i64, to: i64, _: Hints<'_>, into: &mut Samples) -> Result<(), Error> {
        into.clear();
        let samples = &self.series[id as usize].1;
        for i in 0..samples.times.len() {
            if (from..=to).contains(&samples.times[i]) {
                into.push(samples.times[i], samples.get(i));
            }
        }
        if !samples.histograms.is_empty() {
            self.read_histogram.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
