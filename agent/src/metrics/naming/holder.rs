//! The rules in force: swapped as a whole, kept as they are when new ones have a mistake.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::Rules;
use crate::metrics::mapping::{Mapping, Note, Place, file::File};

/// The rules in force, shared by everything that names metrics.
#[derive(Debug)]
pub struct Holder {
    rules: ArcSwap<Rules>,
    /// Rises with each swap, so that caches of names know when they are old.
    version: AtomicU64,
    base: Rules,
    file: PathBuf,
}

/// What a reload found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// How many rules there are now.
    pub rules: usize,
    /// What was accepted although it is written in an old or surprising way.
    pub warnings: Vec<Note>,
}

impl Holder {
    /// Rules that never change.
    pub fn fixed(rules: Rules) -> Self {
        Holder {
            base: rules.clone(),
            rules: ArcSwap::from_pointee(rules),
            version: AtomicU64::new(0),
            file: PathBuf::new(),
        }
    }

    /// `base` with the rules of `file`; none when the path is empty.
    pub fn open(base: Rules, file: &Path) -> Result<(Self, Reloaded), Note> {
        let mut holder = Holder::fixed(base);
        holder.file = file.to_path_buf();
        let reloaded = holder.reload()?;
        Ok((holder, reloaded))
    }

    /// Reads the file again. A mistake in it leaves the rules in force as they are.
    pub fn reload(&self) -> Result<Reloaded, Note> {
        if self.file.as_os_str().is_empty() {
            let rules = self.base.mapping.as_ref().map_or(0, |mapping| mapping.rules().len());
            return Ok(Reloaded { rules, warnings: Vec::new() });
        }
        let mapping = read(&self.file)?;
        let reloaded = Reloaded { rules: mapping.rules().len(), warnings: mapping.warnings.clone() };
        self.swap(self.base.clone().with_mapping(Arc::new(mapping)));
        Ok(reloaded)
    }

    /// Puts other rules in force.
    pub fn swap(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Rises with each swap.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// Reads a mapping file.
pub(super) fn read(file: &Path) -> Result<Mapping, Note> {
    let source = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| Note {
        source: source.clone(),
        place: Place::default(),
        text: format!("cannot read the mapping file: {error}"),
    })?;
    Mapping::parse(&source, &text)
}

impl Rules {
    /// These rules with those of the mapping file at `path`, or with those written in the configuration when
    /// there is no path. Both at once is a mistake: nobody could say which came first.
    pub fn load(self, path: &Path, inline: &File) -> Result<Self, Note> {
        let written = inline.defaults.is_some() || inline.mappings.is_some();
        match (path.as_os_str().is_empty(), written) {
            (true, false) => Ok(self),
            (true, true) => Ok(self.with_mapping(Arc::new(Mapping::compile("configuration", inline)?))),
            (false, false) => Ok(self.with_mapping(Arc::new(read(path)?))),
            (false, true) => Err(Note {
                source: path.display().to_string(),
                place: Place::default(),
                text: "mapping rules stand in the configuration too; keep them in one of both".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Holder;
    use crate::metrics::line::Kind;
    use crate::metrics::naming::{Rules, resolve};

    #[test]
    fn a_mistake_keeps_the_rules_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.yaml");
        let named = |holder: &Holder| resolve("a", Kind::Counter, &[], &holder.rules()).family;
        std::fs::write(&path, "mappings:\n- {match: a, name: first}\n").unwrap();
        let (holder, found) = Holder::open(Rules::default(), &path).unwrap();
        assert_eq!((named(&holder).as_str(), found.rules, holder.version()), ("first", 1, 1));

        std::fs::write(&path, "mappings:\n- {match: a, nam: second}\n").unwrap();
        let error = holder.reload().unwrap_err();
        assert_eq!((error.place.line, named(&holder).as_str(), holder.version()), (2, "first", 1));

        std::fs::write(&path, "mappings:\n- {match: a, name: second}\n- {match: b, name: b}\n").unwrap();
        assert_eq!(holder.reload().unwrap().rules, 2);
        assert_eq!((named(&holder).as_str(), holder.version()), ("second", 2));

        std::fs::remove_file(&path).unwrap();
        assert!(holder.reload().unwrap_err().text.contains("cannot read"));
        assert_eq!(named(&holder), "second");
    }
}
