//! Rules over a real store, with times that the tests choose.

use std::sync::Arc;

use super::*;
use crate::store::metrics::Settings as StoreSettings;

fn store() -> (tempfile::TempDir, Arc<Store>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &StoreSettings::default()).unwrap();
    (dir, store)
}

fn value(store: &Store, query: &str, at: i64) -> Vec<(String, f64)> {
    let (answer, _) = promql::instant(store, query, at, &Options::default()).unwrap();
    let Answer::Vector { series, .. } = answer else { panic!("{query} gave no vector") };
    series.into_iter().map(|(labels, sample)| (labels.to_string(), sample.float().unwrap())).collect()
}

/// Rounds of ten seconds: 10 requests a second of which one in `bad` fails.
fn round(store: &Store, rules: &Rules, n: i64, bad: f64) -> i64 {
    let now = 1_800_000_000_000 + n * 10_000;
    let count = |per_second: f64| (n * 10) as f64 * per_second;
    store.sample(now, &mut |each| {
        for (outcome, per_second) in [("failed", 10.0 * bad), ("success", 10.0 * (1.0 - bad))] {
            let labels = [
                ("environment", "prod"),
                ("group", "handlers"),
                ("outcome", outcome),
                ("segment", "list"),
                ("service", "shop"),
            ];
            each("instrument_outcomes_total", &labels, count(per_second));
        }
        rules.samples(each);
    });
    rules.evaluate(store, now);
    now
}

#[test]
fn the_shipped_rules_record_the_error_budget_and_fire_when_it_burns() {
    let (_dir, store) = store();
    let rules = Rules::load(&Settings::default()).unwrap();
    let mut now = 0;
    for n in 0..60 {
        now = round(&store, &rules, n, 0.1);
    }
    let labels = r#"{environment="prod", service="shop"}"#;
    let of = |name: &str| value(&store, name, now);
    let objective = of("instrument:objective:error_ratio");
    assert_eq!(objective, [(format!("instrument:objective:error_ratio{labels}"), 0.001)]);
    let [(_, ratio)] = of("instrument:handler_errors:ratio_rate5m")[..] else { panic!() };
    assert!((ratio - 0.1).abs() < 1e-9, "{ratio}");
    let [(_, left)] = of("instrument:error_budget:left30d")[..] else { panic!() };
    assert!((left - -99.0).abs() < 1e-6, "{left}");

    let firing = value(&store, r#"ALERTS{alertname="ErrorBudgetFastBurn", alertstate="firing"}"#, now);
    assert_eq!(firing.len(), 1, "{firing:?}");
    let mut said = Vec::new();
    rules.each(|_, list| {
        for (rule, last, active) in list {
            assert_eq!(last.error, None, "{}", rule.name());
            said.extend(active.iter().filter(|a| a.firing).flat_map(|a| a.annotations.clone()));
        }
    });
    let summary = said.iter().find(|(name, _)| name == "summary").unwrap();
    assert_eq!(summary.1, "shop (prod) burns its error budget fast: 10% of requests fail");
    // What no longer fails stops firing, and its series ends.
    for n in 60..300 {
        now = round(&store, &rules, n, 0.0);
    }
    assert_eq!(value(&store, r#"ALERTS{alertname="ErrorBudgetFastBurn"}"#, now), []);
}

#[test]
fn each_rule_is_asked_in_its_time() {
    let (dir, store) = store();
    let path = dir.path().join("own.yml");
    let text = "groups: [{name: g, rules: [{record: often, expr: 'vector(time())'},
        {record: seldom, expr: 'vector(time()) + 0 * (absent_over_time(x[1d]))'}]}]";
    std::fs::write(&path, text).unwrap();
    let rules = Rules::load(&Settings { shipped: false, files: vec![path], ..Settings::default() }).unwrap();
    let mut asked = Vec::new();
    for seconds in (0..=600).step_by(10) {
        rules.evaluate(&store, seconds * 1000);
        rules.each(|_, list| asked.push((list[0].1.at, list[1].1.at)));
    }
    let times = |pick: fn(&(i64, i64)) -> i64| {
        let mut times: Vec<i64> = asked.iter().map(pick).collect();
        times.dedup();
        times.len()
    };
    assert_eq!((times(|t| t.0), times(|t| t.1)), (21, 3));
}

#[test]
fn a_rule_that_fails_says_why_and_leaves_the_others_alone() {
    let (dir, store) = store();
    let path = dir.path().join("own.yml");
    let text =
        "groups: [{name: g, rules: [{record: twice, expr: 'label_replace(x, \"a\", \"\", \"a\", \".*\")'},
        {record: fine, expr: '1'}]}]";
    std::fs::write(&path, text).unwrap();
    let rules = Rules::load(&Settings { shipped: false, files: vec![path], ..Settings::default() }).unwrap();
    store.sample(1000, &mut |each| {
        each("x", &[("a", "1")], 1.0);
        each("x", &[("a", "2")], 1.0);
    });
    rules.evaluate(&store, 1000);
    rules.each(|_, list| {
        assert!(list[0].1.error.is_some());
        assert_eq!(list[1].1.error, None);
    });
    let mut given = Vec::new();
    rules.samples(&mut |name, _, value| given.push((name.to_owned(), value)));
    assert_eq!(given, [("fine".to_owned(), 1.0)]);
}

#[test]
fn a_file_that_is_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.yml");
    let load = || Rules::load(&Settings { files: vec![path.clone()], ..Settings::default() });
    assert!(load().unwrap_err().to_string().contains("bad.yml"));
    std::fs::write(&path, "groups: 3").unwrap();
    assert!(load().unwrap_err().to_string().contains("bad.yml"));
}

#[test]
fn how_long_an_alert_has_waited_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.yml");
    std::fs::write(&path, "groups: [{name: g, rules: [{alert: Down, expr: 'up == 0', for: 5m}]}]").unwrap();
    let settings = Settings { shipped: false, files: vec![path], ..Settings::default() };
    let folder = dir.path().join("store");
    let states = |seconds: std::ops::Range<i64>, up: f64| {
        let store = Store::open(&folder, &StoreSettings::default()).unwrap();
        let rules = Rules::load(&settings).unwrap();
        let mut seen = Vec::new();
        for second in seconds.step_by(10) {
            let now = 1_800_000_000_000 + second * 1000;
            store.sample(now, &mut |each| {
                each("up", &[("job", "a")], up);
                rules.samples(each);
            });
            rules.evaluate(&store, now);
            rules.each(|_, list| seen.extend(list[0].2.iter().map(|a| (second, a.state()))));
        }
        seen
    };
    let first = |seen: &[(i64, &'static str)], state| seen.iter().find(|s| s.1 == state).map(|s| s.0);
    // It waits for three minutes, the agent is away for two, and then two more minutes are enough.
    assert_eq!(first(&states(0..180, 0.0), "firing"), None);
    let seen = states(300..600, 0.0);
    assert_eq!(first(&seen, "pending"), Some(300));
    let fired = first(&seen, "firing").unwrap();
    assert!((420..=460).contains(&fired), "{fired}");
    // What fired fires again at once.
    assert_eq!(first(&states(660..700, 0.0), "firing"), Some(660));
    // After more than an hour nobody knows: it waits anew.
    assert_eq!(first(&states(4400..4600, 0.0), "firing"), None);
    // What is well has nothing to go on from.
    assert_eq!(states(4700..4800, 1.0), []);
}
