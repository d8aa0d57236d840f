//! The generated files: their paths, their text, and how they are compared with what is committed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::boards;

/// Every generated file: path below this package's folder, and text.
pub fn all() -> BTreeMap<PathBuf, String> {
    boards::all()
        .iter()
        .map(|board| (Path::new("grafana").join(board.file()), pretty(board.render())))
        .collect()
}

/// Writes what differs below `root` and returns the paths written.
pub fn write(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (path, text) in all() {
        let place = root.join(&path);
        if std::fs::read_to_string(&place).is_ok_and(|now| now == text) {
            continue;
        }
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&place, text)?;
        written.push(path);
    }
    Ok(written)
}

/// The paths below `root` whose text is not what would be written.
pub fn drifted(root: &Path) -> Vec<PathBuf> {
    all()
        .into_iter()
        .filter(|(path, text)| !std::fs::read_to_string(root.join(path)).is_ok_and(|now| now == *text))
        .map(|(path, _)| path)
        .collect()
}

/// JSON with sorted keys whatever features serde_json was built with, so that a diff shows changes only.
pub fn pretty(value: Value) -> String {
    let mut text = format!("{:#}", sorted(value));
    text.push('\n');
    text
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let keys: BTreeMap<String, Value> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            Value::Object(keys.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
