//! Feeds the embedded metric store: every interval one round of the registry's samples and of the agent's own.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::metrics::Registry;
use crate::metrics::http::OwnMetrics;
use crate::store::metrics::Store;
use crate::store::metrics::exposition::{self, Item};

/// Samples and maintains until `stop` turns true, and once more then.
pub(super) fn start(
    store: Arc<Store>,
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
            let (store, registry, own) = (Arc::clone(&store), Arc::clone(&registry), Arc::clone(&own));
            let round = tokio::task::spawn_blocking(move || round(&store, &registry, &own)).await;
            if let Err(error) = round {
                tracing::error!(%error, "a round of samples failed and is missing in the store");
            }
            if ending {
                return;
            }
        }
    })
}

fn round(store: &Store, registry: &Registry, own: &OwnMetrics) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (now.as_secs(), now.as_millis() as i64);
    let text = own();
    store.sample(millis, &mut |each| {
        registry.samples(seconds, each);
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
    });
    for family in registry.all_families() {
        store.describe(&family.name, family.shape.type_word(), family.help.as_deref().unwrap_or_default());
    }
    if let Err(error) = store.maintain(millis) {
        tracing::warn!(%error, "the metric store could not put its blocks in order; it tries again with the next round");
    }
}
