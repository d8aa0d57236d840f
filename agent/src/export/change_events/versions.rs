//! Which versions of which services there are, and which of them are news. Pure: what was seen before goes in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sightline_instrument::wire::{label, metric};

use crate::metrics::Registry;

/// Services that are remembered at most; of those beyond nothing is told.
const SERVICES: usize = 10_000;

/// Asks Prometheus which versions run, whichever agents saw them.
pub(super) const QUERY: &str = "count by (environment, service, version) (instrument_build_info)";

/// A version of a service that was not there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    pub environment: String,
    pub service: String,
    pub version: String,
    /// What ran until now.
    pub before: Vec<String>,
}

/// The versions of each service when it was last seen. Kept in a file, so that a restart of the agent is no deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Versions(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Versions {
    /// What the registry shows now.
    pub fn of(registry: &Registry) -> Self {
        let mut out = Versions::default();
        let Some(family) = registry.all_families().into_iter().find(|f| &*f.name == metric::BUILD_INFO)
        else {
            return out;
        };
        let mut page = Vec::new();
        family.page(None, SERVICES, &mut page);
        for series in &page {
            let mut found = [const { String::new() }; 3];
            for (key, value) in crate::metrics::registry::series::read_labels(&series.labels) {
                let wanted = [label::ENVIRONMENT, label::SERVICE, label::VERSION];
                if let Some(at) = wanted.iter().position(|name| *name == key) {
                    found[at] = crate::metrics::registry::series::unescape(value).into_owned();
                }
            }
            let [environment, service, version] = found;
            out.add(environment, service, version);
        }
        out
    }

    /// What Prometheus answered to `QUERY`; `None` if that is no answer to it.
    pub fn of_answer(answer: &Value) -> Option<Self> {
        let mut out = Versions::default();
        for series in answer["data"]["result"].as_array()? {
            let get = |name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
            let (service, version) = (get(label::SERVICE), get(label::VERSION));
            if !service.is_empty() && !version.is_empty() {
                out.add(get(label::ENVIRONMENT), service, version);
            }
        }
        Some(out)
    }

    fn add(&mut self, environment: String, service: String, version: String) {
        self.0.entry(environment).or_default().entry(service).or_default().insert(version);
    }

    /// Takes what is there `now` in; what is new of a service that was known before is a deploy. A service that is seen
    /// for the first time is none: it may have run for months before the agent did.
    pub fn learn(&mut self, now: Versions) -> Vec<Deploy> {
        let mut deploys = Vec::new();
        for (environment, services) in now.0 {
            for (service, versions) in services {
                let known = self.0.entry(environment.clone()).or_default();
                if known.len() >= SERVICES && !known.contains_key(&service) {
                    continue;
                }
                let before = known.insert(service.clone(), versions.clone()).unwrap_or_default();
                if before.is_empty() {
                    continue;
                }
                deploys.extend(versions.difference(&before).map(|version| Deploy {
                    environment: environment.clone(),
                    service: service.clone(),
                    version: version.clone(),
                    before: before.iter().cloned().collect(),
                }));
            }
        }
        deploys
    }

    /// What was kept in `path`; nothing if there is none, or none that can be read.
    pub fn load(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Keeps it in `path`, whole or not at all.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, serde_json::to_vec(self)?)?;
        std::fs::rename(fresh, path)
    }
}

#[cfg(test)]
mod tests {
    use super::{QUERY, Versions, label, metric};

    fn seen(list: &[(&str, &str)]) -> Versions {
        let mut out = Versions::default();
        for (service, version) in list {
            out.add("prod".to_owned(), (*service).to_owned(), (*version).to_owned());
        }
        out
    }

    #[test]
    fn tells_new_versions_of_known_services_once() {
        let mut known = Versions::default();
        assert_eq!(known.learn(seen(&[("shop", "1")])), [], "a first sight is no deploy");
        assert_eq!(known.learn(seen(&[("shop", "1")])), []);
        // Both versions are there while a deploy rolls.
        let deploys = known.learn(seen(&[("shop", "1"), ("shop", "2")]));
        assert_eq!(deploys.len(), 1);
        assert_eq!((deploys[0].version.as_str(), deploys[0].before.as_slice()), ("2", &["1".to_owned()][..]));
        assert_eq!(known.learn(seen(&[("shop", "2")])), []);
        assert_eq!(known.learn(seen(&[("cart", "7")])), [], "a service that is silent is remembered");
        assert_eq!(known.learn(seen(&[("shop", "1")])).len(), 1, "going back is a deploy too");
    }

    #[test]
    fn the_question_has_the_names_of_the_wire() {
        let names = [label::ENVIRONMENT, label::SERVICE, label::VERSION].join(", ");
        assert_eq!(QUERY, format!("count by ({names}) ({})", metric::BUILD_INFO));
    }

    #[test]
    fn prometheus_answer_is_read_and_rubbish_is_none() {
        let answer = serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {"environment": "prod", "service": "shop", "version": "1"}, "value": [1, "4"]},
            {"metric": {"environment": "prod", "service": "shop", "version": "2"}, "value": [1, "1"]},
            {"metric": {"version": "9"}, "value": [1, "1"]}
        ]}});
        assert_eq!(Versions::of_answer(&answer), Some(seen(&[("shop", "1"), ("shop", "2")])));
        assert_eq!(Versions::of_answer(&serde_json::json!({"status": "error"})), None);
    }

    #[test]
    fn a_restart_is_no_deploy() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("versions.json");
        let mut known = Versions::load(&file);
        known.learn(seen(&[("shop", "1")]));
        known.save(&file).unwrap();
        let mut again = Versions::load(&file);
        assert_eq!(again.learn(seen(&[("shop", "1")])), []);
        assert_eq!(again.learn(seen(&[("shop", "2")])).len(), 1);
        std::fs::write(&file, "rubbish").unwrap();
        assert_eq!(Versions::load(&file), Versions::default());
    }
}
