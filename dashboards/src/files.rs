//! The generated files: their paths, their text, and how they are compared with what is committed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::settings::Settings;
use crate::{boards, elasticsearch, kibana, rules};

/// Every generated file: path below this package's folder, and text.
///
/// # Errors
/// When the committed settings are not valid.
pub fn all() -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let settings = Settings::committed()?;
    let boards = boards::all()
        .into_iter()
        .map(|board| (Path::new("grafana").join(board.file()), pretty(board.render())));
    let rules = rules::all(&settings)
        .into_iter()
        .map(|file| (Path::new("alerts").join(format!("{}.rules.yml", file.name)), file.render(&settings)));
    let json = |folder: &'static str| {
        move |(name, value): (&'static str, Value)| {
            (Path::new(folder).join(format!("{name}.json")), pretty(value))
        }
    };
    let elasticsearch = elasticsearch::all().into_iter().map(json("elasticsearch"));
    let kibana = kibana::all().into_iter().map(json("kibana"));
    Ok(boards.chain(rules).chain(elasticsearch).chain(kibana).collect())
}

/// Writes what differs below `root` and returns the paths written.
///
/// # Errors
/// When the settings are not valid or a file cannot be written.
pub fn write(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (path, text) in all()? {
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
///
/// # Errors
/// When the settings are not valid.
pub fn drifted(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let differs = |(path, text): &(PathBuf, String)| {
        !std::fs::read_to_string(root.join(path)).is_ok_and(|now| now == *text)
    };
    Ok(all()?.into_iter().filter(differs).map(|(path, _)| path).collect())
}

/// JSON with sorted keys whatever features serde_json was built with, so that a diff shows changes only.
pub fn pretty(value: Value) -> String {
    let mut text = format!("{:#}", sorted(value));
    text.push('\n');
    text
}

/// The same on one line.
pub fn line(value: Value) -> String {
    sorted(value).to_string()
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
