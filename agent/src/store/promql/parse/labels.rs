//! What stands in braces and behind `by`, `on` and their like: matchers of labels and lists of their names.
use super::Parser;
use crate::store::metrics::labels::NAME;
use crate::store::metrics::matcher::{Matcher, Op};
use crate::store::promql::ast::{Cardinality, Edge, Grouping, Kind, Matching, Selector, TimeShift};
use crate::store::promql::error::ParseError;
use crate::store::promql::lex::Tok;

impl Parser<'_> {
    pub(super) fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.next();
        Ok(Some(Grouping { without, labels: self.label_list()? }))
    }

    pub(super) fn label_list(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect("(", "in grouping opts")?;
        let mut labels = Vec::new();
        while !self.eat(")") {
            match self.peek().clone() {
                Tok::Ident(name) if !name.contains(':') => labels.push(name),
                Tok::Str(name) if !name.is_empty() => labels.push(name),
                Tok::Number(_) if self.raw().starts_with(|c: char| c.is_ascii_alphabetic()) => {
                    labels.push(self.raw().to_owned());
                }
                _ => return Err(self.unexpected("in grouping opts, expected label")),
            }
            self.next();
            if !self.is(")") {
                self.expect(",", "in grouping opts")?;
            }
        }
        Ok(labels)
    }

    pub(super) fn matching(&mut self) -> Result<Matching, ParseError> {
        let mut m = Matching::default();
        if self.is_word("on") || self.is_word("ignoring") {
            m.on = self.is_word("on");
            m.given = true;
            self.next();
            m.labels = self.label_list()?;
        }
        for (word, cardinality) in
            [("group_left", Cardinality::ManyToOne), ("group_right", Cardinality::OneToMany)]
        {
            if self.is_word(word) {
                if !m.given {
                    return Err(self.unexpected(""));
                }
                self.next();
                m.cardinality = cardinality;
                if self.is("(") {
                    m.include = self.label_list()?;
                }
            }
        }
        while let Some(word @ ("fill" | "fill_left" | "fill_right")) =
            self.word().map(str::to_ascii_lowercase).as_deref()
        {
            if !matches!(self.peek_second(), Tok::Op("(")) {
                break;
            }
            self.next();
            self.next();
            let negative = self.eat("-");
            if !negative {
                self.eat("+");
            }
            let value = match self.next() {
                Tok::Number(n) => n,
                Tok::Duration(ms) => ms as f64 / 1000.0,
                _ => return Err(self.fail("number expected for fill value")),
            };
            self.expect(")", "in fill modifier")?;
            let value = Some(if negative { -value } else { value });
            if word != "fill_right" {
                m.fill_left = value;
            }
            if word != "fill_left" {
                m.fill_right = value;
            }
            m.given = true;
        }
        Ok(m)
    }

    pub(super) fn selector(&mut self, name: Option<String>) -> Result<Kind, ParseError> {
        let start = self.start();
        let mut matchers = Vec::new();
        let named_outside = name.is_some();
        if let Some(name) = name {
            matchers.push(Matcher::equal(NAME, name));
        }
        if self.eat("{") {
            let mut inside: Vec<Matcher> = Vec::new();
            while !self.eat("}") {
                let matcher = self.matcher()?;
                if matcher.name == NAME && named_outside {
                    let message = format!(
                        "metric name must not be set twice: {:?} or {:?}",
                        matchers[0].value, matcher.value
                    );
                    return Err(ParseError::at(self.text, start, message));
                }
                inside.push(matcher);
                if !self.is("}") {
                    self.expect(",", "in label matching")?;
                }
            }
            matchers.extend(inside);
        }
        if !self.narrowing && matchers.iter().all(|m| m.matches("")) {
            let message = "vector selector must contain at least one non-empty matcher";
            return Err(ParseError::at(self.text, start, message));
        }
        Ok(Kind::Selector(Box::new(Selector {
            matchers,
            range: None,
            time: TimeShift::default(),
            edge: Edge::default(),
        })))
    }

    fn matcher(&mut self) -> Result<Matcher, ParseError> {
        let name = match self.peek().clone() {
            Tok::Ident(name) => name,
            Tok::Str(name) => {
                self.next();
                // A quoted string alone is the metric's name.
                if self.is(",") || self.is("}") {
                    return Ok(Matcher::equal(NAME, name));
                }
                return self.matcher_tail(name);
            }
            Tok::Number(_) if self.raw().starts_with(|c: char| c.is_ascii_alphabetic()) => {
                self.raw().to_owned()
            }
            _ => return Err(self.unexpected("in label matching, expected identifier or \"}\"")),
        };
        self.next();
        self.matcher_tail(name)
    }

    fn matcher_tail(&mut self, name: String) -> Result<Matcher, ParseError> {
        let op = match self.peek() {
            Tok::Op("=") => Op::Equal,
            Tok::Op("!=") => Op::NotEqual,
            Tok::Op("=~") => Op::Match,
            Tok::Op("!~") => Op::NotMatch,
            _ => return Err(self.unexpected("in label matching, expected label matching operator")),
        };
        self.next();
        let Tok::Str(value) = self.peek().clone() else {
            return Err(self.unexpected("in label matching, expected string"));
        };
        let matcher = Matcher::new(name, op, value).map_err(|m| self.fail(m))?;
        self.next();
        Ok(matcher)
    }
}
