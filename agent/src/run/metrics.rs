//! Wires the metrics lane: rules, registry, receivers.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::reload::{self, Reload};
use crate::config::{self, Config, Loaded, ProcessEnv};
use crate::hooks::LogLineHook;
use crate::metrics::mapping::file::File;
use crate::metrics::naming::source::Source;
use crate::metrics::{self, Handle, Hooks, Registry, StartError};
use crate::web::health::Check;

/// The running lane, and where its rules come from.
pub(super) struct Lane {
    registry: Arc<Registry>,
    source: Source,
    /// The file that the settings come from.
    configuration: Option<PathBuf>,
    handle: Handle,
}

/// Where the mapping rules of `settings` come from. `inline` are rules in the configuration itself.
pub(crate) fn source(settings: &metrics::Settings, inline: &File) -> Source {
    Source { inline: inline.clone(), ..Source::from(settings) }
}

/// The registry alone, so that other lanes can be given it before anything is received.
pub(super) fn registry(
    settings: &metrics::Settings,
    inline: &File,
) -> anyhow::Result<(Arc<Registry>, Source)> {
    let source = source(settings, inline);
    let rules = source.read().map_err(|note| anyhow::anyhow!("{note}"))?;
    for note in rules.mapping.iter().flat_map(|mapping| &mapping.warnings) {
        tracing::warn!(%note, "the mapping rules can be read, but");
    }
    Ok((Arc::new(Registry::new(settings, rules, &[])), source))
}

impl Lane {
    /// Starts the receivers. A default port that is taken is given up with a warning; one that was asked for is not.
    pub(super) fn start(
        loaded: &Loaded<Config>,
        (registry, source): (Arc<Registry>, Source),
        log_line: Option<LogLineHook>,
    ) -> anyhow::Result<Self> {
        let mut settings = loaded.settings.metrics.clone();
        if settings.state.as_os_str().is_empty() {
            settings.state = loaded.settings.data_dir.join("counters.state");
        }
        let handle = loop {
            let hooks = Hooks { log_line: log_line.clone() };
            match metrics::start(&settings, Arc::clone(&registry), hooks) {
                Ok(handle) => break handle,
                Err(StartError::Bind { setting, source, what })
                    if source.kind() == ErrorKind::AddrInUse && !loaded.asked(setting) =>
                {
                    tracing::warn!(
                        what,
                        setting,
                        "default port is taken, going on without it; set another address"
                    );
                    match setting {
                        "metrics.listen_udp" => settings.listen_udp.clear(),
                        _ => settings.listen_tcp.clear(),
                    }
                }
                Err(error) => return Err(error).context("the metrics lane did not start"),
            }
        };
        Ok(Lane { registry, source, configuration: loaded.file.clone(), handle })
    }

    /// Reads the rules again when called: the mapping file, and those in the configuration. Other settings stay.
    pub(super) fn reloader(&self) -> Reload {
        let (at_start, configuration) = (self.source.clone(), self.configuration.clone());
        reload::new(Arc::clone(&self.registry), move || {
            let rules = match &configuration {
                Some(path) => {
                    let loaded = config::load(Some(path), &ProcessEnv).map_err(|error| error.to_string())?;
                    source(&loaded.settings.metrics, &loaded.settings.mapping).read()
                }
                None => at_start.read(),
            };
            rules.map_err(|note| note.to_string())
        })
    }

    /// What `/-/ready` says of the receivers.
    pub(super) fn check(&self) -> Check {
        let named = |what, address: Option<SocketAddr>| address.map(|at| (what, at));
        let open = [named("udp", self.handle.udp), named("tcp", self.handle.tcp)];
        Check::listening("statsd", &open.into_iter().flatten().collect::<Vec<_>>())
    }

    pub(super) async fn stop(self, deadline: Duration) {
        if !self.handle.stop(deadline).await {
            tracing::error!("statsd receivers did not end by the deadline; what they had not read is lost");
        }
    }
}
