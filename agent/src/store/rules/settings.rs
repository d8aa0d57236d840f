//! What can be set about rules.

use std::path::PathBuf;

use crate::units::Span;

/// `store.rules:` in the configuration.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether the recording and alerting rules that belong to the dashboards are evaluated. Default: true.
    pub shipped: bool,
    /// Rule files of one's own, in the form of Prometheus. Default: none.
    pub files: Vec<PathBuf>,
    /// How often a group that does not say is evaluated; what reaches back for a day or more every 5 min. Default: 30 s.
    pub interval: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { shipped: true, files: Vec::new(), interval: Span::secs(30) }
    }
}
