//! PromQL tokens to a checked syntax tree, by precedence climbing.
use super::ast::*;
use super::check;
use super::error::ParseError;
use super::lex::{Tok, Token, lex};
use super::signature;
use crate::store::metrics::matcher::Matcher;

/// Nested deeper than this is refused: the parser and the evaluator recurse.
const MAX_DEPTH: usize = 200;

/// Parses and type-checks one query.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let tokens = lex(text)?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0, narrowing: false };
    if *parser.peek() == Tok::End {
        return Err(parser.fail("no expression found in input"));
    }
    let expr = parser.expr(0)?;
    if *parser.peek() != Tok::End {
        return Err(parser.unexpected(""));
    }
    check::check(text, &expr)?;
    Ok(expr)
}

/// Parses a selector alone (`name{a="b"}`), as `match[]` carries it.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    match parse(text)?.kind {
        Kind::Selector(s) if s.range.is_none() && s.time.offset.is_none() && s.time.at.is_none() => {
            Ok(s.matchers)
        }
        _ => Err(ParseError::at(text, 0, "expected a series selector")),
    }
}

mod labels;

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Selectors here only narrow what is looked up by other means, and may match anything.
    narrowing: bool,
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> &Tok {
        &self.tokens[self.at].tok
    }

    fn peek_second(&self) -> &Tok {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].tok
    }

    fn start(&self) -> usize {
        self.tokens[self.at].start
    }

    fn end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |i| self.tokens[i].end)
    }

    pub(super) fn next(&mut self) -> Tok {
        let tok = self.tokens[self.at].tok.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        tok
    }

    pub(super) fn is(&self, op: &str) -> bool {
        matches!(self.peek(), Tok::Op(o) if *o == op)
    }

    pub(super) fn eat(&mut self, op: &str) -> bool {
        let found = self.is(op);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect(&mut self, op: &str, context: &str) -> Result<(), ParseError> {
        if self.eat(op) { Ok(()) } else { Err(self.unexpected(&format!("{context}, expected {op:?}"))) }
    }

    fn word(&self) -> Option<&str> {
        match self.peek() {
            Tok::Ident(w) => Some(w),
            _ => None,
        }
    }

    fn is_word(&self, word: &str) -> bool {
        self.word().is_some_and(|w| w.eq_ignore_ascii_case(word))
    }

    pub(super) fn fail(&self, message: impl Into<String>) -> ParseError {
        ParseError::at(self.text, self.start(), message)
    }

    pub(super) fn unexpected(&self, context: &str) -> ParseError {
        let what = match self.peek() {
            Tok::End => "end of input".to_owned(),
            Tok::Number(_) => format!("number {:?}", self.raw()),
            Tok::Duration(_) => format!("duration {:?}", self.raw()),
            Tok::Str(_) => format!("string {}", self.raw()),
            Tok::Ident(w) => format!("identifier {w:?}"),
            Tok::Op(op) => format!("{op:?}"),
        };
        let space = if context.is_empty() || context.starts_with(',') { "" } else { " " };
        self.fail(format!("unexpected {what}{space}{context}"))
    }

    fn raw(&self) -> &str {
        let t = &self.tokens[self.at];
        &self.text[t.start..t.end]
    }

    fn binary_op(&self) -> Option<BinOp> {
        use BinOp::*;
        match self.peek() {
            Tok::Op(op) => [Add, Sub, Mul, Div, Mod, Pow, Eq, Ne, Gt, Lt, Ge, Le, TrimAbove, TrimBelow]
                .into_iter()
                .find(|b| b.text() == *op),
            Tok::Ident(w) => [And, Or, Unless, Atan2].into_iter().find(|b| w.eq_ignore_ascii_case(b.text())),
            _ => None,
        }
    }

    /// An expression whose operators all bind tighter than `above`.
    pub(super) fn expr(&mut self, above: u8) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fail(format!("expression is nested deeper than {MAX_DEPTH}")));
        }
        let mut lhs = self.unary()?;
        while let Some(op) = self.binary_op() {
            let precedence = op.precedence();
            if precedence <= above {
                break;
            }
            self.next();
            let mut return_bool = false;
            if self.is_word("bool") {
                self.next();
                return_bool = true;
            }
            let matching = self.matching()?;
            // Power alone binds to the right.
            let rhs = self.expr(if op == BinOp::Pow { precedence - 1 } else { precedence })?;
            let (start, end) = (lhs.start, rhs.end);
            lhs = Expr {
                start,
                end,
                kind: Kind::Binary(Box::new(Binary { op, lhs, rhs, return_bool, matching })),
            };
        }
        self.depth -= 1;
        Ok(lhs)
    }

    fn unary(&mut self) -> Result<Expr, ParseError> {
        let start = self.start();
        if self.is("-") || self.is("+") {
            let minus = self.is("-");
            self.next();
            let inner = self.expr(BinOp::Mul.precedence())?;
            if !matches!(inner.value_type(), Type::Scalar | Type::Vector) {
                let message = format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                    inner.value_type().to_string()
                );
                return Err(ParseError::at(self.text, start, message));
            }
            let end = inner.end;
            return Ok(match inner.kind {
                Kind::Number(n) => Expr { start, end, kind: Kind::Number(if minus { -n } else { n }) },
                _ if minus => Expr { start, end, kind: Kind::Negate(Box::new(inner)) },
                _ => inner,
            });
        }
        let mut expr = self.primary()?;
        self.suffixes(&mut expr)?;
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        let start = self.start();
        let kind = match self.peek().clone() {
            Tok::Number(n) => {
                self.next();
                Kind::Number(n)
            }
            Tok::Duration(ms) => {
                self.next();
                Kind::Number(ms as f64 / 1000.0)
            }
            Tok::Str(s) => {
                self.next();
                Kind::Str(s)
            }
            Tok::Op("(") => {
                self.next();
                let inner = self.expr(0)?;
                if !self.eat(")") {
                    return Err(match self.peek() {
                        Tok::End => self.fail("unclosed left parenthesis"),
                        _ => self.unexpected(""),
                    });
                }
                Kind::Paren(Box::new(inner))
            }
            Tok::Op("{") => self.selector(None)?,
            Tok::Ident(name) => self.named(name)?,
            _ => return Err(self.unexpected("")),
        };
        Ok(Expr { start, end: self.end(), kind })
    }

    fn named(&mut self, name: String) -> Result<Kind, ParseError> {
        let call = matches!(self.peek_second(), Tok::Op("("));
        if let Some(op) = AggOp::named(&name) {
            let grouped = matches!(self.peek_second(), Tok::Ident(w)
                if w.eq_ignore_ascii_case("by") || w.eq_ignore_ascii_case("without"));
            if call || grouped {
                return self.aggregate(op);
            }
        } else if call {
            let Some(signature) = signature::named(&name) else {
                return Err(self.fail(format!("unknown function with name {name:?}")));
            };
            self.next();
            let args = self.args(signature.name == "info")?;
            return Ok(Kind::Call { signature, args });
        }
        if self.binary_op().is_some() {
            return Err(self.unexpected(""));
        }
        self.next();
        self.selector(Some(name))
    }

    /// `narrowing`: all arguments but the first are selectors that narrow.
    fn args(&mut self, narrowing: bool) -> Result<Vec<Expr>, ParseError> {
        self.expect("(", "in function call")?;
        let mut args = Vec::new();
        while !self.eat(")") {
            if !args.is_empty() {
                self.expect(",", "in function call")?;
                if self.is(")") {
                    return Err(self.fail("trailing commas not allowed in function call args"));
                }
            }
            let before = std::mem::replace(&mut self.narrowing, narrowing && !args.is_empty());
            let arg = self.expr(0);
            self.narrowing = before;
            args.push(arg?);
        }
        Ok(args)
    }

    fn aggregate(&mut self, op: AggOp) -> Result<Kind, ParseError> {
        let start = self.start();
        self.next();
        let mut grouping = self.grouping()?;
        let mut args = self.args(false)?.into_iter();
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let wanted = if op.takes_param() { 2 } else { 1 };
        let given = args.len();
        if given == 0 {
            return Err(ParseError::at(self.text, start, "no arguments for aggregate expression provided"));
        }
        let param = if op.takes_param() { args.next() } else { None };
        match (args.next(), given == wanted) {
            (Some(expr), true) => Ok(Kind::Aggregate(Box::new(Aggregate {
                op,
                expr,
                param,
                grouping: grouping.unwrap_or_default(),
            }))),
            _ => {
                let text = format!(
                    "wrong number of arguments for aggregate expression provided, expected {wanted}, got {given}"
                );
                Err(ParseError::at(self.text, start, text))
            }
        }
    }

    /// `[5m]`, `[1h:5m]`, `offset 5m`, `@ 10`, `anchored`, `smoothed`.
    fn suffixes(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        loop {
            if self.is("[") {
                self.range(expr)?;
            } else if self.is("@") {
                self.next();
                let at = self.at_time()?;
                let time = self.time_of(expr, "@ modifier")?;
                if time.at.replace(at).is_some() {
                    return Err(self.fail("@ <timestamp> may not be set multiple times"));
                }
            } else if self.is_word("offset") {
                self.next();
                let span = self.signed_span()?;
                let time = self.time_of(expr, "offset modifier")?;
                if time.offset.replace(span).is_some() {
                    return Err(self.fail("offset may not be set multiple times"));
                }
            } else if self.is_word("anchored") || self.is_word("smoothed") {
                let edge = if self.is_word("anchored") { Edge::Anchored } else { Edge::Smoothed };
                match &mut expr.kind {
                    Kind::Selector(s) if s.edge == Edge::Sampled => s.edge = edge,
                    Kind::Selector(_) => {
                        return Err(self.fail("anchored and smoothed modifiers cannot be used together"));
                    }
                    _ => {
                        return Err(
                            self.fail("anchored or smoothed modifier must be preceded by a vector selector")
                        );
                    }
                }
                self.next();
            } else {
                return Ok(());
            }
            expr.end = self.end();
        }
    }

    fn time_of<'e>(&self, expr: &'e mut Expr, what: &str) -> Result<&'e mut TimeShift, ParseError> {
        let start = expr.start;
        match &mut expr.kind {
            Kind::Selector(s) => Ok(&mut s.time),
            Kind::Subquery(s) => Ok(&mut s.time),
            _ => {
                let text = format!(
                    "{what} must be preceded by an instant vector selector or range vector selector or a subquery"
                );
                Err(ParseError::at(self.text, start, text))
            }
        }
    }

    fn range(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        self.next();
        let range = self.span(0)?;
        if !self.eat(":") {
            self.expect("]", "in range")?;
            return match &mut expr.kind {
                Kind::Selector(s) if s.range.is_none() => {
                    if s.time.offset.is_some() {
                        return Err(self.fail("no offset modifiers allowed before range"));
                    }
                    if s.time.at.is_some() {
                        return Err(self.fail("no @ modifiers allowed before range"));
                    }
                    s.range = Some(range);
                    Ok(())
                }
                _ => Err(self.fail("ranges only allowed for vector selectors")),
            };
        }
        let step = if self.is("]") { None } else { Some(self.span(0)?) };
        self.expect("]", "in subquery")?;
        let (start, end) = (expr.start, self.end());
        let inner = std::mem::replace(expr, Expr { start, end, kind: Kind::Number(0.0) });
        expr.kind =
            Kind::Subquery(Box::new(Subquery { expr: inner, range, step, time: TimeShift::default() }));
        Ok(())
    }

    fn at_time(&mut self) -> Result<At, ParseError> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.is_word(word) && matches!(self.peek_second(), Tok::Op("(")) {
                self.next();
                self.next();
                self.expect(")", "in @ modifier")?;
                return Ok(at);
            }
        }
        let negative = self.eat("-");
        if !negative {
            self.eat("+");
        }
        let seconds = match self.peek() {
            Tok::Number(n) => *n,
            Tok::Duration(ms) => *ms as f64 / 1000.0,
            _ => return Err(self.unexpected("in @ modifier, expected timestamp")),
        };
        let ms = (seconds * if negative { -1000.0 } else { 1000.0 }).round();
        if !ms.is_finite() || ms.abs() >= i64::MAX as f64 {
            return Err(self.fail(format!("timestamp out of bounds for @ modifier: {seconds}")));
        }
        self.next();
        Ok(At::Time(ms as i64))
    }
}
