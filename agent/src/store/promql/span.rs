//! Lengths of time in a query: their syntax, and their value once the query's step and range are known.
use super::ast::{BinOp, Span};
use super::error::ParseError;
use super::lex::Tok;
use super::parse::Parser;

impl Parser<'_> {
    /// A length behind `offset`: a sign, then one literal, one call, or a whole sum in parentheses.
    pub(super) fn signed_span(&mut self) -> Result<Span, ParseError> {
        if self.eat("-") {
            return Ok(Span::Negate(Box::new(self.span_atom()?)));
        }
        self.eat("+");
        self.span_atom()
    }

    pub(super) fn span(&mut self, above: u8) -> Result<Span, ParseError> {
        let mut lhs = if self.eat("-") {
            Span::Negate(Box::new(self.span(BinOp::Mul.precedence())?))
        } else {
            self.eat("+");
            self.span_atom()?
        };
        loop {
            let op = match self.peek() {
                Tok::Op("+") => BinOp::Add,
                Tok::Op("-") => BinOp::Sub,
                Tok::Op("*") => BinOp::Mul,
                Tok::Op("/") => BinOp::Div,
                Tok::Op("%") => BinOp::Mod,
                Tok::Op("^") => BinOp::Pow,
                _ => return Ok(lhs),
            };
            let precedence = op.precedence();
            if precedence <= above {
                return Ok(lhs);
            }
            self.next();
            let rhs = self.span(if op == BinOp::Pow { precedence - 1 } else { precedence })?;
            lhs = Span::Binary(op, Box::new(lhs), Box::new(rhs));
        }
    }

    fn span_atom(&mut self) -> Result<Span, ParseError> {
        match self.peek().clone() {
            Tok::Number(n) => {
                self.next();
                Ok(Span::Number(n))
            }
            Tok::Duration(ms) => {
                self.next();
                Ok(Span::Number(ms as f64 / 1000.0))
            }
            Tok::Op("(") => {
                self.next();
                let inner = self.span(0)?;
                self.expect(")", "in duration expression")?;
                Ok(inner)
            }
            Tok::Ident(word) => {
                let word = word.to_ascii_lowercase();
                if !matches!(word.as_str(), "step" | "range" | "min_of" | "max_of" | "min" | "max") {
                    return Err(self.unexpected("in duration expression"));
                }
                self.next();
                self.expect("(", "in duration expression")?;
                let span = match word.as_str() {
                    "step" => Span::Step,
                    "range" => Span::Range,
                    _ => {
                        let a = Box::new(self.span(0)?);
                        self.expect(",", "in duration expression")?;
                        let b = Box::new(self.span(0)?);
                        if word.starts_with("min") { Span::Min(a, b) } else { Span::Max(a, b) }
                    }
                };
                self.expect(")", "in duration expression")?;
                Ok(span)
            }
            _ => Err(self.unexpected("in duration expression, expected number or duration")),
        }
    }
}

impl Span {
    /// Milliseconds, given the query's step and its whole range in milliseconds.
    pub(crate) fn millis(&self, step: i64, range: i64) -> Result<i64, String> {
        let seconds = self.seconds(step as f64 / 1000.0, range as f64 / 1000.0)?;
        let ms = seconds * 1000.0;
        // Nine quintillion milliseconds either way is past any time that a sample can have.
        if !ms.is_finite() || ms.abs() > 9.2e15 {
            return Err("duration out of range".into());
        }
        Ok(ms.round() as i64)
    }

    /// As `millis`, but a range or a step has to be longer than nothing.
    pub(crate) fn positive_millis(&self, step: i64, range: i64) -> Result<i64, String> {
        match self.millis(step, range)? {
            ms if ms > 0 => Ok(ms),
            _ => Err("duration must be greater than 0".into()),
        }
    }

    fn seconds(&self, step: f64, range: f64) -> Result<f64, String> {
        Ok(match self {
            Span::Number(n) => *n,
            Span::Step => step,
            Span::Range => range,
            Span::Negate(s) => -s.seconds(step, range)?,
            Span::Min(a, b) => a.seconds(step, range)?.min(b.seconds(step, range)?),
            Span::Max(a, b) => a.seconds(step, range)?.max(b.seconds(step, range)?),
            Span::Binary(op, a, b) => {
                let (a, b) = (a.seconds(step, range)?, b.seconds(step, range)?);
                match op {
                    BinOp::Add => a + b,
                    BinOp::Sub => a - b,
                    BinOp::Mul => a * b,
                    BinOp::Div if b == 0.0 => return Err("division by zero".into()),
                    BinOp::Div => a / b,
                    BinOp::Mod if b == 0.0 => return Err("modulo by zero".into()),
                    BinOp::Mod => a % b,
                    _ => a.powf(b),
                }
            }
        })
    }

    /// Whether it is the same in every query.
    pub(crate) fn is_constant(&self) -> bool {
        match self {
            Span::Number(_) => true,
            Span::Step | Span::Range => false,
            Span::Negate(s) => s.is_constant(),
            Span::Min(a, b) | Span::Max(a, b) | Span::Binary(_, a, b) => a.is_constant() && b.is_constant(),
        }
    }
}
