//! The search language: Lucene-like text to a syntax tree, and the tree to an engine's query.
//!
//! `error timeout`, `"connection refused"`, `status:200 AND method:POST`, `status:[500 TO 599]`, `event.duration:>=1000000`,
//! `url.path:\/api*`, `message:/.*POST.*/`, `trace.id:*`, `handler:(list OR show) -level:debug`.
//! A regular expression has to match the whole value, as in Lucene.

pub mod compile;
pub(crate) mod dates;
mod expression;
mod lex;
mod needs;
mod number;
pub mod parse;
mod pattern;
pub mod scan;
mod text;

use std::ops::Bound;

pub use parse::{Operator, parse};

/// A query as it was understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Everything.
    All,
    /// A word, or a value of a field: `timeout`, `status:200`.
    Value { field: Option<String>, text: String },
    /// Words in this order: `"connection refused"`, with at most `slop` moves.
    Phrase { field: Option<String>, text: String, slop: u32 },
    /// A value with `*` or `?` in it; a backslash makes the next character literal.
    Wildcard { field: Option<String>, pattern: String },
    /// A regular expression over the whole value.
    Regex { field: Option<String>, pattern: String },
    /// `[a TO b]`, `{a TO b}`, `>=a`.
    Range { field: String, lower: Bound<String>, upper: Bound<String> },
    /// `field:*`
    Exists { field: String },
    /// All of them.
    And(Vec<Node>),
    /// Any of them.
    Or(Vec<Node>),
    /// Everything but this.
    Not(Box<Node>),
}

/// A query that cannot be read, with the place and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at column {}: {message}", .at + 1)]
pub struct QueryError {
    /// Characters before the place.
    pub at: usize,
    /// What was found and what was expected.
    pub message: String,
}

impl QueryError {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        QueryError { at, message: message.into() }
    }
}

#[cfg(test)]
mod tests;
