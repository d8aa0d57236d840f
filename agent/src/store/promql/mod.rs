//! PromQL: text to tree to answer, over any source of series.
//!
//! The parser is our own: remarks on an answer point at places in the query's text, and every modifier of the
//! language has to be known. Knows nothing of HTTP and nothing of how samples are kept.

pub mod ast;
mod check;
mod error;
mod eval;
pub mod format;
pub mod histogram;
pub(crate) mod histogram_align;
mod histogram_total;
mod lex;
mod math;
mod native_quantile;
mod natural;
mod parse;
mod quantile;
mod signature;
mod span;
mod trim;
mod value;

pub use error::{Annotations, Error, ParseError};
pub use eval::{Options, instant, range};
pub use parse::{parse, parse_selector};
pub use value::{Answer, Found, Hints, Nothing, STALE_BITS, Sample, Samples, Source, is_stale, stale};

/// `1h30m` and the like in milliseconds.
pub fn duration_ms(text: &str) -> Option<i64> {
    lex::duration_ms(text)?.ok()
}
