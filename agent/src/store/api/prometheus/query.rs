//! `/query`, `/query_range`, `/query_exemplars`.
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::answer;
use super::envelope::{Failure, Reply};
use super::params::Params;
use crate::store::metrics::Store;
use crate::store::promql::{self, Error, Options, ast::Type};

/// Points of one series in an answer.
const MAX_POINTS: i64 = 11_000;

pub(super) fn instant(store: &Store, params: &Params, cancel: &AtomicBool) -> Result<Reply, Failure> {
    let time = params.time("time")?.map_or_else(now, Ok)?;
    let limit = params.limit("limit")?;
    let options = options(store, params, cancel)?;
    let (answer, notes) = promql::instant(store, text(params)?, time, &options)?;
    let (data, truncated) = answer::data(&answer, limit);
    Ok(Reply::new(data).noted(&notes).truncated(truncated))
}

pub(super) fn range(store: &Store, params: &Params, cancel: &AtomicBool) -> Result<Reply, Failure> {
    let missing = |name| Failure::parameter(name, "cannot parse \"\" to a valid timestamp");
    let start = params.time("start")?.ok_or_else(|| missing("start"))?;
    let end = params.time("end")?.ok_or_else(|| missing("end"))?;
    if end < start {
        return Err(Failure::parameter("end", "end timestamp must not be before start time"));
    }
    let no_step = || Failure::parameter("step", "cannot parse \"\" to a valid duration");
    let step = params.duration("step")?.ok_or_else(no_step)?;
    if step <= 0 {
        let message =
            "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Failure::parameter("step", message));
    }
    if (end - start) / step > MAX_POINTS {
        return Err(Failure::bad(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let limit = params.limit("limit")?;
    let options = options(store, params, cancel)?;
    let text = text(params)?;
    let kind = promql::parse(text).map_err(Error::from)?.value_type();
    if !matches!(kind, Type::Scalar | Type::Vector) {
        let message = format!(
            "invalid expression type {:?} for range query, must be Scalar or instant Vector",
            kind.to_string()
        );
        return Err(Failure::parameter("query", message));
    }
    let (answer, notes) = promql::range(store, text, (start, end, step), &options)?;
    let (data, truncated) = answer::data(&answer, limit);
    Ok(Reply::new(data).noted(&notes).truncated(truncated))
}

pub(super) fn exemplars(store: &Store, params: &Params, _: &AtomicBool) -> Result<Reply, Failure> {
    let start = params.time("start")?.unwrap_or(i64::MIN);
    let end = params.time("end")?.unwrap_or(i64::MAX);
    if end < start {
        return Err(Failure::bad("end timestamp must not be before start timestamp"));
    }
    let expr = promql::parse(text(params)?).map_err(Error::from)?;
    let mut out = String::from("[");
    let mut told: Vec<crate::store::metrics::labels::Labels> = Vec::new();
    for matchers in expr.selectors() {
        for (labels, list) in store.exemplars(matchers, start, end) {
            if told.contains(&labels) {
                continue;
            }
            out.push_str(if told.is_empty() { "{\"seriesLabels\":" } else { ",{\"seriesLabels\":" });
            answer::object(&mut out, &labels);
            told.push(labels);
            out.push_str(",\"exemplars\":[");
            for (i, e) in list.iter().enumerate() {
                out.push_str(if i == 0 { "{\"labels\":" } else { ",{\"labels\":" });
                answer::object(&mut out, &e.labels);
                out.push_str(&format!(",\"value\":\"{}\",\"timestamp\":", promql::format::json(e.value)));
                answer::timestamp(&mut out, e.time);
                out.push('}');
            }
            out.push_str("]}");
        }
    }
    out.push(']');
    Ok(Reply::new(out))
}

fn text(params: &Params) -> Result<&str, Failure> {
    params.get("query").ok_or_else(|| {
        Failure::parameter("query", "unknown position: parse error: no expression found in input")
    })
}

fn options<'a>(store: &Store, params: &Params, cancel: &'a AtomicBool) -> Result<Options<'a>, Failure> {
    let settings = store.settings();
    let mut allowed = settings.query_timeout.0;
    if let Some(ms) = params.duration("timeout")? {
        allowed = allowed.min(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    }
    let mut lookback = settings.lookback.0.as_millis() as i64;
    if let Some(ms) = params.duration("lookback_delta")?.filter(|ms| *ms > 0) {
        lookback = ms;
    }
    Ok(Options {
        lookback,
        max_samples: settings.max_samples,
        deadline: Instant::now().checked_add(allowed),
        cancel: Some(cancel),
        ..Options::default()
    })
}

fn now() -> Result<i64, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since
        .map(|d| d.as_millis() as i64)
        .map_err(|_| Failure::internal("the clock of this machine is before 1970"))
}
