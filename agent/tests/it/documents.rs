//! What is written for people is true of what is here: links lead somewhere, and commands, files, metrics and panels exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Files below `folder` whose names end so, without what is built or brought by others.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if !name.to_string_lossy().starts_with('.')
                && !["target", "vendor", "node_modules"].iter().any(|n| name == *n)
            {
                files(&path, ending, found);
            }
        } else if name.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// Each document: where it is, from the root, and its text.
fn documents() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&root(), ".md", &mut found);
    found.sort();
    let place = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    found.iter().map(|path| (place(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// The text without its blocks of code.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// The anchors of its headings, as forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let slug = |title: &str| -> String {
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let title = |line: &str| line.starts_with('#').then(|| slug(line.trim_start_matches('#').trim()));
    prose(text).lines().filter_map(title).collect()
}

fn check(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn links_lead_to_files_and_headings_that_are_there() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (place, text) in documents() {
        let here = root().join(&place);
        for found in link.captures_iter(&prose(&text)) {
            let target = &found[1];
            if target.contains("://") {
                continue;
            }
            seen += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { here.clone() } else { here.parent().unwrap().join(path) };
            if !file.exists() {
                wrong.push(format!("{place}: {target}"));
            } else if !anchor.is_empty()
                && !anchors(&std::fs::read_to_string(&file).unwrap()).contains(anchor)
            {
                wrong.push(format!("{place}: {target}: no such heading"));
            }
        }
    }
    check("links to what is not there", &wrong);
    assert!(seen > 80, "only {seen} links were looked at");
}

#[test]
fn files_that_are_named_are_there() {
    let path = Regex::new(
        r"(?:^|[\s`(])((?:scripts|docs|deploy|dashboards|agent|instrument|examples|\.ci)/[\w./@-]*\w)",
    )
    .unwrap();
    let mut wrong = Vec::new();
    for (place, text) in documents() {
        for found in path.captures_iter(&text) {
            // `deploy/compose/digests.yml` is made by the reader.
            if !root().join(&found[1]).exists() && !text.contains(&format!(">{}", &found[1])) {
                wrong.push(format!("{place}: {}", &found[1]));
            }
        }
    }
    check("files that are not there", &wrong);
}

#[test]
fn metrics_that_are_named_are_emitted() {
    let mut sources = Vec::new();
    for folder in ["agent/src", "instrument/src", "dashboards/src"] {
        files(&root().join(folder), ".rs", &mut sources);
    }
    let code: String = sources.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let name = Regex::new(r"\b(?:sightline|instrument)_[a-z]\w*[a-z]\b").unwrap();
    let parts = Regex::new("_(?:bucket|sum|count|created)$").unwrap();
    let mut wrong = Vec::new();
    for (place, text) in documents() {
        for found in name.find_iter(&text) {
            let whole = found.as_str();
            // The crate and its parts, and the names of users, are no metrics.
            if whole.starts_with("sightline_instrument")
                || whole.starts_with("sightline_agent")
                || ["sightline_writer", "sightline_setup"].contains(&whole)
            {
                continue;
            }
            if !code.contains(whole) && !code.contains(&*parts.replace(whole, "")) {
                wrong.push(format!("{place}: {whole}"));
            }
        }
    }
    check("metrics that nobody emits", &wrong);
}

/// `sightline WORD --flag` in a document is what the program takes.
#[test]
fn commands_that_are_named_are_known() {
    let command = Regex::new(r"\bsightline ((?:[a-z][a-z-]*(?: |\b))+)([^`\n|#]*)").unwrap();
    let code = Regex::new(r"`([^`\n]+)`|(?m)^(?:    |\$ )(.*)$").unwrap();
    let flag = Regex::new(r"(?:^|\s)(--[a-z][a-z-]*)").unwrap();
    let mut helps: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut help = |words: &[&str]| -> Option<String> {
        let run = || {
            let mut all: Vec<&str> = words.to_vec();
            all.push("--help");
            let output = Command::new(env!("CARGO_BIN_EXE_sightline")).args(all).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            output.status.success().then_some(text)
        };
        helps.entry(words.join(" ")).or_insert_with(run).clone()
    };
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (place, text) in documents() {
        for snippet in code.captures_iter(&text) {
            let snippet = snippet.get(1).or(snippet.get(2)).unwrap().as_str();
            for found in command.captures_iter(snippet) {
                let words: Vec<&str> = found[1].split_whitespace().collect();
                // `helm install sightline deploy/…` is another program's.
                if snippet[..found.get(0).unwrap().start()].ends_with("install ") {
                    continue;
                }
                let Some(mut about) = help(&words[..1]) else {
                    wrong.push(format!("{place}: sightline {}", words[0]));
                    continue;
                };
                seen += 1;
                // A further word may be a command of its own (`dlq list`) or a value.
                if let Some(second) = words.get(1)
                    && about.contains(&format!("\n  {second} "))
                    && let Some(deeper) = help(&[words[0], second])
                {
                    about = deeper;
                }
                for flag in flag.captures_iter(&found[2]) {
                    if words[0] != "statsd-exporter" && !about.contains(&flag[1]) {
                        wrong.push(format!("{place}: sightline {} {}", words.join(" "), &flag[1]));
                    }
                }
            }
        }
    }
    check("commands that the program does not know", &wrong);
    assert!(seen > 30, "only {seen} commands were looked at");
}

/// In a runbook, what is slanted is a dashboard or a panel: someone will look for that very title at night.
#[test]
fn runbooks_name_panels_that_exist_and_begin_with_something_to_do() {
    let mut titles = BTreeSet::new();
    let mut boards = Vec::new();
    files(&root().join("dashboards/grafana"), ".json", &mut boards);
    for path in boards {
        let board: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        titles.insert(board["title"].as_str().unwrap().to_owned());
        let panels = board["panels"].as_array().unwrap().iter();
        titles.extend(panels.filter_map(|panel| panel["title"].as_str()).map(str::to_owned));
    }
    let slanted = Regex::new(r"(?:^|[^*\w])\*([^*\n]+)\*(?:[^*\w]|$)").unwrap();
    let mut wrong = Vec::new();
    for (place, text) in documents().into_iter().filter(|(place, _)| place.starts_with("docs/runbooks/")) {
        for found in slanted.captures_iter(&prose(&text)) {
            if !titles.contains(&found[1]) {
                wrong.push(format!("{place}: no panel or dashboard is called {}", &found[1]));
            }
        }
        if !place.ends_with("README.md") && !text.contains("## What to do\n\n1. ") {
            wrong.push(format!("{place}: does not say what to do first"));
        }
    }
    check("runbooks", &wrong);
}

/// A dependency is there for a reason, and the reason stands beside it.
#[test]
fn each_dependency_says_why_it_is_there() {
    let mut manifests = Vec::new();
    files(&root(), "Cargo.toml", &mut manifests);
    let mut without = Vec::new();
    for path in manifests {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut listed = false;
        for line in text.lines() {
            if line.starts_with('[') {
                // The workspace's own list has versions; its members have reasons.
                listed = line.ends_with("dependencies]") && !line.starts_with("[workspace");
            } else if listed && line.contains('=') && !line.contains('#') {
                without.push(format!("{}: {line}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert_eq!(without, Vec::<String>::new());
}
