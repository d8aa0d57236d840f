//! statsd_exporter's mapping rules: which names a file takes, and what it makes of them.
//!
//! Pure: text in, rules or an error with line and column out. Globs come before regular expressions, as there.

mod check;
pub mod duration;
pub mod file;
mod glob;
mod options;
mod regexes;
mod template;

use std::fmt;
use std::time::Duration;

use super::naming::Observer;
use glob::Globs;
use regexes::Regexes;
use template::{Captures, Template};

/// A mapping file, ready to match.
#[derive(Debug, Clone)]
pub struct Mapping {
    source: String,
    rules: Vec<Rule>,
    globs: Globs,
    regexes: Regexes,
    /// How observations are kept where no rule says otherwise.
    pub observer: Observer,
    /// After which silence a series ends where no rule says otherwise.
    pub ttl: Option<Duration>,
    /// What was accepted although it is written in an old or surprising way.
    pub warnings: Vec<Note>,
}

/// One rule, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The glob or regular expression, as written.
    pub matches: String,
    /// Which of both it is.
    pub match_type: MatchType,
    /// Where it stands; line 0 when that is not known.
    pub place: Place,
    /// Whether samples are dropped.
    pub drop: bool,
    /// Whether a tag wins over a label of the rule.
    pub honor_labels: bool,
    /// How observations are kept.
    pub observer: Observer,
    /// After which silence a series ends.
    pub ttl: Option<Duration>,
    /// What values are multiplied with.
    pub scale: Option<f64>,
    /// HELP text.
    pub help: Option<String>,
    name: Template,
    labels: Vec<(String, Template)>,
}

/// How a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchType {
    /// Dot-separated parts, `*` for one of them.
    Glob,
    /// A regular expression, unanchored.
    Regex,
}

/// The types that `match_metric_type` tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    /// `c`
    Counter,
    /// `g` and `s`
    Gauge,
    /// `ms`, `h` and `d`
    Observer,
}

/// A line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// 0 when not known.
    pub line: u64,
    /// 0 when not known.
    pub column: u64,
}

/// Something to say about a place of a mapping file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The file's name, as it was given.
    pub source: String,
    /// Where.
    pub place: Place,
    /// What.
    pub text: String,
}

/// What a rule makes of a name.
#[derive(Debug, Clone)]
pub struct Hit<'m> {
    /// Position of the rule in the file, from 0.
    pub index: usize,
    /// The rule.
    pub rule: &'m Rule,
    /// The metric's name, captures filled in, not yet escaped; it may be empty.
    pub name: String,
    /// Labels of the rule, captures filled in.
    pub labels: Vec<(&'m str, String)>,
}

impl Mapping {
    /// Reads the YAML in `text`; `source` is what errors call the file.
    pub fn parse(source: &str, text: &str) -> Result<Self, Note> {
        check::parse(source, text).and_then(|file| Self::compile(source, &file))
    }

    /// Compiles a file that was read as part of something else.
    pub fn compile(source: &str, file: &file::File) -> Result<Self, Note> {
        check::compile(source, file)
    }

    /// The rule that takes `name`, with what it captures.
    pub fn find(&self, name: &str, slot: Slot) -> Option<Hit<'_>> {
        if let Some(index) = self.globs.find(name, slot) {
            let rule = &self.rules[index as usize];
            let captures = GlobCaptures { whole: name, parts: glob::captures(&rule.matches, name) };
            return Some(rule.hit(index as usize, &captures));
        }
        let (index, captures) = self.regexes.find(name, slot)?;
        Some(self.rules[index as usize].hit(index as usize, &RegexCaptures(captures)))
    }

    /// The rules, in the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What errors and explanations call the file.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The matcher of the globs as a graph in the DOT language.
    pub fn dot(&self) -> String {
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _ = self.globs.dot(&mut out);
        out
    }
}

impl Rule {
    fn hit(&self, index: usize, captures: &impl Captures) -> Hit<'_> {
        Hit {
            index,
            rule: self,
            name: self.name.fill(captures).into_owned(),
            labels: self.labels.iter().map(|(k, v)| (k.as_str(), v.fill(captures).into_owned())).collect(),
        }
    }
}

impl Slot {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// All of them.
    pub const ALL: [Slot; Self::COUNT] = [Slot::Counter, Slot::Gauge, Slot::Observer];

    /// As a mapping file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Slot::Counter => "counter",
            Slot::Gauge => "gauge",
            Slot::Observer => "observer",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place { line: 0, .. } => write!(f, "{}: {}", self.source, self.text),
            Place { line, column } => write!(f, "{}:{line}:{column}: {}", self.source, self.text),
        }
    }
}

impl std::error::Error for Note {}

struct GlobCaptures<'n> {
    whole: &'n str,
    parts: Vec<&'n str>,
}

impl Captures for GlobCaptures<'_> {
    fn number(&self, index: usize) -> Option<&str> {
        match index.checked_sub(1) {
            None => Some(self.whole),
            Some(index) => self.parts.get(index).copied(),
        }
    }

    fn name(&self, _: &str) -> Option<&str> {
        None
    }
}

struct RegexCaptures<'n>(regex::Captures<'n>);

impl Captures for RegexCaptures<'_> {
    fn number(&self, index: usize) -> Option<&str> {
        self.0.get(index).map(|found| found.as_str())
    }

    fn name(&self, name: &str) -> Option<&str> {
        self.0.name(name).map(|found| found.as_str())
    }
}

#[cfg(test)]
mod tests;
