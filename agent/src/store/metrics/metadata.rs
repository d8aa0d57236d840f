//! What metrics are: their type and their help, as the exposition format tells it.
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Metadatum {
    #[serde(rename = "type")]
    pub kind: String,
    pub help: String,
    pub unit: String,
}

#[derive(Default)]
pub(crate) struct Metadata(BTreeMap<String, Metadatum>);

/// More names than this are not described.
const MAX: usize = 20_000;

impl Metadata {
    pub(crate) fn is(&self, name: &str, kind: &str, help: &str) -> bool {
        self.0.get(name).is_some_and(|m| m.kind == kind && m.help == help)
    }

    pub(crate) fn put(&mut self, name: &str, kind: &str, help: &str) {
        if self.0.len() < MAX || self.0.contains_key(name) {
            let datum = Metadatum { kind: kind.into(), help: help.into(), unit: String::new() };
            self.0.insert(name.into(), datum);
        }
    }

    pub(crate) fn all(&self) -> Vec<(String, Metadatum)> {
        self.0.iter().map(|(n, m)| (n.clone(), m.clone())).collect()
    }
}
