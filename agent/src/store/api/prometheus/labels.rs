//! `/series`, `/labels`, `/label/…/values`.
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use super::answer;
use super::envelope::{Failure, Reply};
use super::params::Params;
use crate::store::metrics::Store;
use crate::store::metrics::labels::{Labels, NAME};
use crate::store::metrics::matcher::{Matcher, Op};
use crate::store::promql::parse_selector;

pub(super) fn series(store: &Store, params: &Params, _: &AtomicBool) -> Result<Reply, Failure> {
    if params.all("match[]").next().is_none() {
        return Err(Failure::bad("no match[] parameter provided"));
    }
    let limit = params.limit("limit")?;
    let mut out = String::from("[");
    let found = matching(store, params)?;
    for (i, labels) in found.iter().take(limit).enumerate() {
        if i > 0 {
            out.push(',');
        }
        answer::object(&mut out, labels);
    }
    out.push(']');
    Ok(Reply::new(out).truncated(found.len() > limit))
}

pub(super) fn names(store: &Store, params: &Params, _: &AtomicBool) -> Result<Reply, Failure> {
    let found = matching(store, params)?;
    let names: BTreeSet<&str> = found.iter().flat_map(Labels::iter).map(|(n, _)| n).collect();
    list(&names, params)
}

pub(super) fn values(store: &Store, params: &Params, _: &AtomicBool) -> Result<Reply, Failure> {
    let name = params.get("name").unwrap_or("");
    // Names that are not plain are written `U__…` in a path; only the plain ones exist here.
    let plain = name
        .chars()
        .enumerate()
        .all(|(i, c)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit()));
    if name.is_empty() || !plain {
        return Err(Failure::bad(format!("invalid label name: {name:?}")));
    }
    let found = matching(store, params)?;
    let values: BTreeSet<&str> = found.iter().filter_map(|l| l.get(name)).collect();
    list(&values, params)
}

fn list(all: &BTreeSet<&str>, params: &Params) -> Result<Reply, Failure> {
    let limit = params.limit("limit")?;
    let told: Vec<&&str> = all.iter().take(limit).collect();
    Ok(Reply::of(&told)?.truncated(all.len() > limit))
}

/// The series of all selectors, each once, sorted.
fn matching(store: &Store, params: &Params) -> Result<BTreeSet<Labels>, Failure> {
    let from = params.time("start")?.unwrap_or(i64::MIN);
    let to = params.time("end")?.unwrap_or(i64::MAX);
    if to < from {
        return Err(Failure::parameter("end", "end timestamp must not be before start time"));
    }
    let mut selectors: Vec<Vec<Matcher>> = Vec::new();
    for text in params.all("match[]") {
        selectors.push(parse_selector(text).map_err(|e| Failure::parameter("match[]", e))?);
    }
    if selectors.is_empty() {
        // Everything has a name.
        selectors.extend(Matcher::new(NAME, Op::NotEqual, "").map(|m| vec![m]));
    }
    Ok(selectors.iter().flat_map(|m| store.series(m, from, to)).map(|(_, labels)| labels).collect())
}
