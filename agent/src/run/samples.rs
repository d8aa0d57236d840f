//! Feeds the embedded metric store: every interval one round of the registry's samples and of the agent's own, and
//! the exemplars that timings have. What rules make of them comes with the next round.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::metrics::Registry;
use crate::metrics::histogram::{Native, ZERO_THRESHOLD};
use crate::metrics::http::OwnMetrics;
use crate::metrics::sparse::Sparse;
use crate::store::metrics::exposition::{self, Item};
use crate::store::metrics::labels::Labels;
use crate::store::metrics::{Exemplar, Store};
use crate::store::promql::histogram::Histogram;
use crate::store::rules::Rules;

/// Samples and maintains until `stop` turns true, and once more then.
pub(super) fn start(
    store: Arc<Store>,
    rules: Arc<Rules>,
    registry: Arc<Registry>,
    own: OwnMetrics,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let interval = store.settings().interval.0.max(Duration::from_secs(1));
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let ending = tokio::select! {
                _ = ticks.tick() => false,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            let (store, rules) = (Arc::clone(&store), Arc::clone(&rules));
            let (registry, own) = (Arc::clone(&registry), Arc::clone(&own));
            let round = tokio::task::spawn_blocking(move || {
                let now = round(&store, &rules, &registry, &own);
                if !ending {
                    rules.evaluate(&store, now);
                }
            });
            match round.await {
                // The runtime ends: something else did not start, and it is that which is told.
                Err(error) if error.is_cancelled() => return,
                Err(error) => {
                    tracing::error!(%error, "a round of samples failed and is missing in the store");
                }
                Ok(()) => {}
            }
            if ending {
                return;
            }
        }
    })
}

/// Takes one round and says when it was.
fn round(store: &Store, rules: &Rules, registry: &Registry, own: &OwnMetrics) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (now.as_secs(), now.as_millis() as i64);
    let text = own();
    let mut samples = |each: &mut dyn FnMut(&str, &[(&str, &str)], f64)| {
        registry.samples(seconds, each);
        rules.samples(each);
        // The renderer's own text has no line that cannot be read.
        let _ = exposition::parse(&text, &mut |item| match item {
            Item::Sample(sample) => {
                let mut labels: Vec<(&str, &str)> =
                    sample.labels.iter().map(|(k, v)| (*k, v.as_str())).collect();
                labels.sort_unstable();
                each(sample.name, &labels, sample.value);
            }
            Item::Type { name, kind } => store.describe(name, kind, ""),
            Item::Help { .. } => {}
        });
    };
    let natives = store.settings().native;
    store.round(millis, &mut samples, &mut |each| {
        if natives {
            registry.natives(&mut |name, labels, native, sum| each(name, labels, histogram(native, sum)));
        }
    });
    registry.exemplars(&mut |name, labels, exemplar| {
        let trace = Labels::new([("trace_id", exemplar.trace_id())]);
        store.exemplar(name, labels, Exemplar { labels: trace, value: exemplar.value, time: exemplar.at_ms });
    });
    for family in registry.all_families() {
        store.describe(&family.name, family.shape.type_word(), family.help.as_deref().unwrap_or_default());
    }
    if let Err(error) = store.maintain(millis) {
        tracing::warn!(%error, "the metric store could not put its blocks in order; it tries again with the next round");
    }
    millis
}

/// A native histogram as queries know it. Weights are rounded bucket by bucket, so that no bucket ever falls, and the
/// count is their sum.
fn histogram(native: &Native, sum: f64) -> Histogram {
    let side = |sparse: &Sparse| -> Vec<(i32, f64)> {
        sparse.iter().map(|(at, weight)| (at, weight.round())).filter(|(_, count)| *count > 0.0).collect()
    };
    let (positive, negative) = (side(&native.positive), side(&native.negative));
    let zero_count = native.zero.round();
    Histogram {
        schema: i32::from(native.positive.schema),
        zero_threshold: ZERO_THRESHOLD,
        zero_count,
        count: positive.iter().chain(&negative).map(|b| b.1).sum::<f64>() + zero_count,
        sum,
        positive,
        negative,
        ..Histogram::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks;
    use crate::metrics::naming::Rules;
    use crate::metrics::settings::Settings as MetricSettings;
    use crate::metrics::tally::Batch;
    use crate::store::metrics::Settings;
    use crate::store::metrics::matcher::Matcher;

    fn now_ms() -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
    }

    #[test]
    fn a_round_copies_samples_and_the_traces_behind_them_once() {
        let registry = Registry::new(&MetricSettings::default(), Rules::default(), &[]);
        registry.ingest(b"dev.h.k.http.x.timing:250|ms", 1, &mut Batch::default());
        registry.exemplar(&hooks::Exemplar {
            environment: "dev",
            host: "h",
            service: "k",
            group: "http",
            segment: "x",
            trace_id: "0123456789abcdef0123456789abcdef",
            seconds: 0.25,
            at_ms: 1500,
        });
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &Settings::default()).unwrap();
        let own: OwnMetrics = Arc::new(|| "sightline_a_total 3\n".to_owned());
        let rules = crate::store::rules::Rules::load(&crate::store::rules::Settings::default()).unwrap();
        round(&store, &rules, &registry, &own);
        round(&store, &rules, &registry, &own);
        let found =
            store.exemplars(&[Matcher::equal("__name__", "instrument_timing_seconds_bucket")], 0, 2000);
        let [(labels, list)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((labels.get("le"), labels.get("segment")), (Some("0.25"), Some("x")));
        let [one] = &list[..] else { panic!("{list:?}") };
        assert_eq!(one.labels.get("trace_id"), Some("0123456789abcdef0123456789abcdef"));
        assert_eq!((one.value, one.time), (0.25, 1500));
        let names = store.series(&[Matcher::equal("__name__", "sightline_a_total")], 0, i64::MAX);
        assert_eq!(names.len(), 1);
        // The timing is there as classic buckets and as a native histogram.
        let options = crate::store::promql::Options::default();
        let ask = |query: &str| {
            let (answer, _) = crate::store::promql::instant(&*store, query, now_ms(), &options).unwrap();
            let crate::store::promql::Answer::Vector { series, .. } = answer else { panic!("{query}") };
            series.iter().map(|(_, v)| v.float().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(ask("histogram_count(instrument_timing_seconds{segment=\"x\"})"), [1.0]);
        assert_eq!(ask("histogram_sum(instrument_timing_seconds)"), [0.25]);
        assert_eq!(ask("instrument_timing_seconds_count"), [1.0]);
        let quantile = ask("histogram_quantile(0.5, instrument_timing_seconds)")[0];
        assert!((quantile - 0.25).abs() < 0.025, "{quantile}");
    }
}
