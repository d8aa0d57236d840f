//! The wiring: starts every room by the configuration, joins them by hooks, and ends them in order.

mod back_ends;
mod delivery;
mod metrics;
mod reload;
#[cfg(feature = "embedded")]
mod samples;
mod verify;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use axum::Router;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::back_ends::BackEnds;
pub(crate) use self::metrics::source as mapping_source;
use self::reload::Reload;
pub(crate) use self::verify::{key, verify};
use crate::config::{self, Config, Loaded};
use crate::export::{change_events, remote_write};
use crate::hooks::{ExemplarHook, LogLineHook, OtlpMetricsHook};
use crate::metrics::Registry;
use crate::receive::otlp::{self, Signals};
use crate::tap::{self, Tap};
use crate::web::health::{Check, Probe};
use crate::{logs, losses, spans, telemetry, web};

/// A running agent.
pub struct Agent {
    reload: Reload,
    receiving: watch::Sender<bool>,
    metrics: metrics::Lane,
    logs: logs::Handle,
    spans: spans::Handle,
    otlp: otlp::Handle,
    remote_write: remote_write::Handle,
    back_ends: BackEnds,
    replays: JoinHandle<()>,
    losses: JoinHandle<()>,
    change_events: Option<JoinHandle<()>>,
    web: web::Handle,
}

impl Agent {
    /// Starts everything that the configuration names, or nothing.
    pub async fn start(loaded: Loaded<Config>) -> anyhow::Result<Self> {
        telemetry::install_metrics();
        let config = &loaded.settings;
        // Files are judged by whoever reads them: the error is then that of the moment.
        if let [first, ..] = &verify(config).mistakes[..] {
            let place = loaded.place(&key(first));
            return Err(config::Error { place, reason: first.clone() }.into());
        }
        let host = host_name();
        let (receiving, stop) = watch::channel(false);
        let (registry, source) = metrics::registry(&config.metrics, &config.mapping)?;
        let back_ends = BackEnds::start(config, &registry)?;

        let (log_tap, span_tap) = (Tap::logs(), Tap::spans());
        let logs = logs::start(&config.logs, &host, log_tap.over(back_ends.logs.inlet()), stop.clone())
            .await
            .context("the logs lane did not start")?;
        let inlet = span_tap.over(back_ends.spans.inlet());
        let spans = spans::start(&config.spans, Some(exemplars(&registry)), inlet, stop.clone())
            .await
            .context("the spans lane did not start")?;
        let signals = Signals {
            traces: Some(Arc::new(spans::otlp::Traces(spans.intake()))),
            logs: Some(Arc::new(logs::otlp::Logs(logs.intake()))),
            metrics: Some(Arc::new(otlp::metrics::Metrics(otlp_metrics(&registry)))),
        };
        let otlp = otlp::start(&config.otlp, signals, stop.clone())
            .await
            .context("the otlp receivers did not start")?;
        let metrics =
            metrics::Lane::start(&loaded, (Arc::clone(&registry), source), Some(log_line(&logs, &host)))?;

        let change_events = change_events::start(&config.change_events, &registry, &config.data_dir)
            .context("change_events cannot be used")?;
        let own = back_ends.own_metrics();
        let keep = remote_write::Keep {
            queues: &config.data_dir.join("queue"),
            queue: &config.queue,
            letters: Arc::clone(&back_ends.letters),
        };
        let remote_write = remote_write::start(&config.remote_write, &registry, &own, &keep)?;
        let receivers = vec![
            metrics.check(),
            Check::listening("logs", logs.open()),
            Check::listening("otlp", otlp.open()),
            Check::listening("zipkin", spans.open()),
        ];
        let probe = probe(receivers, &back_ends, &remote_write);
        let scrape = crate::metrics::http::router(Arc::clone(&registry), own)
            .merge(crate::metrics::top::router(registry));
        let reload = metrics.reloader();
        let apis = Router::new()
            .merge(reload::router(reload.clone()))
            .merge(scrape)
            .merge(tap::router(log_tap, span_tap, stop))
            .merge(web::health::router(probe))
            .merge(back_ends.apis(&config.web));
        let web = web::start(&config.web, apis).await?;
        let queues = back_ends.queues().into_iter().chain(remote_write.queues()).collect();
        let replays = delivery::replays(Arc::clone(&back_ends.letters), queues);
        Ok(Agent {
            reload,
            receiving,
            metrics,
            logs,
            spans,
            otlp,
            remote_write,
            back_ends,
            replays,
            losses: tokio::spawn(losses::tell()),
            change_events,
            web,
        })
    }

    /// Where the HTTP port is.
    pub fn web(&self) -> SocketAddr {
        self.web.address
    }

    /// What the HTTP port asks for beyond loopback.
    pub fn token(&self) -> Option<&str> {
        self.web.token.as_deref()
    }

    /// Reads the mapping rules again; on a mistake the rules in force stay.
    pub fn reload(&self) {
        // It has been logged and counted where it happened.
        let _ = (self.reload)();
    }

    /// Stops receiving, delivers what it can within `deadline`, and ends. What could not be delivered stays on disk.
    pub async fn stop(self, deadline: Duration) {
        let until = Instant::now() + deadline;
        let left = || until.saturating_duration_since(Instant::now());
        // Fails only when every receiver has ended already.
        let _ = self.receiving.send(true);
        self.metrics.stop(left() / 2).await;
        tokio::join!(
            self.logs.stopped(left() / 2),
            self.spans.stopped(left() / 2),
            self.otlp.stopped(left() / 2)
        );
        if !self.remote_write.stop(left() / 2).await {
            tracing::warn!(
                "some samples were not written by the deadline; they wait on disk for the next start"
            );
        }
        self.replays.abort();
        self.losses.abort();
        if let Some(change_events) = &self.change_events {
            change_events.abort();
        }
        self.back_ends.stop(until).await;
        self.web.stop(left().min(Duration::from_secs(2))).await;
    }
}

/// DogStatsD events and service checks become log records.
fn log_line(logs: &logs::Handle, host: &str) -> LogLineHook {
    let (intake, host) = (logs.intake(), host.to_owned());
    Arc::new(move |line| {
        // A full queue is counted by the intake; a datagram has nobody to tell.
        let _ = intake.line(line, logs::Source { host: Some(&host), ..logs::Source::default() });
    })
}

/// A span of the convention leaves its trace id on the timing that it explains.
fn exemplars(registry: &Arc<Registry>) -> ExemplarHook {
    let registry = Arc::clone(registry);
    Arc::new(move |exemplar| registry.exemplar(exemplar))
}

/// OTLP's data points become series.
fn otlp_metrics(registry: &Arc<Registry>) -> OtlpMetricsHook {
    let registry = Arc::clone(registry);
    Arc::new(move |request| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        crate::metrics::otlp::ingest(&registry, request, now)
    })
}

fn probe(receivers: Vec<Check>, back_ends: &BackEnds, remote_write: &remote_write::Handle) -> Probe {
    let (behind, endpoints) = (back_ends.probe(), remote_write.watch());
    Arc::new(move || {
        let mut checks = receivers.clone();
        checks.extend(behind());
        checks.extend(endpoints.iter().flat_map(|(queue, status)| delivery::checks(queue, &status())));
        checks
    })
}

/// This machine's name: `HOSTNAME`, or what the kernel says.
fn host_name() -> String {
    std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Runs `reload` at each SIGHUP, for ever.
pub async fn on_hangup(reload: impl Fn()) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return std::future::pending().await };
    while hangup.recv().await.is_some() {
        reload();
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
