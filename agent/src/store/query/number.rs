//! Numbers of a query in the type under which the index has them.

use std::ops::Bound;

use tantivy::Term;

/// A number in the type under which the index has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i64),
    Large(u64),
    Fraction(f64),
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(n) = text.parse() {
            return Some(Number::Whole(n));
        }
        if let Ok(n) = text.parse() {
            return Some(Number::Large(n));
        }
        let n: f64 = text.parse().ok().filter(|n: &f64| n.is_finite())?;
        Some(if n.fract() == 0.0 && n.abs() < 9e15 { Number::Whole(n as i64) } else { Number::Fraction(n) })
    }

    pub(super) fn append(self, term: &mut Term) {
        match self {
            Number::Whole(n) => term.append_type_and_fast_value(n),
            Number::Large(n) => term.append_type_and_fast_value(n),
            Number::Fraction(n) => term.append_type_and_fast_value(n),
        }
    }

    pub(super) fn as_f64(self) -> f64 {
        match self {
            Number::Whole(n) => n as f64,
            Number::Large(n) => n as f64,
            Number::Fraction(n) => n,
        }
    }

    /// The engine takes both ends of a range in one type.
    pub(super) fn same_type(from: Bound<Number>, to: Bound<Number>) -> (Bound<Number>, Bound<Number>) {
        let kind = |bound: &Bound<Number>| match bound {
            Bound::Included(n) | Bound::Excluded(n) => Some(std::mem::discriminant(n)),
            Bound::Unbounded => None,
        };
        match (kind(&from), kind(&to)) {
            (Some(a), Some(b)) if a != b => {
                let fraction = |n: Number| Number::Fraction(n.as_f64());
                (from.map(fraction), to.map(fraction))
            }
            _ => (from, to),
        }
    }
}
