//! What can go wrong with a query, and the remarks that come with an answer.
use std::fmt;

/// A text that is not PromQL; line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl ParseError {
    pub(crate) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = line_column(text, offset);
        ParseError { line, column, message: message.into() }
    }
}

/// Where a byte of a query stands, both from 1.
pub(crate) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.len() - before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1) + 1;
    (line, column)
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Why a query gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Parse(#[from] ParseError),
    #[error("{0}")]
    Execution(String),
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    #[error("query timed out in query execution")]
    Timeout,
    #[error("query was canceled in query execution")]
    Canceled,
    #[error("the metric store cannot be read: {0}")]
    Storage(String),
}

pub(crate) fn exec<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Execution(message.into()))
}

/// Remarks on an answer: a warning means that it may be wrong, an info that it may be not what was meant.
#[derive(Debug, Default, Clone)]
pub struct Annotations {
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

/// Ten of each are told, as many more are only counted.
const MAX_TOLD: usize = 10;

impl Annotations {
    pub(crate) fn warn(&mut self, message: String) {
        push(&mut self.warnings, format!("PromQL warning: {message}"));
    }

    pub(crate) fn info(&mut self, message: String) {
        push(&mut self.infos, format!("PromQL info: {message}"));
    }

    /// The lists as an API tells them: bounded, with a last line for the rest.
    pub fn told(list: &[String], kind: &str) -> Vec<String> {
        let mut out: Vec<String> = list.iter().take(MAX_TOLD).cloned().collect();
        if list.len() > MAX_TOLD {
            out.push(format!("{} more {kind} annotations omitted", list.len() - MAX_TOLD));
        }
        out
    }
}

fn push(list: &mut Vec<String>, message: String) {
    if list.len() < 1000 && !list.contains(&message) {
        list.push(message);
    }
}
