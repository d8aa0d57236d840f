//! The syntax tree to the engine's query, for one kind of record.

use std::ops::Bound;
use std::sync::Arc;

use tantivy::Term;
use tantivy::query::doc_predicate_query::DocPredicateQuery;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, ExistsQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use sightline_instrument::wire::field;

use super::expression::Expression;
use super::number::Number;
use super::pattern::{anchored, literal_start, wildcard_to_regex};
use super::scan::{Budget, Matcher, TermScan};
use super::{Node, QueryError};
use crate::store::events::schema::{Fields, Kind, REST, Target};
use crate::store::events::words::words;
use crate::store::query::dates;

type Boxed = Box<dyn Query>;

/// What a query is compiled against.
pub struct Scope<'a> {
    /// Fields of the index.
    pub fields: &'a Fields,
    /// Logs or spans.
    pub kind: Kind,
    /// For `now-15m`.
    pub now_ms: i64,
    /// Stops scans.
    pub budget: &'a Arc<Budget>,
}

impl Scope<'_> {
    /// Turns `node` into a query.
    ///
    /// # Errors
    /// A regular expression or a date that cannot be read; the place is not known any more and is 0.
    pub fn compile(&self, node: &Node) -> Result<Boxed, QueryError> {
        match node {
            Node::All => Ok(Box::new(AllQuery)),
            Node::And(nodes) => {
                let mut clauses = Vec::with_capacity(nodes.len());
                for node in nodes {
                    clauses.push(match node {
                        Node::Not(inner) => (Occur::MustNot, self.compile(inner)?),
                        other => (Occur::Must, self.compile(other)?),
                    });
                }
                Ok(joined(clauses))
            }
            Node::Or(nodes) => {
                Ok(any(nodes.iter().map(|node| self.compile(node)).collect::<Result<Vec<_>, _>>()?))
            }
            Node::Not(inner) => Ok(joined(vec![(Occur::MustNot, self.compile(inner)?)])),
            Node::Value { field: None, text } => Ok(self.anywhere(text)),
            Node::Value { field: Some(name), text } => self.value(name, text),
            Node::Phrase { field: None, text, slop } => Ok(any(self
                .text_fields()
                .into_iter()
                .map(|field| phrase(field, text, *slop))
                .chain([self.exact(self.fields.id, text)])
                .collect())),
            Node::Phrase { field: Some(name), text, slop } => match self.fields.resolve(self.kind, name) {
                Target::Text(field, _) => Ok(phrase(field, text, *slop)),
                _ => self.value(name, text),
            },
            Node::Wildcard { field: None, pattern } => {
                Ok(any(self.text_fields().into_iter().map(|f| self.word_pattern(f, pattern)).collect()))
            }
            Node::Wildcard { field: Some(name), pattern } => self.wildcard(name, pattern),
            Node::Regex { field, pattern } => self.regex(field.as_deref().unwrap_or(field::MESSAGE), pattern),
            Node::Range { field, lower, upper } => self.range(field, lower, upper),
            Node::Exists { field } => Ok(self.exists(field)),
        }
    }

    fn text_fields(&self) -> Vec<Field> {
        let mut fields = vec![self.fields.message, self.fields.any];
        if self.kind == Kind::Logs {
            fields.extend([self.fields.error_message, self.fields.stack]);
        }
        fields
    }

    /// A word without a field: in any text, as an id, and, if it is a number, as a status.
    fn anywhere(&self, text: &str) -> Boxed {
        let mut either: Vec<Boxed> = self.text_fields().into_iter().map(|f| phrase(f, text, 0)).collect();
        either.push(self.exact(self.fields.id, text));
        if text.bytes().all(|b| b.is_ascii_digit()) {
            either.extend(self.path_values(field::STATUS, text));
            either.extend(self.path_values(field::HTTP_STATUS, text));
        }
        any(either)
    }

    fn exact(&self, field: Field, text: &str) -> Boxed {
        Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
    }

    /// Exactly this value of a field, or these words if the field is text.
    pub(crate) fn value(&self, name: &str, text: &str) -> Result<Boxed, QueryError> {
        Ok(match self.fields.resolve(self.kind, name) {
            Target::Time => {
                let (from, to) = dates::interval(text, self.now_ms).ok_or_else(|| not_a_date(text))?;
                self.between(Bound::Included(from), Bound::Excluded(to))
            }
            Target::Exact(field) => self.exact(field, text),
            Target::Text(field, _) => phrase(field, text, 0),
            Target::Paths(paths) => any(paths.iter().flat_map(|path| self.path_values(path, text)).collect()),
        })
    }

    /// One query for each type that `text` can be a value of: a client may have sent 200 or "200".
    fn path_values(&self, path: &str, text: &str) -> Vec<Boxed> {
        let base = Term::from_field_json_path(self.fields.rest, path, true);
        let mut terms = Vec::with_capacity(2);
        let mut push = |fill: &dyn Fn(&mut Term)| {
            let mut term = base.clone();
            fill(&mut term);
            terms.push(Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as Boxed);
        };
        push(&|term| term.append_type_and_str(text));
        // Levels are written in lower case by the agent; people type ERROR.
        if path == field::LEVEL && text.chars().any(char::is_uppercase) {
            push(&|term| term.append_type_and_str(&text.to_lowercase()));
        }
        if let Some(number) = Number::parse(text) {
            push(&|term| number.append(term));
        } else if let Ok(flag) = text.parse::<bool>() {
            push(&|term| term.append_type_and_fast_value(flag));
        }
        terms
    }

    /// Every record whose value begins with `prefix`.
    pub fn prefix(&self, name: &str, prefix: &str) -> Result<Boxed, QueryError> {
        match self.fields.resolve(self.kind, name) {
            Target::Text(field, _) => {
                Ok(self.terms(field, Vec::new(), prefix.to_lowercase(), Arc::new(|_| true)))
            }
            _ => self.scan(name, prefix.to_owned(), Arc::new(|_| true)),
        }
    }

    fn wildcard(&self, name: &str, pattern: &str) -> Result<Boxed, QueryError> {
        if let Target::Text(field, _) = self.fields.resolve(self.kind, name) {
            return Ok(self.word_pattern(field, pattern));
        }
        let regex = anchored(&wildcard_to_regex(pattern), false)?;
        self.scan(name, literal_start(pattern), Arc::new(move |value| regex.is_match(value)))
    }

    /// `conn*` in running text: each run of word characters is a pattern for one word.
    fn word_pattern(&self, field: Field, pattern: &str) -> Boxed {
        let lower = pattern.to_lowercase();
        let pieces =
            lower.split(|c: char| !(c.is_alphanumeric() || c == '*' || c == '?')).filter(|p| !p.is_empty());
        let mut clauses = Vec::new();
        for piece in pieces {
            if piece.chars().all(|c| c == '*') {
                continue;
            }
            if !piece.contains(['*', '?']) {
                clauses.push((Occur::Must, self.exact(field, piece)));
                continue;
            }
            let Ok(regex) = anchored(&wildcard_to_regex(piece), false) else { continue };
            let matcher: Matcher = Arc::new(move |value| regex.is_match(value));
            clauses.push((Occur::Must, self.terms(field, Vec::new(), literal_start(piece), matcher)));
        }
        if clauses.is_empty() { Box::new(EmptyQuery) } else { joined(clauses) }
    }

    fn terms(&self, field: Field, prefix: Vec<u8>, literal: String, matcher: Matcher) -> Boxed {
        Box::new(TermScan::new(field, prefix, literal, matcher, Arc::clone(self.budget)))
    }

    /// Looks through the exact values of a field.
    pub(crate) fn scan(&self, name: &str, literal: String, matcher: Matcher) -> Result<Boxed, QueryError> {
        Ok(match self.fields.resolve(self.kind, name) {
            Target::Time => {
                return Err(QueryError::new(
                    0,
                    format!("`{name}` is a time: use a range, as in [now-1h TO now]"),
                ));
            }
            Target::Exact(field) | Target::Text(field, _) => self.terms(field, Vec::new(), literal, matcher),
            Target::Paths(paths) => any(paths
                .iter()
                .map(|path| {
                    let mut term = Term::from_field_json_path(self.fields.rest, path, true);
                    term.append_type_and_str("");
                    let prefix = term.serialized_value_bytes().to_vec();
                    self.terms(self.fields.rest, prefix, literal.clone(), Arc::clone(&matcher))
                })
                .collect()),
        })
    }

    /// A regular expression over the whole value.
    pub(crate) fn regex(&self, name: &str, pattern: &str) -> Result<Boxed, QueryError> {
        match self.fields.resolve(self.kind, name) {
            Target::Text(field, path) => {
                let expression = Expression::new(field, path, pattern, Arc::clone(self.budget))?;
                Ok(Box::new(DocPredicateQuery::from(expression)))
            }
            _ => {
                let regex = anchored(pattern, true)?;
                self.scan(name, String::new(), Arc::new(move |value| regex.is_match(value)))
            }
        }
    }

    fn exists(&self, name: &str) -> Boxed {
        match self.fields.resolve(self.kind, name) {
            Target::Time | Target::Exact(_) => Box::new(AllQuery),
            Target::Text(field, _) => self.terms(field, Vec::new(), String::new(), Arc::new(|_| true)),
            Target::Paths(paths) => any(paths
                .iter()
                .map(|path| Box::new(ExistsQuery::new(format!("{REST}.{path}"), true)) as Boxed)
                .collect()),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn between(&self, from: Bound<i64>, to: Bound<i64>) -> Boxed {
        if (from, to) == (Bound::Unbounded, Bound::Unbounded) {
            return Box::new(AllQuery);
        }
        let term =
            |ms| Term::from_field_date(self.fields.timestamp, tantivy::DateTime::from_timestamp_millis(ms));
        Box::new(RangeQuery::new(from.map(term), to.map(term)))
    }

    pub(crate) fn range(
        &self,
        name: &str,
        lower: &Bound<String>,
        upper: &Bound<String>,
    ) -> Result<Boxed, QueryError> {
        match self.fields.resolve(self.kind, name) {
            Target::Time => {
                let read = |text: &String| dates::interval(text, self.now_ms).ok_or_else(|| not_a_date(text));
                // A bound such as 2026-11-24 is a whole day: it is wholly inside or wholly outside.
                let from = match lower {
                    Bound::Included(text) => Bound::Included(read(text)?.0),
                    Bound::Excluded(text) => Bound::Included(read(text)?.1),
                    Bound::Unbounded => Bound::Unbounded,
                };
                let to = match upper {
                    Bound::Included(text) => Bound::Excluded(read(text)?.1),
                    Bound::Excluded(text) => Bound::Excluded(read(text)?.0),
                    Bound::Unbounded => Bound::Unbounded,
                };
                Ok(self.between(from, to))
            }
            Target::Exact(_) | Target::Text(..) => Err(QueryError::new(
                0,
                format!("`{name}` is text and has no order; ranges need a number, a date or an exact value"),
            )),
            Target::Paths(paths) => {
                if (lower, upper) == (&Bound::Unbounded, &Bound::Unbounded) {
                    return Ok(self.exists(name));
                }
                Ok(any(paths.iter().flat_map(|path| self.path_range(path, lower, upper)).collect()))
            }
        }
    }

    fn path_range(&self, path: &str, lower: &Bound<String>, upper: &Bound<String>) -> Vec<Boxed> {
        let base = Term::from_field_json_path(self.fields.rest, path, true);
        let number = |bound: &Bound<String>| match bound {
            Bound::Included(text) => Number::parse(text).map(Bound::Included),
            Bound::Excluded(text) => Number::parse(text).map(Bound::Excluded),
            Bound::Unbounded => Some(Bound::Unbounded),
        };
        let mut either: Vec<Boxed> = Vec::with_capacity(2);
        let numbers = number(lower).zip(number(upper));
        if let Some((from, to)) = numbers {
            let (from, to) = Number::same_type(from, to);
            let term = |number: Number| {
                let mut term = base.clone();
                number.append(&mut term);
                term
            };
            either.push(Box::new(RangeQuery::new(from.map(term), to.map(term))));
        }
        // Numbers that were sent as text ("500") compare rightly as text while they have the same length.
        let length = |bound: &Bound<String>| match bound {
            Bound::Included(t) | Bound::Excluded(t) => Some(t.len()),
            Bound::Unbounded => None,
        };
        if numbers.is_none() || (length(lower).is_some() && length(lower) == length(upper)) {
            let term = |text: &String| {
                let mut term = base.clone();
                term.append_type_and_str(text);
                term
            };
            either.push(Box::new(RangeQuery::new(lower.as_ref().map(term), upper.as_ref().map(term))));
        }
        either
    }
}

/// All clauses; only negative ones are taken from everything.
pub(crate) fn joined(mut clauses: Vec<(Occur, Boxed)>) -> Boxed {
    if clauses.len() == 1
        && clauses[0].0 != Occur::MustNot
        && let Some((_, only)) = clauses.pop()
    {
        return only;
    }
    if clauses.iter().all(|(occur, _)| *occur == Occur::MustNot) {
        clauses.push((Occur::Must, Box::new(AllQuery)));
    }
    Box::new(BooleanQuery::new(clauses))
}

/// Any of the queries; nothing if there is none.
pub(crate) fn any(mut queries: Vec<Boxed>) -> Boxed {
    match queries.len() {
        0 => Box::new(EmptyQuery),
        1 => queries.remove(0),
        _ => Box::new(BooleanQuery::union(queries)),
    }
}

/// The words of `text` in their order.
pub(crate) fn phrase(field: Field, text: &str, slop: u32) -> Boxed {
    let mut terms: Vec<Term> = words(text).iter().map(|word| Term::from_field_text(field, word)).collect();
    match terms.len() {
        0 => Box::new(EmptyQuery),
        1 => Box::new(TermQuery::new(terms.remove(0), IndexRecordOption::Basic)),
        _ => {
            let mut query = PhraseQuery::new(terms);
            query.set_slop(slop);
            Box::new(query)
        }
    }
}

fn not_a_date(text: &str) -> QueryError {
    QueryError::new(
        0,
        format!(
            "`{text}` is not a time: write 2026-11-24T10:00:00Z, 2026-11-24, now-15m or milliseconds since 1970"
        ),
    )
}
