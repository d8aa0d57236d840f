//! The wiring: starts every room by the configuration, joins them by hooks, and ends them in order.

mod metrics;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;

use crate::config::Config;
use crate::web::health::{Check, Probe};
use crate::{telemetry, web};

/// A running agent.
pub struct Agent {
    metrics: metrics::Lane,
    web: web::Handle,
}

/// Where a running agent listens, ports known.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The HTTP port.
    pub web: SocketAddr,
    /// StatsD over UDP.
    pub statsd: Option<SocketAddr>,
}

impl Agent {
    /// Starts everything that `config` names, or nothing.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        telemetry::install_metrics();
        let registry = metrics::registry(&config.metrics, &config.mapping)?;
        let scrape = crate::metrics::http::router(Arc::clone(&registry.0), Arc::new(telemetry::render));
        let metrics = metrics::Lane::start(&config.metrics, registry, None)?;
        let probe: Probe =
            Arc::new(|| vec![Check { name: "metrics".into(), ready: true, detail: String::new() }]);
        let router =
            Router::new().merge(scrape).merge(web::health::router(probe)).merge(web::page::router(None));
        let web = web::start(&config.web, router)
            .await
            .with_context(|| format!("cannot listen on {}; change web.listen", config.web.listen))?;
        Ok(Agent { metrics, web })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        Addresses { web: self.web.address, statsd: self.metrics.udp() }
    }

    /// Stops receiving, delivers what it can within `deadline`, and ends.
    pub async fn stop(self, deadline: Duration) {
        let until = Instant::now() + deadline;
        let left = || until.saturating_duration_since(Instant::now());
        self.metrics.stop(left()).await;
        self.web.stop(left().min(Duration::from_secs(2))).await;
    }
}

/// Returns when somebody asks this process to end: Ctrl-C or SIGTERM.
pub async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else {
        // Without a handler the signal ends the process as it always did; Ctrl-C is still heard.
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
