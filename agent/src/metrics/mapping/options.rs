//! How observations of a rule are kept: its summary or histogram options over the defaults of the file.

use std::sync::Arc;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::check::{Context, shared};
use super::file::{self, Entry, Placed, Quantile};
use super::{Note, Place};
use crate::metrics::naming::{HistogramOptions, Observer, SummaryOptions};

/// `defaults`, judged.
pub(super) struct Defaults {
    pub(super) ttl: Option<Duration>,
    histogram: bool,
    summary_options: Arc<SummaryOptions>,
    histogram_options: Arc<HistogramOptions>,
}

impl Defaults {
    pub(super) fn read(typed: &file::Defaults, context: &mut Context<'_>) -> Result<Self, Note> {
        let histogram =
            observer_type(typed.observer_type.as_ref(), typed.timer_type.as_ref(), context)?.unwrap_or(false);
        let mut summary_typed = typed.summary_options.clone().unwrap_or_default();
        let mut histogram_typed = typed.histogram_options.clone().unwrap_or_default();
        legacy_quantiles(typed.quantiles.as_ref(), &mut summary_typed, context)?;
        legacy_buckets(typed.buckets.as_ref(), &mut histogram_typed, context)?;
        // 256 is what statsd_exporter takes once a file is loaded.
        let base = HistogramOptions { native_max_buckets: 256, ..HistogramOptions::default() };
        Ok(Defaults {
            ttl: match &typed.ttl {
                Some(ttl) => Some(context.duration("ttl", ttl)?).filter(|ttl| !ttl.is_zero()),
                None => None,
            },
            histogram,
            summary_options: Arc::new(summary(&summary_typed, &SummaryOptions::default(), context)?),
            histogram_options: Arc::new(histogram_options(&histogram_typed, &base, context)?),
        })
    }

    /// What holds for names that no rule takes.
    pub(super) fn observer(&self) -> Observer {
        if self.histogram {
            Observer::Histogram(Arc::clone(&self.histogram_options))
        } else {
            Observer::Summary(Arc::clone(&self.summary_options))
        }
    }
}

/// How the observations of one rule are kept.
pub(super) fn observer(
    entry: &Entry,
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Result<Observer, Note> {
    let explicit = observer_type(entry.observer_type.as_ref(), entry.timer_type.as_ref(), context)?;
    let histogram = explicit.unwrap_or(defaults.histogram);
    let mut summary_typed = entry.summary_options.clone();
    let mut histogram_typed = entry.histogram_options.clone();
    if entry.quantiles.is_some() {
        legacy_quantiles(entry.quantiles.as_ref(), summary_typed.get_or_insert_default(), context)?;
    }
    if entry.buckets.is_some() {
        legacy_buckets(entry.buckets.as_ref(), histogram_typed.get_or_insert_default(), context)?;
    }
    if histogram && summary_typed.is_some() {
        return Err(context.error(context.here, "summary_options stand beside observer_type: histogram"));
    }
    if !histogram && histogram_typed.is_some() {
        // Without an observer type anywhere statsd_exporter ignores the options without a word.
        let text = "histogram_options stand beside observer_type: summary";
        if explicit.is_some() {
            return Err(context.error(context.here, text));
        }
        context.warn(context.here, format!("{text}, the default; they have no effect"));
    }
    Ok(if histogram {
        let own =
            histogram_options(&histogram_typed.unwrap_or_default(), &defaults.histogram_options, context)?;
        Observer::Histogram(shared(own, &defaults.histogram_options))
    } else {
        let own = summary(&summary_typed.unwrap_or_default(), &defaults.summary_options, context)?;
        Observer::Summary(shared(own, &defaults.summary_options))
    })
}

/// Whether histograms were asked for; `None` when nothing was said.
fn observer_type(
    value: Option<&Placed>,
    old: Option<&Placed>,
    context: &mut Context<'_>,
) -> Result<Option<bool>, Note> {
    let words = [("summary", false), ("histogram", true), ("", false)];
    if let Some(old) = old {
        context.warn(context.place(old), "timer_type is now called observer_type");
    }
    value
        .map(|value| context.word("observer_type", value, &words))
        .or_else(|| old.map(|old| context.word("timer_type", old, &words)))
        .transpose()
}

fn legacy_quantiles(
    old: Option<&Spanned<Vec<Quantile>>>,
    options: &mut file::Summary,
    context: &mut Context<'_>,
) -> Result<(), Note> {
    let Some(old) = old else { return Ok(()) };
    let place = context.place(old);
    context.warn(place, "quantiles now stand in summary_options");
    twice(options.quantiles.is_some(), place, "quantiles", context)?;
    options.quantiles = Some(old.value.clone());
    Ok(())
}

fn legacy_buckets(
    old: Option<&Spanned<Vec<f64>>>,
    options: &mut file::Histogram,
    context: &mut Context<'_>,
) -> Result<(), Note> {
    let Some(old) = old else { return Ok(()) };
    let place = context.place(old);
    context.warn(place, "buckets now stand in histogram_options");
    twice(options.buckets.is_some(), place, "buckets", context)?;
    options.buckets = Some(old.clone());
    Ok(())
}

fn twice(is: bool, place: Place, what: &str, context: &Context<'_>) -> Result<(), Note> {
    let text = || format!("{what} are set twice, here and inside the options; remove those here");
    if is { Err(context.error(place, text())) } else { Ok(()) }
}

fn summary(
    typed: &file::Summary,
    base: &SummaryOptions,
    context: &mut Context<'_>,
) -> Result<SummaryOptions, Note> {
    let quantiles = match typed.quantiles.as_deref() {
        None | Some([]) => base.quantiles.clone(),
        Some(quantiles) => {
            if let Some(wrong) = quantiles.iter().find(|q| !(0.0..=1.0).contains(&q.quantile)) {
                return Err(context
                    .error(context.here, format!("quantiles: {} is not between 0 and 1", wrong.quantile)));
            }
            let mut quantiles: Vec<(f64, f64)> = quantiles.iter().map(|q| (q.quantile, q.error)).collect();
            quantiles.sort_by(|a, b| a.0.total_cmp(&b.0));
            quantiles.dedup_by(|later, first| later.0 == first.0);
            quantiles
        }
    };
    let max_age = match &typed.max_age {
        Some(age) => Some(context.duration("max_age", age)?).filter(|age| !age.is_zero()),
        None => None,
    };
    Ok(SummaryOptions {
        quantiles,
        max_age: max_age.unwrap_or(base.max_age),
        age_buckets: typed.age_buckets.filter(|&n| n > 0).unwrap_or(base.age_buckets),
    })
}

fn histogram_options(
    typed: &file::Histogram,
    base: &HistogramOptions,
    context: &Context<'_>,
) -> Result<HistogramOptions, Note> {
    let buckets = match &typed.buckets {
        Some(buckets) if !buckets.value.is_empty() => {
            let mut bounds = buckets.value.clone();
            if bounds.last() == Some(&f64::INFINITY) {
                bounds.pop();
            }
            if bounds.iter().any(|b| !b.is_finite()) || !bounds.is_sorted_by(|a, b| a < b) {
                return Err(context.error(context.place(buckets), "buckets must be numbers that rise"));
            }
            bounds
        }
        _ => base.buckets.clone(),
    };
    let factor = typed.native_histogram_bucket_factor.filter(|factor| *factor > 0.0);
    Ok(HistogramOptions {
        buckets,
        native_factor: factor.unwrap_or(base.native_factor),
        native_max_buckets: typed
            .native_histogram_max_buckets
            .filter(|&n| n > 0)
            .unwrap_or(base.native_max_buckets),
    })
}
