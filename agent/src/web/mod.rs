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
    /// File that holds the token, where an environment or a configuration is no place for it.
    pub token_file: Option<PathBuf>,
    /// A folder of dashboards in Grafana's classic JSON, shown beside the built-in ones.
    pub dashboards: Option<PathBuf>,
    /// A folder to read the page's files from instead of the built-in ones, for work on them.
    pub page: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: "127.0.0.1:9102".to_owned(),
            token: None,
            token_file: None,
            dashboards: None,
            page: None,
        }
    }
}

impl Settings {
    /// The token that the settings name, from whichever place.
    pub(crate) fn own_token(&self) -> io::Result<Option<String>> {
        let Some(file) = &self.token_file else { return Ok(self.token.clone()) };
        let token = std::fs::read_to_string(file).map_err(|error| {
            let what = format!("web.token_file: cannot read {}: {error}", file.display());
            io::Error::new(error.kind(), what)
        })?;
        match token.trim() {
            "" => {
                let what = format!("web.token_file: {} is empty; write a token into it", file.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
            token => Ok(Some(token.to_owned())),
        }
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
    let own = settings.own_token()?;
    let listener = TcpListener::bind(&settings.listen).await.map_err(|error| {
        let what = format!("cannot listen on {}; change web.listen: {error}", settings.listen);
        io::Error::new(error.kind(), what)
    })?;
    let address = listener.local_addr()?;
    let token: Option<Arc<str>> = match (own, address.ip().is_loopback()) {
        (Some(token), _) => Some(token.into()),
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

#[cfg(test)]
mod tests {
    use super::{Router, Settings, start};

    #[tokio::test]
    async fn the_token_may_come_from_a_file_and_a_wrong_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "abc123\n").unwrap();
        let settings = Settings {
            listen: "127.0.0.1:0".to_owned(),
            token_file: Some(file.clone()),
            ..Settings::default()
        };
        assert_eq!(start(&settings, Router::new()).await.unwrap().token.as_deref(), Some("abc123"));
        std::fs::write(&file, "\n").unwrap();
        let empty = start(&settings, Router::new()).await.unwrap_err().to_string();
        assert_eq!(empty, format!("web.token_file: {} is empty; write a token into it", file.display()));
    }
}
