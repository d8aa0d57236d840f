//! Runs one file and counts.
use super::compare::check;
use super::script::{Command, Eval, parse};
use super::source::Memory;
use sightline_agent::store::promql::{Options, instant, range};
use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Passed and all, by kind of evaluation.
#[derive(Default, Clone, Copy)]
pub(crate) struct Score {
    pub(crate) classic: (u32, u32),
    pub(crate) experimental: (u32, u32),
    pub(crate) native: (u32, u32),
}

impl Score {
    pub(crate) fn total(&self) -> u32 {
        self.classic.1 + self.experimental.1 + self.native.1
    }

    pub(crate) fn add(&mut self, other: &Score) {
        for (a, b) in [
            (&mut self.classic, other.classic),
            (&mut self.experimental, other.experimental),
            (&mut self.native, other.native),
        ] {
            *a = (a.0 + b.0, a.1 + b.1);
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell =
            |(passed, all): (u32, u32)| if all == 0 { String::new() } else { format!("{passed}/{all}") };
        write!(f, "{:>11} {:>14} {:>11}", cell(self.classic), cell(self.experimental), cell(self.native))
    }
}

pub(crate) struct Report {
    pub(crate) score: Score,
    pub(crate) failures: Vec<String>,
}

/// What Prometheus puts behind `--enable-feature`.
const EXPERIMENTAL: [&str; 24] = [
    "info(",
    "fill(",
    "fill_left(",
    "fill_right(",
    "anchored",
    "smoothed",
    "limitk",
    "limit_ratio",
    "mad_over_time",
    "sort_by_label",
    "double_exponential_smoothing",
    "first_over_time",
    "ts_of_",
    "histogram_quantiles",
    "start()",
    "end()",
    "range()",
    "step()",
    "min_of",
    "max_of",
    "</",
    ">/",
    "start_timestamp",
    "__type__",
];

/// Files about features that are off unless asked for.
const EXPERIMENTAL_FILES: [&str; 4] =
    ["duration_expression", "start_timestamps", "type_and_unit", "extended_vectors"];

pub(crate) fn file(path: &Path) -> Report {
    let text = std::fs::read_to_string(path).unwrap();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let options = Options {
        delayed_name_removal: true,
        type_and_unit_labels: stem == "type_and_unit",
        ..Options::default()
    };
    let mut memory = Memory::default();
    let mut report = Report { score: Score::default(), failures: Vec::new() };
    for command in parse(&text) {
        match command {
            Command::Clear => memory = Memory::default(),
            Command::Load { step, nhcb, lines } => memory.load(step, nhcb, &lines),
            Command::Eval(eval) => one(&memory, &options, &stem, &eval, &mut report),
        }
    }
    report
}

fn one(memory: &Memory, options: &Options<'_>, stem: &str, eval: &Eval, report: &mut Report) {
    memory.read_histogram.store(false, Ordering::Relaxed);
    let result = if eval.instant {
        instant(memory, &eval.query, eval.times.0, options)
    } else {
        range(memory, &eval.query, eval.times, options)
    };
    let histograms = memory.read_histogram.load(Ordering::Relaxed)
        || stem == "native_histograms"
        || eval.expect.series.iter().any(|(_, v)| v.iter().any(|v| !v.is_absent() && v.float().is_none()));
    // `@ start()` and `@ end()` are classic; the functions of the same names are not.
    let shifted = eval
        .query
        .replace("@ start()", "")
        .replace("@ end()", "")
        .replace("@start()", "")
        .replace("@end()", "");
    let experimental = EXPERIMENTAL_FILES.contains(&stem) || EXPERIMENTAL.iter().any(|e| shifted.contains(e));
    let count = if histograms {
        &mut report.score.native
    } else if experimental {
        &mut report.score.experimental
    } else {
        &mut report.score.classic
    };
    count.1 += 1;
    match check(eval, &result) {
        Ok(()) => count.0 += 1,
        Err(what) => {
            let kind = if histograms {
                "native"
            } else if experimental {
                "experimental"
            } else {
                "classic"
            };
            let what: String = what.chars().take(400).collect();
            report.failures.push(format!("{kind} line {}: {} — {what}", eval.line, eval.query));
        }
    }
}
