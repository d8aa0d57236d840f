//! Each public item has an example that runs with the tests; constants and the modules around them tell all by their values.

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_public_item_has_an_example() {
    let (mut files, mut without) = (Vec::new(), Vec::new());
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut items = 0;
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let (mut example, mut documented) = (false, false);
        for line in text.lines().map(str::trim_start).take_while(|l| *l != "#[cfg(test)]") {
            if let Some(doc) = line.strip_prefix("///") {
                documented = true;
                example |= doc.trim_start().starts_with("```");
            } else if !line.starts_with("#[") {
                let kinds = ["pub fn ", "pub async fn ", "pub struct ", "pub enum ", "pub trait "];
                if documented && kinds.iter().any(|k| line.starts_with(k)) {
                    items += 1;
                    if !example {
                        without.push(format!("{}: {line}", file.display()));
                    }
                }
                (example, documented) = (false, false);
            }
        }
    }
    assert!(items > 60, "only {items} were found: they are looked for in the wrong way");
    assert!(without.is_empty(), "without an example:\n{}", without.join("\n"));
}
