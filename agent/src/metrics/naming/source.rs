//! Where the rules come from, to be read again on a reload.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Rules;
use crate::metrics::mapping::file::File;
use crate::metrics::mapping::{Mapping, Note, Place};
use crate::metrics::settings::Settings;

/// Where the rules come from: the settings of the lane, and the mapping file or the rules in the configuration.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// What holds without any mapping rule.
    pub base: Rules,
    /// A mapping file; empty for none.
    pub file: PathBuf,
    /// Mapping rules that stand in the configuration.
    pub inline: File,
}

/// Without rules that stand in the configuration: these are not the lane's.
impl From<&Settings> for Source {
    fn from(settings: &Settings) -> Self {
        Source {
            base: Rules {
                convention: settings.convention,
                environments: settings.environments.clone(),
                ttl: Some(settings.ttl.0).filter(|ttl| !ttl.is_zero()),
                ..Rules::default()
            },
            file: settings.mapping.clone(),
            inline: File::default(),
        }
    }
}

impl Source {
    /// Reads everything again. On a mistake the caller keeps the rules in force, so that a reload never leaves the
    /// lane without any. The rules' warnings are in their mapping.
    pub fn read(&self) -> Result<Rules, Note> {
        let written = self.inline.defaults.is_some() || self.inline.mappings.is_some();
        let mapping = match (self.file.as_os_str().is_empty(), written) {
            (true, false) => return Ok(self.base.clone()),
            (true, true) => Mapping::compile("configuration", &self.inline)?,
            (false, false) => read_file(&self.file)?,
            (false, true) => {
                let text = "mapping rules stand in the configuration too; keep them in one of both";
                return Err(note(&self.file, text.to_owned()));
            }
        };
        Ok(self.base.clone().with_mapping(Arc::new(mapping)))
    }
}

/// Reads a mapping file.
pub fn read_file(file: &Path) -> Result<Mapping, Note> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| note(file, format!("cannot read the mapping file: {error}")))?;
    Mapping::parse(&file.display().to_string(), &text)
}

fn note(file: &Path, text: String) -> Note {
    Note { source: file.display().to_string(), place: Place::default(), text }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Settings, Source};
    use crate::metrics::line::Kind;
    use crate::metrics::naming::resolve;

    #[test]
    fn a_file_is_read_again_and_a_mistake_in_it_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("m.yaml");
        let source = Source { file: file.clone(), ..Source::default() };
        let named = || source.read().map(|rules| resolve("a", Kind::Counter, &[], &rules).family);
        std::fs::write(&file, "mappings:\n- {match: a, name: first}\n").unwrap();
        assert_eq!(named().unwrap(), "first");
        std::fs::write(&file, "mappings:\n- {match: a, nam: second}\n").unwrap();
        assert_eq!(named().unwrap_err().place.line, 2);
        std::fs::write(&file, "mappings:\n- {match: a, name: third}\n").unwrap();
        assert_eq!(named().unwrap(), "third");
        std::fs::remove_file(&file).unwrap();
        assert!(named().unwrap_err().text.contains("cannot read"));
    }

    #[test]
    fn settings_say_where_rules_are() {
        let settings: Settings = serde_saphyr::from_str("convention: false\nttl: 1m\n").unwrap();
        let inline = serde_saphyr::from_str("mappings:\n- {match: a, name: mine}\n").unwrap();
        let source = Source { inline, ..Source::from(&settings) };
        let rules = source.read().unwrap();
        let resolved = resolve("a", Kind::Counter, &[], &rules);
        assert_eq!((resolved.family.as_str(), rules.convention), ("mine", false));
        assert_eq!(resolve("b", Kind::Counter, &[], &rules).ttl, Some(Duration::from_secs(60)));
        assert_eq!(rules.mapping.unwrap().rules()[0].place.line, 2);
    }

    #[test]
    fn rules_stand_in_one_place() {
        let inline = serde_saphyr::from_str("mappings: [{match: a, name: mine}]").unwrap();
        let source = Source { inline, ..Source::default() };
        assert_eq!(resolve("a", Kind::Counter, &[], &source.read().unwrap()).family, "mine");
        let both = Source { file: "m.yaml".into(), ..source };
        assert!(both.read().unwrap_err().to_string().starts_with("m.yaml: mapping rules stand"));
        assert_eq!(Source::default().read().unwrap().mapping.map(|_| ()), None);
    }
}
