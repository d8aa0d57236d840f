//! `/metadata`: type and help of metrics.
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::envelope::{Failure, Reply};
use super::params::Params;
use crate::store::metrics::Store;

pub(super) fn metadata(store: &Store, params: &Params, _: &AtomicBool) -> Result<Reply, Failure> {
    let limit = params.limit("limit")?;
    let wanted = params.get("metric");
    let all = store.metadata();
    let found: BTreeMap<&str, [_; 1]> = all
        .iter()
        .filter(|(name, _)| wanted.is_none_or(|w| w == name))
        .take(limit)
        .map(|(name, datum)| (name.as_str(), [datum]))
        .collect();
    Reply::of(&found)
}
