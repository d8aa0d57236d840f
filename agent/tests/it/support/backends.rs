//! Real Elasticsearch, Zipkin, Prometheus and Alertmanager, by `scripts/backends`.
//!
//! The test run starts them once and names them in the environment (`SIGHTLINE_TEST_ELASTICSEARCH`, …); a test
//! that is run alone starts its own and ends it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::root;

/// A running server. One that this test started is stopped with it.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) url: String,
    dir: Option<PathBuf>,
}

impl Backend {
    pub(crate) fn elasticsearch() -> Self {
        Self::shared("elasticsearch")
    }

    pub(crate) fn zipkin() -> Self {
        Self::shared("zipkin")
    }

    /// Always its own: what it scrapes is the test's.
    pub(crate) fn prometheus(config: &str) -> Self {
        Self::prometheus_with(config, &[])
    }

    /// As [`Backend::prometheus`], with flags of its command line.
    pub(crate) fn prometheus_with(config: &str, flags: &[&str]) -> Self {
        let dir = scratch("prometheus");
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        Self::start("prometheus", dir, &[&[file.to_str().unwrap()], flags].concat())
    }

    /// Always its own: what is written to it is the test's.
    pub(crate) fn victoriametrics() -> Self {
        Self::start("victoriametrics", scratch("victoriametrics"), &[])
    }

    fn shared(part: &str) -> Self {
        match std::env::var(format!("SIGHTLINE_TEST_{}", part.to_uppercase())) {
            Ok(url) if !url.is_empty() => Backend { url, dir: None },
            _ => Self::start(part, scratch(part), &[]),
        }
    }

    fn start(part: &str, dir: PathBuf, args: &[&str]) -> Self {
        let script = root().join("scripts/backends");
        let run = |words: &[&str]| {
            let output = Command::new(&script).args(words).stdin(Stdio::null()).output().unwrap();
            assert!(
                output.status.success(),
                "scripts/backends {words:?} failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        run(&["install", part]);
        run(&[&["start", part, "0", dir.to_str().unwrap()], args].concat());
        let url = std::fs::read_to_string(dir.join("url")).unwrap().trim().to_owned();
        Backend { url, dir: Some(dir) }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            let stopped = Command::new(root().join("scripts/backends")).arg("stop").arg(dir).status();
            if let Err(error) = stopped {
                eprintln!("could not stop the server in {}: {error}", dir.display());
            }
            // A folder that stays behind below the system's temporary folder does no harm.
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// A folder below the system's temporary one that another user can reach: Elasticsearch drops root.
fn scratch(part: &str) -> PathBuf {
    let dir =
        std::env::temp_dir().join(format!("sightline-{part}-{}-{}", std::process::id(), super::free_port()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
