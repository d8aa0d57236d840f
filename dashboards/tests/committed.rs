//! What is committed is what the generator writes, and holds together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use sightline_dashboards::{boards, files, rules, settings::Settings};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn committed_files_are_up_to_date() {
    let drifted = files::drifted(root()).unwrap();
    assert!(drifted.is_empty(), "run `cargo run -p sightline-dashboards -- write`: {drifted:?}");
}

/// A file that nothing generates any more would be provisioned for ever.
#[test]
fn generated_folders_hold_nothing_else() {
    let generated: BTreeSet<_> = files::all().unwrap().into_keys().collect();
    for folder in ["grafana", "kibana", "elasticsearch"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            assert!(generated.contains(&path), "{} is not generated", path.display());
        }
    }
}

fn panels() -> Vec<(String, Value)> {
    boards::all()
        .iter()
        .flat_map(|board| {
            let file = board.file();
            let panels = board.render()["panels"].as_array().cloned().unwrap_or_default();
            panels.into_iter().map(move |panel| (format!("{file}: {}", panel["title"]), panel))
        })
        .filter(|(_, panel)| panel["type"] != "row")
        .collect()
}

#[test]
fn every_panel_says_what_it_means_and_what_to_do() {
    for (name, panel) in panels() {
        assert!(panel["description"].as_str().unwrap().len() > 25, "{name}: no description");
        if panel["type"] == "text" {
            continue;
        }
        let defaults = &panel["fieldConfig"]["defaults"];
        assert!(defaults["unit"].is_string(), "{name}: no unit");
        assert!(!defaults["noValue"].as_str().unwrap().is_empty(), "{name}: no word for an empty answer");
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{name}: no query");
    }
}

/// Our own page draws the same files.
#[test]
fn only_panels_that_our_page_draws() {
    let drawn = [
        "timeseries",
        "stat",
        "row",
        "table",
        "text",
        "gauge",
        "bargauge",
        "heatmap",
        "piechart",
        "logs",
        "traces",
        "state-timeline",
        "barchart",
    ];
    for (name, panel) in panels() {
        assert!(drawn.contains(&panel["type"].as_str().unwrap()), "{name}: {}", panel["type"]);
    }
}

#[test]
fn panels_neither_overlap_nor_leave_the_grid() {
    for board in boards::all() {
        let mut taken = BTreeMap::new();
        for panel in board.render()["panels"].as_array().unwrap() {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{}: {} is too wide", board.file(), panel["title"]);
            for y in at("y")..at("y") + at("h") {
                for x in at("x")..at("x") + at("w") {
                    let before = taken.insert((x, y), panel["title"].clone());
                    assert!(before.is_none(), "{}: {} lies on {before:?}", board.file(), panel["title"]);
                }
            }
        }
    }
}

/// A link to a dashboard that does not exist, or to a variable that its target does not have, leads nowhere.
#[test]
fn links_lead_somewhere() {
    let variables: BTreeMap<String, BTreeSet<String>> = boards::all()
        .iter()
        .map(|board| {
            let json = board.render();
            let names = json["templating"]["list"].as_array().unwrap().iter();
            (
                json["uid"].as_str().unwrap().to_owned(),
                names.map(|v| v["name"].as_str().unwrap().to_owned()).collect(),
            )
        })
        .collect();
    let mut seen = 0;
    for (name, panel) in panels() {
        let text = panel.to_string();
        for target in text.split("\"url\":\"/d/").skip(1) {
            let url = target.split('"').next().unwrap();
            let (uid, query) = url.split_once('?').unwrap();
            let known = variables.get(uid).unwrap_or_else(|| panic!("{name}: no dashboard {uid}"));
            for pair in query.split('&').filter_map(|p| p.strip_prefix("var-")) {
                let variable = pair.split('=').next().unwrap();
                assert!(known.contains(variable), "{name}: {uid} has no variable {variable}");
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} links were looked at");
}

#[test]
fn every_alert_has_a_runbook_and_two_tests() {
    let settings = Settings::committed().unwrap();
    let tests: String = std::fs::read_dir(root().join("alerts/tests"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let list = std::fs::read_to_string(root().join("../docs/runbooks/README.md")).unwrap();
    for alert in rules::all(&settings).iter().flat_map(|file| &file.alerts) {
        let runbook = root().join("../docs/runbooks").join(format!("{}.md", alert.name));
        assert!(runbook.exists(), "{} is missing", runbook.display());
        let row = format!("| [{0}]({0}.md) | {1} |", alert.name, alert.severity.word());
        assert!(list.contains(&row), "docs/runbooks/README.md lacks: {row}");
        let family = if alert.name.starts_with("Health") { "Health.*" } else { alert.name };
        let named = tests.contains(&format!("\"{family}\"")) || alert.name == "Watchdog";
        assert!(named, "no test names {}", alert.name);
    }
}
