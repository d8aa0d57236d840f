//! Chooses where records go: the back ends that are named, the embedded store for what has none.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use axum::Router;

use super::delivery::Lane;
use crate::config::Config;
use crate::export::dead_letters::DeadLetters;
use crate::export::elasticsearch::{self, Elasticsearch};
use crate::export::otlp::Otlp;
use crate::export::pump;
use crate::export::zipkin::Zipkin;
use crate::metrics::Registry;
use crate::metrics::http::OwnMetrics;
use crate::queue::Queue;
use crate::web::health::Check;
use crate::{telemetry, web};

#[cfg(feature = "embedded")]
use crate::store;
#[cfg(feature = "embedded")]
use tokio::{sync::watch, task::JoinHandle};

/// Everything behind the lanes.
pub(super) struct BackEnds {
    pub(super) logs: Lane,
    pub(super) spans: Lane,
    pub(super) letters: Arc<DeadLetters>,
    disk: Option<tokio::task::JoinHandle<()>>,
    #[cfg(feature = "embedded")]
    events: Arc<store::Events>,
    #[cfg(feature = "embedded")]
    metrics: Arc<store::metrics::Store>,
    #[cfg(feature = "embedded")]
    rules: Arc<store::rules::Rules>,
    #[cfg(feature = "embedded")]
    sampling: (watch::Sender<bool>, JoinHandle<()>),
}

impl BackEnds {
    pub(super) fn start(config: &Config, registry: &Arc<Registry>) -> anyhow::Result<Self> {
        let data = &config.data_dir;
        std::fs::create_dir_all(data).with_context(|| {
            format!("cannot make {}; set data_dir to a folder that can be written", data.display())
        })?;
        let letters = DeadLetters::open(&data.join("dead_letters"), &config.dead_letters);
        let letters = Arc::new(letters.context("the dead letters cannot be opened")?);
        #[cfg(feature = "embedded")]
        let events = store::Events::open(&data.join("store"), &config.store)
            .context("the embedded store cannot be opened")?;
        #[cfg(feature = "embedded")]
        let metrics = store::metrics::Store::open(&data.join("metrics"), &config.store.metrics)
            .context("the embedded store cannot be opened")?;
        #[cfg(feature = "embedded")]
        let rules = store::rules::Rules::load(&config.store.rules).context("store.rules cannot be used")?;
        #[cfg(feature = "embedded")]
        let rules = Arc::new(rules);
        #[cfg(feature = "embedded")]
        metrics.keep_free(config.store.min_free.0);
        // The store takes what is there at once: its commit is what makes batches.
        let embedded = pump::Settings::default();

        let mut disk = None;
        let logs = if config.elasticsearch.urls.is_empty() {
            #[cfg(feature = "embedded")]
            let exporter = store::LogExporter(Arc::clone(&events));
            #[cfg(not(feature = "embedded"))]
            let exporter = no_back_end("logs", "elasticsearch.urls")?;
            Lane::start(data, "logs", &config.queue, exporter, Arc::clone(&letters), &embedded)?
        } else {
            let exporter =
                Elasticsearch::new(&config.elasticsearch).context("elasticsearch cannot be used")?;
            disk = Some(tokio::spawn(exporter.disk(elasticsearch::disk::INTERVAL)));
            Lane::start(
                data,
                "logs",
                &config.queue,
                exporter,
                Arc::clone(&letters),
                &config.elasticsearch.delivery,
            )?
        };
        let spans = if config.zipkin.urls.is_empty() && !config.otlp_exporter.urls.is_empty() {
            let exporter = Otlp::new(&config.otlp_exporter).context("otlp_exporter cannot be used")?;
            let delivery = &config.otlp_exporter.delivery;
            Lane::start(data, "spans", &config.queue, exporter, Arc::clone(&letters), delivery)?
        } else if config.zipkin.urls.is_empty() {
            #[cfg(feature = "embedded")]
            let exporter = store::SpanExporter(Arc::clone(&events));
            #[cfg(not(feature = "embedded"))]
            let exporter = no_back_end("spans", "zipkin.urls")?;
            Lane::start(data, "spans", &config.queue, exporter, Arc::clone(&letters), &embedded)?
        } else {
            let exporter = Zipkin::new(&config.zipkin).context("zipkin cannot be used")?;
            Lane::start(
                data,
                "spans",
                &config.queue,
                exporter,
                Arc::clone(&letters),
                &config.zipkin.delivery,
            )?
        };
        #[cfg(feature = "embedded")]
        let sampling = {
            let (stop, stopped) = watch::channel(false);
            let own = own_metrics(vec![logs.queue(), spans.queue()]);
            (
                stop,
                super::samples::start(
                    Arc::clone(&metrics),
                    Arc::clone(&rules),
                    Arc::clone(registry),
                    own,
                    stopped,
                ),
            )
        };
        Ok(BackEnds {
            logs,
            spans,
            letters,
            disk,
            #[cfg(feature = "embedded")]
            events,
            #[cfg(feature = "embedded")]
            metrics,
            #[cfg(feature = "embedded")]
            rules,
            #[cfg(feature = "embedded")]
            sampling,
        })
    }

    pub(super) fn queues(&self) -> Vec<Arc<Queue>> {
        vec![self.logs.queue(), self.spans.queue()]
    }

    /// The agent's own metrics, queues' gauges fresh.
    pub(super) fn own_metrics(&self) -> OwnMetrics {
        own_metrics(self.queues())
    }

    /// The query APIs and the page.
    pub(super) fn apis(&self, settings: &web::Settings) -> Router {
        let router = web::page::router(settings.page.clone())
            .merge(web::dashboards::router(settings.dashboards.clone()));
        #[cfg(feature = "embedded")]
        let router = router
            .merge(store::api::router(Arc::clone(&self.events)))
            .merge(store::api::prometheus::router(Arc::clone(&self.metrics), Arc::clone(&self.rules)));
        router
    }

    pub(super) fn probe(&self) -> impl Fn() -> Vec<Check> + Send + Sync + 'static {
        let (logs, spans) = (self.logs.probe(), self.spans.probe());
        move || logs().into_iter().chain(spans()).collect()
    }

    pub(super) async fn stop(self, until: Instant) {
        if let Some(disk) = &self.disk {
            disk.abort();
        }
        tokio::join!(self.logs.stop(until), self.spans.stop(until));
        #[cfg(feature = "embedded")]
        {
            let (stop, sampling) = self.sampling;
            // Fails only when sampling has ended already.
            let _ = stop.send(true);
            if tokio::time::timeout_at(until.into(), sampling).await.is_err() {
                tracing::warn!("the last round of samples was not stored by the deadline");
            }
        }
    }
}

fn own_metrics(queues: Vec<Arc<Queue>>) -> OwnMetrics {
    Arc::new(move || {
        queues.iter().for_each(|queue| queue.publish());
        telemetry::render()
    })
}

/// In a build without the store, records without a back end have nowhere to go.
#[cfg(not(feature = "embedded"))]
fn no_back_end(lane: &str, key: &str) -> anyhow::Result<Zipkin> {
    anyhow::bail!("{lane} have no back end: set {key}, or build with the feature 'embedded'")
}
