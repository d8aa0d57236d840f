//! Tokens to the syntax tree: recursive descent, bounded in length, depth and number of clauses.
//!
//! `NOT` binds tighter than `AND`, `AND` tighter than `OR`, and words that only stand side by side bind least;
//! those are joined by the default operator. `+word` must match and `-word` must not, whatever the default is.

use std::ops::Bound;

use super::lex::{Placed, Token, lex, unescape};
use super::{Node, QueryError};

/// Longest query in bytes.
pub const MAX_LENGTH: usize = 32 * 1024;
const MAX_DEPTH: usize = 64;
const MAX_CLAUSES: usize = 1024;

/// What joins words that only stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operator {
    /// Any of them is enough: Lucene's default.
    #[default]
    Or,
    /// All are needed.
    And,
}

/// Reads `text`. Empty text and `*` mean everything.
///
/// # Errors
/// Says at which character what was expected.
pub fn parse(text: &str, default: Operator) -> Result<Node, QueryError> {
    if text.len() > MAX_LENGTH {
        return Err(QueryError::new(0, format!("the query is longer than {MAX_LENGTH} bytes")));
    }
    let tokens = lex(text)?;
    let end = text.chars().count();
    let mut parser = Parser { tokens, at: 0, end, default, depth: 0, clauses: 0 };
    if parser.tokens.is_empty() {
        return Ok(Node::All);
    }
    let node = parser.sequence(None)?;
    match parser.peek() {
        None => Ok(node),
        Some(Token::Close) => Err(parser.error("this `)` closes nothing")),
        Some(_) => Err(parser.error("expected AND, OR, NOT or a word here")),
    }
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    end: usize,
    default: Operator,
    depth: usize,
    clauses: usize,
}

enum Sign {
    Plain,
    Must,
    MustNot,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(_, at)| *at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(token, _)| token.clone());
        self.at += 1;
        token
    }

    fn error(&self, message: impl Into<String>) -> QueryError {
        QueryError::new(self.place(), message)
    }

    /// Clauses side by side, up to `)` or the end.
    fn sequence(&mut self, field: Option<&str>) -> Result<Node, QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("parentheses are nested deeper than {MAX_DEPTH}")));
        }
        let (mut plain, mut must, mut must_not) = (Vec::new(), Vec::new(), Vec::new());
        while !matches!(self.peek(), None | Some(Token::Close)) {
            let sign = match self.peek() {
                Some(Token::Plus) => Sign::Must,
                Some(Token::Minus | Token::Not) => Sign::MustNot,
                _ => Sign::Plain,
            };
            let first = self.at;
            let node = self.either(field)?;
            // A sign speaks for the whole sequence only if it stands before a single clause.
            let alone = self.tokens[first..self.at].iter().all(|(t, _)| !matches!(t, Token::And | Token::Or))
                || matches!(node, Node::Not(_));
            match (sign, node) {
                (Sign::MustNot, Node::Not(inner)) if alone => must_not.push(*inner),
                (Sign::Must, node) if alone => must.push(node),
                (_, node) => plain.push(node),
            }
        }
        self.depth -= 1;
        if plain.is_empty() && must.is_empty() && must_not.is_empty() {
            return Err(self.error("expected a word, a phrase or field:value"));
        }
        let mut all = must;
        match self.default {
            Operator::And => all.append(&mut plain),
            // With something required, the optional words would only raise a score.
            Operator::Or if all.is_empty() && !plain.is_empty() => all.push(any(plain)),
            Operator::Or => {}
        }
        all.extend(must_not.into_iter().map(|node| Node::Not(Box::new(node))));
        Ok(every(all))
    }

    fn either(&mut self, field: Option<&str>) -> Result<Node, QueryError> {
        let mut nodes = vec![self.both(field)?];
        while self.peek() == Some(&Token::Or) {
            self.at += 1;
            nodes.push(self.both(field)?);
        }
        Ok(any(nodes))
    }

    fn both(&mut self, field: Option<&str>) -> Result<Node, QueryError> {
        let mut nodes = vec![self.unary(field)?];
        while self.peek() == Some(&Token::And) {
            self.at += 1;
            nodes.push(self.unary(field)?);
        }
        Ok(every(nodes))
    }

    fn unary(&mut self, field: Option<&str>) -> Result<Node, QueryError> {
        match self.peek() {
            Some(Token::Not | Token::Minus) => {
                self.at += 1;
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(self.error(format!("NOT is nested deeper than {MAX_DEPTH}")));
                }
                let node = self.unary(field)?;
                self.depth -= 1;
                Ok(Node::Not(Box::new(node)))
            }
            Some(Token::Plus) => {
                self.at += 1;
                self.clause(field)
            }
            _ => self.clause(field),
        }
    }

    fn clause(&mut self, field: Option<&str>) -> Result<Node, QueryError> {
        self.clauses += 1;
        if self.clauses > MAX_CLAUSES {
            return Err(self.error(format!("the query has more than {MAX_CLAUSES} clauses")));
        }
        let place = self.place();
        let owned = || field.map(str::to_owned);
        match self.next() {
            Some(Token::Field(_)) if field.is_some() => {
                Err(QueryError::new(place, "a field cannot stand inside the parentheses of another field"))
            }
            Some(Token::Field(name)) => self.of_field(&name, place),
            Some(Token::Open) => {
                let inner = self.sequence(field)?;
                if self.peek() != Some(&Token::Close) {
                    return Err(QueryError::new(place, "this `(` is never closed"));
                }
                self.at += 1;
                Ok(inner)
            }
            Some(Token::Phrase { text, slop }) => Ok(Node::Phrase { field: owned(), text, slop }),
            Some(Token::Regex(pattern)) => Ok(Node::Regex { field: owned(), pattern }),
            Some(Token::Word { raw, .. }) if raw == "*" => match field {
                Some(name) => Ok(Node::Exists { field: name.to_owned() }),
                None => Ok(Node::All),
            },
            Some(Token::Word { raw, wild: true }) => Ok(Node::Wildcard { field: owned(), pattern: raw }),
            Some(Token::Word { raw, .. }) => Ok(Node::Value { field: owned(), text: unescape(&raw) }),
            Some(Token::RangeOpen(_)) if field.is_none() => {
                Err(QueryError::new(place, "a range needs a field before it, as in status:[500 TO 599]"))
            }
            Some(Token::RangeOpen(inclusive)) => self.range(field.unwrap_or_default(), inclusive, place),
            Some(Token::Compare(sign)) => match field {
                Some(name) => self.compare(name, sign),
                None => Err(QueryError::new(
                    place,
                    format!("`{sign}` needs a field before it, as in status:{sign}500"),
                )),
            },
            Some(Token::And) => {
                Err(QueryError::new(place, "expected a word before AND; write \"AND\" for the word itself"))
            }
            Some(Token::Or) => {
                Err(QueryError::new(place, "expected a word before OR; write \"OR\" for the word itself"))
            }
            Some(Token::Close) => Err(QueryError::new(place, "expected a word before `)`")),
            Some(Token::RangeClose(_)) => Err(QueryError::new(place, "this bracket closes no range")),
            Some(Token::Not | Token::Plus | Token::Minus) | None => {
                Err(QueryError::new(place, "expected a word, a phrase or field:value"))
            }
        }
    }

    fn of_field(&mut self, name: &str, place: usize) -> Result<Node, QueryError> {
        if name == "_exists_" {
            let at = self.place();
            return match self.next() {
                Some(Token::Word { raw, .. }) => Ok(Node::Exists { field: unescape(&raw) }),
                _ => Err(QueryError::new(at, "expected the name of a field after `_exists_:`")),
            };
        }
        if name.is_empty() {
            return Err(QueryError::new(place, "expected the name of a field before `:`"));
        }
        match self.peek() {
            Some(Token::Word { raw, .. }) if raw == "*" && name == "*" => {
                self.at += 1;
                Ok(Node::All)
            }
            None | Some(Token::Close | Token::And | Token::Or) => Err(self.error(format!(
                "expected a value after `{name}:`; `{name}:*` finds records that have the field"
            ))),
            // `-5` after a field is a number.
            Some(Token::Minus) => {
                self.at += 1;
                match self.next() {
                    Some(Token::Word { raw, wild: false }) => {
                        Ok(Node::Value { field: Some(name.to_owned()), text: format!("-{}", unescape(&raw)) })
                    }
                    _ => Err(QueryError::new(place, format!("expected a value after `{name}:`"))),
                }
            }
            _ => {
                let only_text = name == "*";
                let node = self.clause(Some(name))?;
                Ok(if only_text { without_field(node) } else { node })
            }
        }
    }

    fn compare(&mut self, field: &str, sign: &str) -> Result<Node, QueryError> {
        let value = self.bound(&format!("expected a value after `{sign}`"))?;
        let (lower, upper) = match sign {
            ">" => (Bound::Excluded(value), Bound::Unbounded),
            ">=" => (Bound::Included(value), Bound::Unbounded),
            "<" => (Bound::Unbounded, Bound::Excluded(value)),
            _ => (Bound::Unbounded, Bound::Included(value)),
        };
        Ok(Node::Range { field: field.to_owned(), lower, upper })
    }

    fn bound(&mut self, expected: &str) -> Result<String, QueryError> {
        let place = self.place();
        match self.next() {
            Some(Token::Word { raw, .. }) => Ok(unescape(&raw)),
            Some(Token::Phrase { text, .. }) => Ok(text),
            Some(Token::Minus) => Ok(format!("-{}", self.bound(expected)?)),
            _ => Err(QueryError::new(place, expected)),
        }
    }

    fn range(&mut self, field: &str, inclusive: bool, place: usize) -> Result<Node, QueryError> {
        let lower = self.bound("expected the lower end of the range, or `*`")?;
        let at = self.place();
        match self.next() {
            Some(Token::Word { raw, .. }) if raw == "TO" => {}
            _ => return Err(QueryError::new(at, "expected TO, as in [500 TO 599]")),
        }
        let upper = self.bound("expected the upper end of the range, or `*`")?;
        let at = self.place();
        let Some(Token::RangeClose(upper_inclusive)) = self.next() else {
            let at = if at >= self.end { place } else { at };
            return Err(QueryError::new(at, "expected `]` or `}` at the end of the range"));
        };
        let end = |value: String, inclusive: bool| match (value.as_str(), inclusive) {
            ("*", _) => Bound::Unbounded,
            (_, true) => Bound::Included(value),
            (_, false) => Bound::Excluded(value),
        };
        Ok(Node::Range {
            field: field.to_owned(),
            lower: end(lower, inclusive),
            upper: end(upper, upper_inclusive),
        })
    }
}

fn without_field(node: Node) -> Node {
    match node {
        Node::Value { text, .. } => Node::Value { field: None, text },
        Node::Phrase { text, slop, .. } => Node::Phrase { field: None, text, slop },
        Node::Wildcard { pattern, .. } => Node::Wildcard { field: None, pattern },
        Node::Regex { pattern, .. } => Node::Regex { field: None, pattern },
        Node::Exists { .. } => Node::All,
        other => other,
    }
}

fn any(mut nodes: Vec<Node>) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            Node::Or(nodes)
        }
        None => Node::All,
    }
}

fn every(mut nodes: Vec<Node>) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            Node::And(nodes)
        }
        None => Node::All,
    }
}
