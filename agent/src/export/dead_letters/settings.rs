//! What can be set about dead letters.

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// One store for all exporters.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The most that dead letters may take on disk; beyond it the oldest go, counted.
    pub max_bytes: Bytes,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { max_bytes: Bytes(64 << 20) }
    }
}
