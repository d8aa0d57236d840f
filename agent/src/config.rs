//! The configuration of the agent, whole: one section a room, each with its default.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::metrics::mapping::file::File;
use crate::{metrics, web};

pub mod source;

pub use source::{Env, Error, FixedEnv, Loaded, ProcessEnv};

/// Everything that can be set. `sightline run --print-config` prints it with its defaults.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where queues, the embedded store and state files live.
    pub data_dir: PathBuf,
    /// The HTTP port: `/metrics`, query APIs, page.
    pub web: web::Settings,
    /// The metrics lane: StatsD in, `/metrics` out.
    pub metrics: metrics::Settings,
    /// Mapping rules of statsd_exporter's kind, here instead of in a file of their own (`metrics.mapping`).
    pub mapping: File,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: default_data_dir(),
            web: web::Settings::default(),
            metrics: metrics::Settings::default(),
            mapping: File::default(),
        }
    }
}

/// A folder of the user's own, so that the agent starts without rights and without a configuration.
fn default_data_dir() -> PathBuf {
    let home = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))
        .unwrap_or_else(std::env::temp_dir);
    home.join("sightline")
}

/// Reads `path`, or nothing, and lays the environment on top.
pub fn load(path: Option<&Path>, env: &(impl Env + ?Sized)) -> Result<Loaded<Config>, Error> {
    let (file, text) = match path {
        None => ("environment".to_owned(), String::new()),
        Some(path) => {
            let file = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| Error { place: file.clone(), reason: format!("cannot read it: {error}") })?;
            (file, text)
        }
    };
    source::load(&file, &text, env)
}
