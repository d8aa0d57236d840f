//! Wires the metrics lane: rules, registry, receivers.

use std::sync::Arc;

use anyhow::Context;

use crate::hooks::LogLineHook;
use crate::metrics::mapping::file::File;
use crate::metrics::naming::{Rules, source::Source};
use crate::metrics::{self, Handle, Hooks, Registry};

/// The running lane, and where its rules come from.
pub(super) struct Lane {
    pub(super) registry: Arc<Registry>,
    pub(super) source: Source,
    handle: Handle,
}

/// Where the mapping rules of `settings` come from. `inline` are rules in the configuration itself.
pub(crate) fn source(settings: &metrics::Settings, inline: &File) -> Source {
    let base = Rules {
        convention: settings.convention,
        environments: settings.environments.clone(),
        ..Rules::default()
    };
    Source { base, file: settings.mapping.clone(), inline: inline.clone() }
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
    /// Starts the receivers.
    pub(super) fn start(
        settings: &metrics::Settings,
        (registry, source): (Arc<Registry>, Source),
        log_line: Option<LogLineHook>,
    ) -> anyhow::Result<Self> {
        let handle = metrics::start(settings, Arc::clone(&registry), Hooks { log_line })
            .context("the metrics lane did not start")?;
        Ok(Lane { registry, source, handle })
    }

    pub(super) fn udp(&self) -> Option<std::net::SocketAddr> {
        self.handle.udp
    }

    pub(super) async fn stop(self, deadline: std::time::Duration) {
        if !self.handle.stop(deadline).await {
            tracing::error!("statsd receivers did not end by the deadline; what they had not read is lost");
        }
    }
}
