//! Runs files of PromQL tests against the evaluator: our own always, Prometheus' own where they are at hand.
//!
//! The format is Prometheus' (`load`, `eval instant at`, `eval range from … to … step`, `expect`). Its files are not
//! part of this repository; the folder `shared/promqltest` beside the checkout is read when it exists.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]
mod against_prometheus;
mod compare;
mod histogram;
mod native_prometheus;
mod run;
mod script;
mod series;
mod shipped;
mod source;

use run::Score;
use std::path::{Path, PathBuf};

/// Evaluations of Prometheus' own files that passed when this was last touched: classic, experimental, native
/// histograms. They may only rise.
const FLOOR: Score = Score { classic: (563, 563), experimental: (416, 440), native: (803, 820) };

/// The least part of the classic evaluations that has to pass.
const CLASSIC_GOAL: f64 = 0.98;

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "test"));
    files.sort();
    files
}

#[test]
fn our_own_cases_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql");
    let mut cases = 0;
    let mut failures = Vec::new();
    for file in files(&folder) {
        let report = run::file(&file);
        cases += report.score.total();
        failures.extend(report.failures.iter().map(|f| format!("{}: {f}", file.display())));
    }
    assert!(failures.is_empty(), "{} of {cases} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(cases >= 60, "only {cases} evaluations were found in {}", folder.display());
}

#[test]
fn prometheus_own_cases_do_not_fall_behind() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/promqltest");
    let files = files(&folder);
    if files.is_empty() {
        println!("not run: {} holds no .test files", folder.display());
        return;
    }
    let mut total = Score::default();
    println!("{:28} {:>11} {:>14} {:>11}", "file", "classic", "experimental", "native");
    for file in &files {
        let report = run::file(file);
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        println!("{name:28} {}", report.score);
        if std::env::var_os("PROMQLTEST_FAILURES").is_some() {
            report.failures.iter().for_each(|f| println!("  {f}"));
        }
        total.add(&report.score);
    }
    println!("{:28} {total}", "all");
    for (what, now, floor) in [
        ("classic", total.classic, FLOOR.classic),
        ("experimental", total.experimental, FLOOR.experimental),
        ("native", total.native, FLOOR.native),
    ] {
        assert!(
            now.0 >= floor.0,
            "{what}: {} pass, {} did before; PROMQLTEST_FAILURES=1 lists them",
            now.0,
            floor.0
        );
    }
    let part = f64::from(total.classic.0) / f64::from(total.classic.1);
    assert!(part >= CLASSIC_GOAL, "{:.2} % of the classic evaluations pass", part * 100.0);
}
