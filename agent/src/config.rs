//! The configuration of the agent, whole: one section a room, each with its default.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::export::{change_events, dead_letters, elasticsearch, otlp as export_otlp, remote_write, zipkin};
use crate::metrics::mapping::file::File;
use crate::receive::otlp;
#[cfg(feature = "embedded")]
use crate::store;
use crate::{logs, metrics, queue, spans, web};

pub mod describe;
pub mod place;
pub mod source;

pub use source::{Env, Error, FixedEnv, Loaded, ProcessEnv};

/// Everything that can be set. `sightline run --print-config` prints it with its defaults.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// Expectations for `sightline test`.
    pub tests: Tests,
    /// The logs lane: lines in, records out.
    pub logs: logs::Settings,
    /// The spans lane: Zipkin's own receiver, and which spans are kept.
    pub spans: spans::Settings,
    /// OTLP for all lanes, by HTTP and gRPC.
    pub otlp: otlp::Settings,
    /// The disk queue of each lane.
    pub queue: queue::Settings,
    /// What back ends refused for good.
    pub dead_letters: dead_letters::Settings,
    /// Where log records go; without an address into the embedded store.
    pub elasticsearch: elasticsearch::Settings,
    /// Where spans go; without an address into the embedded store.
    pub zipkin: zipkin::Settings,
    /// Where spans go by OTLP (Jaeger, Tempo, a Collector), unless Zipkin has an address.
    pub otlp_exporter: export_otlp::Settings,
    /// Tells PagerDuty of new versions of services.
    pub change_events: change_events::Settings,
    /// Where metrics are written to, beside being scraped.
    pub remote_write: Vec<remote_write::Settings>,
    /// The embedded store, for what has no back end.
    #[cfg(feature = "embedded")]
    pub store: store::Settings,
}

/// What the rules are expected to do, written beside them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tests {
    /// StatsD lines and the series that they become.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<metrics::testing::Case>,
    /// Log lines and the records that they become.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<logs::testing::Case>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: default_data_dir(),
            web: web::Settings::default(),
            metrics: metrics::Settings::default(),
            mapping: File::default(),
            tests: Tests::default(),
            logs: logs::Settings::default(),
            spans: spans::Settings::default(),
            otlp: otlp::Settings::default(),
            queue: queue::Settings::default(),
            dead_letters: dead_letters::Settings::default(),
            elasticsearch: elasticsearch::Settings::default(),
            zipkin: zipkin::Settings::default(),
            otlp_exporter: export_otlp::Settings::default(),
            change_events: change_events::Settings::default(),
            remote_write: Vec::new(),
            #[cfg(feature = "embedded")]
            store: store::Settings::default(),
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

/// Variables of the field's own names, each with the key that it sets unless the file does.
const WELL_KNOWN: [(&str, &str); 6] = [
    ("ELASTICSEARCH_URL", "elasticsearch.urls"),
    ("ELASTICSEARCH_API_KEY", "elasticsearch.auth.api_key"),
    ("ELASTICSEARCH_USERNAME", "elasticsearch.auth.username"),
    ("ELASTICSEARCH_PASSWORD", "elasticsearch.auth.password"),
    ("ZIPKIN_URL", "zipkin.urls"),
    ("ENVIRONMENT", "logs.environment"),
];

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
    let mut loaded = source::load(&file, &text, env, &WELL_KNOWN)?;
    loaded.file = path.map(Path::to_owned);
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::{FixedEnv, load};

    #[test]
    fn the_environment_alone_configures_it() {
        let env = [("ELASTICSEARCH_URL", "http://a:9200,http://b:9200"), ("ZIPKIN_URL", "http://z:9411")];
        let config = load(None, &FixedEnv(&env)).unwrap().settings;
        assert_eq!(config.elasticsearch.urls, ["http://a:9200", "http://b:9200"]);
        assert_eq!(config.zipkin.urls, ["http://z:9411"]);
    }

    #[test]
    fn a_file_wins_over_well_known_names_and_loses_to_ours() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s.yaml");
        std::fs::write(&file, "elasticsearch: {urls: ['http://file:9200']}\n").unwrap();
        let urls =
            |env: &[(&str, &str)]| load(Some(&file), &FixedEnv(env)).unwrap().settings.elasticsearch.urls;
        assert_eq!(urls(&[("ELASTICSEARCH_URL", "http://env:9200")]), ["http://file:9200"]);
        assert_eq!(urls(&[("SIGHTLINE_ELASTICSEARCH__URLS", "http://ours:9200")]), ["http://ours:9200"]);
    }

    /// Rules in the configuration remember their lines; that must not keep the environment out.
    #[test]
    fn mapping_rules_and_variables_go_together() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s.yaml");
        std::fs::write(&file, "mapping: {mappings: [{match: a.*, name: b}]}\n").unwrap();
        let loaded = load(Some(&file), &FixedEnv(&[("SIGHTLINE_METRICS__TTL", "5m")])).unwrap();
        assert_eq!(loaded.settings.mapping.mappings.unwrap().len(), 1);
        assert_eq!(loaded.settings.metrics.ttl.to_string(), "5m");
    }
}
