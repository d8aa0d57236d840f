//! The query language of `_search` bodies, as far as dashboards and scripts use it.

use std::ops::Bound;

use serde_json::{Map, Value};
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, Query};

use super::error::EsError;
use crate::store::events::schema::Target;
use crate::store::query::compile::{Scope, any, joined, phrase};
use crate::store::query::{Node, Operator, QueryError, parse};

type Boxed = Box<dyn Query>;
type Object = Map<String, Value>;

/// Bodies nest no deeper than this.
const DEEPEST: usize = 32;
const MOST_TERMS: usize = 65_536;

/// Compiles a query object.
pub(super) fn compile(scope: &Scope<'_>, query: &Value) -> Result<Boxed, EsError> {
    clause(scope, query, 0)
}

fn clause(scope: &Scope<'_>, query: &Value, depth: usize) -> Result<Boxed, EsError> {
    if depth > DEEPEST {
        return Err(EsError::parsing(format!("the query is nested deeper than {DEEPEST}")));
    }
    let object =
        query.as_object().ok_or_else(|| EsError::parsing("[query] malformed, expected an object"))?;
    let mut entries = object.iter();
    let (Some((name, body)), None) = (entries.next(), entries.next()) else {
        return Err(EsError::parsing(if object.is_empty() {
            "query malformed, empty clause found".to_owned()
        } else {
            format!(
                "[{}] malformed query, expected one clause",
                object.keys().next().map_or("", String::as_str)
            )
        }));
    };
    let body = body
        .as_object()
        .ok_or_else(|| EsError::parsing(format!("[{name}] query malformed, expected an object")))?;
    match name.as_str() {
        "match_all" => Ok(Box::new(AllQuery)),
        "match_none" => Ok(Box::new(EmptyQuery)),
        "bool" => boolean(scope, body, depth),
        "constant_score" => match body.get("filter") {
            Some(filter) => clause(scope, filter, depth + 1),
            None => Err(EsError::parsing("[constant_score] requires a 'filter' element")),
        },
        "query_string" => query_string(scope, body, false),
        "simple_query_string" => query_string(scope, body, true),
        "term" => {
            let (field, value) = field_value(name, body, "value")?;
            Ok(scope.value(field, &value)?)
        }
        "terms" => terms(scope, body),
        "match" => matching(scope, body),
        "match_phrase" | "match_phrase_prefix" => {
            let (field, value) = field_value(name, body, "query")?;
            Ok(scope.compile(&Node::Phrase { field: Some(field.to_owned()), text: value, slop: 0 })?)
        }
        "multi_match" => multi_match(scope, body),
        "range" => range(scope, body),
        "exists" => {
            let field = text_of(name, body, "field")?;
            Ok(scope.compile(&Node::Exists { field: field.to_owned() })?)
        }
        "prefix" => {
            let (field, value) = field_value(name, body, "value")?;
            Ok(scope.prefix(field, &value)?)
        }
        "wildcard" => {
            let key = if body.values().any(|v| v.get("wildcard").is_some()) { "wildcard" } else { "value" };
            let (field, pattern) = field_value(name, body, key)?;
            Ok(scope.compile(&Node::Wildcard { field: Some(field.to_owned()), pattern })?)
        }
        "regexp" => {
            let (field, pattern) = field_value(name, body, "value")?;
            Ok(scope.compile(&Node::Regex { field: Some(field.to_owned()), pattern })?)
        }
        "ids" => {
            let values = body
                .get("values")
                .and_then(Value::as_array)
                .ok_or_else(|| EsError::parsing("[ids] requires a 'values' array"))?;
            let either = values
                .iter()
                .filter_map(Value::as_str)
                .map(|id| scope.value("_id", id))
                .collect::<Result<_, _>>()?;
            Ok(any(either))
        }
        "nested" => match body.get("query") {
            Some(query) => clause(scope, query, depth + 1),
            None => Err(EsError::parsing("[nested] requires a 'query' element")),
        },
        other => Err(EsError::parsing(format!("unknown query [{other}]"))),
    }
}

fn boolean(scope: &Scope<'_>, body: &Object, depth: usize) -> Result<Boxed, EsError> {
    let list = |key: &str| -> Result<Vec<Boxed>, EsError> {
        match body.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| clause(scope, item, depth + 1)).collect(),
            Some(one) => Ok(vec![clause(scope, one, depth + 1)?]),
        }
    };
    if let Some(unknown) = body.keys().find(|key| {
        !["must", "filter", "should", "must_not", "minimum_should_match", "boost", "_name"]
            .contains(&key.as_str())
    }) {
        return Err(EsError::parsing(format!("[bool] query does not support [{unknown}]")));
    }
    let mut all: Vec<(Occur, Boxed)> =
        list("must")?.into_iter().chain(list("filter")?).map(|query| (Occur::Must, query)).collect();
    let should = list("should")?;
    let least = match body.get("minimum_should_match") {
        None => usize::from(all.is_empty()),
        Some(Value::String(text)) if text.ends_with('%') => {
            let percent: usize = text
                .trim_end_matches('%')
                .parse()
                .map_err(|_| EsError::parsing("[bool] failed to parse [minimum_should_match]"))?;
            should.len() * percent / 100
        }
        Some(value) => value
            .as_u64()
            .or_else(|| value.as_str()?.parse().ok())
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| EsError::parsing("[bool] failed to parse [minimum_should_match]"))?,
    };
    if !should.is_empty() && least > 0 {
        let query: Boxed = if least == 1 {
            any(should)
        } else {
            Box::new(BooleanQuery::union_with_minimum_required_clauses(should, least))
        };
        all.push((Occur::Must, query));
    }
    all.extend(list("must_not")?.into_iter().map(|query| (Occur::MustNot, query)));
    Ok(if all.is_empty() { Box::new(AllQuery) } else { joined(all) })
}

fn query_string(scope: &Scope<'_>, body: &Object, lenient: bool) -> Result<Boxed, EsError> {
    let text = text_of("query_string", body, "query")?;
    let operator = match body.get("default_operator").and_then(Value::as_str) {
        Some(word) if word.eq_ignore_ascii_case("and") => Operator::And,
        _ => Operator::Or,
    };
    let node = match parse(text, operator) {
        Ok(node) => node,
        // The simple form never fails: what it cannot read is searched as words.
        Err(_) if lenient => Node::Value { field: None, text: text.to_owned() },
        Err(error) => return Err(error.into()),
    };
    let field = body.get("default_field").and_then(Value::as_str).filter(|name| *name != "*");
    let node = match field {
        Some(name) => with_default(node, name),
        None => node,
    };
    // The compiler knows no places any more: what it refuses is the query as a whole.
    scope.compile(&node).map_err(EsError::from)
}

/// Gives words without a field one.
fn with_default(node: Node, name: &str) -> Node {
    let of = |field: Option<String>| Some(field.unwrap_or_else(|| name.to_owned()));
    let each = |nodes: Vec<Node>| nodes.into_iter().map(|node| with_default(node, name)).collect();
    match node {
        Node::Value { field, text } => Node::Value { field: of(field), text },
        Node::Phrase { field, text, slop } => Node::Phrase { field: of(field), text, slop },
        Node::Wildcard { field, pattern } => Node::Wildcard { field: of(field), pattern },
        Node::Regex { field, pattern } => Node::Regex { field: of(field), pattern },
        Node::And(nodes) => Node::And(each(nodes)),
        Node::Or(nodes) => Node::Or(each(nodes)),
        Node::Not(inner) => Node::Not(Box::new(with_default(*inner, name))),
        other => other,
    }
}

fn terms(scope: &Scope<'_>, body: &Object) -> Result<Boxed, EsError> {
    let (field, values) = body
        .iter()
        .find(|(key, _)| !["boost", "_name"].contains(&key.as_str()))
        .ok_or_else(|| EsError::parsing("[terms] query requires a field"))?;
    let values = values
        .as_array()
        .ok_or_else(|| EsError::parsing(format!("[terms] query requires an array for [{field}]")))?;
    if values.len() > MOST_TERMS {
        return Err(EsError::argument(format!(
            "[terms] has {} values; at most {MOST_TERMS} are allowed",
            values.len()
        )));
    }
    let either =
        values.iter().map(|value| scope.value(field, &scalar(value))).collect::<Result<_, QueryError>>()?;
    Ok(any(either))
}

fn matching(scope: &Scope<'_>, body: &Object) -> Result<Boxed, EsError> {
    let (field, value) = field_value("match", body, "query")?;
    let and = body
        .get(field)
        .and_then(|v| v.get("operator"))
        .and_then(Value::as_str)
        .is_some_and(|word| word.eq_ignore_ascii_case("and"));
    let Target::Text(target, _) = scope.fields.resolve(scope.kind, field) else {
        return Ok(scope.value(field, &value)?);
    };
    let words: Vec<Boxed> =
        crate::store::events::words::words(&value).iter().map(|word| phrase(target, word, 0)).collect();
    Ok(if and { joined(words.into_iter().map(|q| (Occur::Must, q)).collect()) } else { any(words) })
}

fn multi_match(scope: &Scope<'_>, body: &Object) -> Result<Boxed, EsError> {
    let text = text_of("multi_match", body, "query")?;
    let whole = body.get("type").and_then(Value::as_str) == Some("phrase");
    let fields: Vec<&str> = body
        .get("fields")
        .and_then(Value::as_array)
        .map(|names| {
            names.iter().filter_map(Value::as_str).map(|n| n.split('^').next().unwrap_or(n)).collect()
        })
        .unwrap_or_default();
    let node = |field: Option<String>| {
        if whole {
            Node::Phrase { field, text: text.to_owned(), slop: 0 }
        } else {
            Node::Value { field, text: text.to_owned() }
        }
    };
    if fields.is_empty() || fields.contains(&"*") {
        return Ok(scope.compile(&node(None))?);
    }
    let either = fields
        .iter()
        .map(|name| scope.compile(&node(Some((*name).to_owned()))))
        .collect::<Result<_, QueryError>>()?;
    Ok(any(either))
}

fn range(scope: &Scope<'_>, body: &Object) -> Result<Boxed, EsError> {
    let (field, limits) =
        body.iter().next().ok_or_else(|| EsError::parsing("[range] query requires a field"))?;
    let (lower, upper) = bounds(field, limits)?;
    Ok(scope.range(field, &lower, &upper)?)
}

/// The ends of a range query.
pub(super) fn bounds(field: &str, limits: &Value) -> Result<(Bound<String>, Bound<String>), EsError> {
    let limits = limits.as_object().ok_or_else(|| {
        EsError::parsing(format!("[range] query malformed, expected an object for [{field}]"))
    })?;
    let (mut lower, mut upper) = (Bound::Unbounded, Bound::Unbounded);
    let legacy = |key: &str| limits.get(key).and_then(Value::as_bool).unwrap_or(true);
    for (key, value) in limits {
        if value.is_null() {
            continue;
        }
        match key.as_str() {
            "gte" => lower = Bound::Included(scalar(value)),
            "gt" => lower = Bound::Excluded(scalar(value)),
            "lte" => upper = Bound::Included(scalar(value)),
            "lt" => upper = Bound::Excluded(scalar(value)),
            "from" => {
                lower = if legacy("include_lower") {
                    Bound::Included(scalar(value))
                } else {
                    Bound::Excluded(scalar(value))
                }
            }
            "to" => {
                upper = if legacy("include_upper") {
                    Bound::Included(scalar(value))
                } else {
                    Bound::Excluded(scalar(value))
                }
            }
            "format" | "time_zone" | "boost" | "relation" | "include_lower" | "include_upper" | "_name" => {}
            other => return Err(EsError::parsing(format!("[range] query does not support [{other}]"))),
        }
    }
    Ok((lower, upper))
}

/// `{"field": "value"}` or `{"field": {"value": "value", …}}`.
fn field_value<'a>(name: &str, body: &'a Object, key: &str) -> Result<(&'a str, String), EsError> {
    let (field, value) = body
        .iter()
        .find(|(key, _)| !["boost", "_name"].contains(&key.as_str()))
        .ok_or_else(|| EsError::parsing(format!("[{name}] query requires a field")))?;
    match value {
        Value::Object(inner) => match inner.get(key) {
            Some(value) => Ok((field, scalar(value))),
            None => Err(EsError::parsing(format!("[{name}] query requires [{key}] for [{field}]"))),
        },
        Value::Array(_) | Value::Null => {
            Err(EsError::parsing(format!("[{name}] query does not support an array or null for [{field}]")))
        }
        value => Ok((field, scalar(value))),
    }
}

fn text_of<'a>(name: &str, body: &'a Object, key: &str) -> Result<&'a str, EsError> {
    body.get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| EsError::parsing(format!("[{name}] requires a text [{key}]")))
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
