//! The objects, as the generator of dashboards wrote them: part of the program, so that an image needs no files.

use serde_json::Value;

/// An object for Elasticsearch.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// What it is.
    pub(super) kind: Kind,
    /// Its name on the server.
    pub(super) name: &'static str,
    /// What the server is given.
    pub(super) body: Value,
}

/// Kinds of object, in the order in which they are applied: each may refer to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    ComponentTemplate,
    IndexTemplate,
    LifecyclePolicy,
    LegacyTemplate,
    Role,
    User,
}

macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/", $folder, "/", $name, ".json")))),*]
    };
}

const ELASTICSEARCH: [(&str, &str); 11] = files!("elasticsearch":
    "10-component-template.sightline-logs@mappings",
    "20-index-template.sightline-logs",
    "20-index-template.sightline-audit",
    "30-lifecycle-policy.sightline-spans",
    "40-legacy-template.sightline-spans",
    "50-role.grafana_reader",
    "50-role.sightline_writer",
    "50-role.zipkin",
    "60-user.grafana_reader",
    "60-user.sightline_writer",
    "60-user.zipkin",
);

const KIBANA: [(&str, &str); 3] = files!("kibana": "data-views", "searches", "dashboards");

/// Everything for Elasticsearch, in order.
pub(super) fn elasticsearch() -> anyhow::Result<Vec<Object>> {
    ELASTICSEARCH
        .iter()
        .map(|(file, text)| {
            let wrong = || anyhow::anyhow!("{file}.json is not named as content of Elasticsearch is");
            let (kind, name) = file.split_once('.').ok_or_else(wrong)?;
            let kind = match kind.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-') {
                "component-template" => Kind::ComponentTemplate,
                "index-template" => Kind::IndexTemplate,
                "lifecycle-policy" => Kind::LifecyclePolicy,
                "legacy-template" => Kind::LegacyTemplate,
                "role" => Kind::Role,
                "user" => Kind::User,
                _ => return Err(wrong()),
            };
            Ok(Object { kind, name, body: serde_json::from_str(text)? })
        })
        .collect()
}

/// One of Kibana's files: `data-views`, `searches` or `dashboards`, each a list of objects.
pub(super) fn kibana(name: &str) -> anyhow::Result<Vec<Value>> {
    let (_, text) = KIBANA
        .iter()
        .find(|(file, _)| *file == name)
        .ok_or_else(|| anyhow::anyhow!("no content called {name}"))?;
    Ok(serde_json::from_str(text)?)
}

#[cfg(test)]
mod tests {
    use super::{ELASTICSEARCH, KIBANA, elasticsearch};

    /// A file that is written and not listed here would never reach a server.
    #[test]
    fn every_generated_file_is_here() {
        for (folder, known) in [("elasticsearch", ELASTICSEARCH.as_slice()), ("kibana", KIBANA.as_slice())] {
            let path = format!("{}/../dashboards/{folder}", env!("CARGO_MANIFEST_DIR"));
            for entry in std::fs::read_dir(path).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(
                    known.iter().any(|(file, _)| name == format!("{file}.json")),
                    "{folder}/{name} is not listed"
                );
            }
        }
        let kinds: Vec<_> = elasticsearch().unwrap().iter().map(|object| object.kind).collect();
        assert!(kinds.is_sorted(), "an object may refer only to those before it: {kinds:?}");
    }
}
