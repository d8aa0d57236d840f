//! The agent's HTTP port: metrics, query APIs, health and the page, merged from the routers of the rooms.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub mod access;
pub mod dashboards;
pub mod health;
pub mod page;

/// The HTTP port's settings.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of `/metrics`, the query APIs and the page. Beyond loopback everything but `/metrics` and the
    /// health endpoints asks for the token.
    pub listen: String,
    /// The token; made anew at each start and printed once when it is needed and not set here.
    pub token: Option<String>,
    /// A folder of dashboards in Grafana's classic JSON, shown beside the built-in ones.
    pub dashboards: Option<PathBuf>,
    /// A folder to read the page's files from instead of the built-in ones, for work on them.
    pub page: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { listen: "127.0.0.1:9102".to_owned(), token: None, dashboards: None, page: None }
    }
}

/// A running HTTP port.
#[derive(Debug)]
pub struct Handle {
    /// Where it listens, the port known.
    pub address: SocketAddr,
    /// The token that the port asks for beyond loopback.
    pub token: Option<Arc<str>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Handle {
    /// Stops accepting, lets running requests end within `deadline`.
    pub async fn stop(self, deadline: Duration) {
        // Fails only when the server has ended already.
        let _ = self.stop.send(true);
        if tokio::time::timeout(deadline, self.task).await.is_err() {
            tracing::warn!(?deadline, "http requests were still running at the deadline and were cut off");
        }
    }
}

/// Binds the address of `settings` and serves `router` on it.
pub async fn start(settings: &Settings, router: Router) -> io::Result<Handle> {
    let listener = TcpListener::bind(&settings.listen).await?;
    let address = listener.local_addr()?;
    let token: Option<Arc<str>> = match (&settings.token, address.ip().is_loopback()) {
        (Some(token), _) => Some(token.as_str().into()),
        (None, true) => None,
        (None, false) => Some(access::new_token()?.into()),
    };
    let guard = axum::middleware::from_fn_with_state(access::Access { token: token.clone() }, access::guard);
    let app = router.layer(guard).into_make_service_with_connect_info::<SocketAddr>();
    let (stop, mut stopped) = watch::channel(false);
    let task = tokio::spawn(async move {
        let until = async move {
            // An error means that the handle is gone, which is a stop too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(until).await {
            tracing::error!(%error, "the http port failed");
        }
    });
    Ok(Handle { address, token, stop, task })
}
