//! Runs in the place of statsd_exporter until it is told to stop: receivers, HTTP port, signals.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::http::{Reloader, router};
use super::plan::{Plan, RESERVED};
use crate::metrics::registry::Registry;
use crate::metrics::{Hooks, StartError, start};

/// How long a stop may take to read what the kernel has received already.
const DRAIN: Duration = Duration::from_secs(5);

/// Why it did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A receiver did not start.
    #[error(transparent)]
    Receive(#[from] StartError),
    /// The HTTP port could not be bound.
    #[error("cannot listen on {address}: {source}; change --web.listen-address")]
    Web {
        /// As it was asked for.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The runtime refused a signal handler.
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] std::io::Error),
}

/// Runs `plan`. SIGHUP and `/-/reload` read the mapping file again; SIGTERM, SIGINT and `/-/quit` end it. `more`
/// renders further metrics of the agent as text 0.0.4.
pub async fn run(plan: &Plan, more: Arc<dyn Fn() -> String + Send + Sync>) -> Result<(), RunError> {
    for warning in &plan.warnings {
        tracing::warn!(warning, "configuration");
    }
    let web = TcpListener::bind(&plan.web_listen)
        .await
        .map_err(|source| RunError::Web { address: plan.web_listen.clone(), source })?;
    let registry = Arc::new(Registry::new(&plan.metrics, plan.rules.clone(), &RESERVED));
    let receivers = start(&plan.metrics, Arc::clone(&registry), Hooks::default())?;
    let reloader = Reloader::new(plan, Arc::clone(&registry));
    let quit = Arc::new(Notify::new());
    let asked = Arc::clone(&quit);
    let app = router(plan, registry, Arc::clone(&reloader), more, Arc::new(move || asked.notify_one()));
    let serving = tokio::spawn(async move { axum::serve(web, app).await });
    tracing::info!(web = plan.web_listen, udp = ?receivers.udp, tcp = ?receivers.tcp, "accepting StatsD and scrapes");
    crate::memory::forget_the_start();

    let on = |kind| signal(kind).map_err(RunError::Signals);
    let mut hangup = on(SignalKind::hangup())?;
    let (mut terminate, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                let reloader = Arc::clone(&reloader);
                // It says in the log how it went; a mistake leaves everything as it was.
                let _ = tokio::task::spawn_blocking(move || reloader.reload()).await;
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = quit.notified() => break,
        }
    }
    if !receivers.stop(DRAIN).await {
        tracing::error!("receivers did not end by the deadline; what they had not read is lost");
    }
    serving.abort();
    Ok(())
}
