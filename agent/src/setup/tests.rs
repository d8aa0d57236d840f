//! Tests of the whole of setup against a strict stand-in for Kibana.

mod kibana;

use std::time::Duration;

use super::report::{Change, Outcome, Report};
use super::{Args, Part, retention};
use crate::units::Span;
use kibana::Kibana;

fn args(url: &str, wait: Duration) -> Args {
    Args {
        part: Some(Part::Kibana),
        elasticsearch: None,
        kibana: Some(url.to_owned()),
        username: None,
        password_file: None,
        users: None,
        log_retention: "30d".to_owned(),
        audit_retention: "365d".to_owned(),
        span_retention: "7d".to_owned(),
        without_span_retention: false,
        ca_file: None,
        server_name: None,
        wait: Span(wait),
    }
}

async fn run(kibana: &Kibana, wait: Duration) -> Report {
    super::apply(&args(&kibana.url, wait)).await.unwrap()
}

fn all_are(report: &Report, change: &Change) {
    assert!(report.entries().len() > 15, "only {} objects", report.entries().len());
    for (object, happened) in report.entries() {
        // The default data view is a setting, which always was something.
        let expected = if object == "default data view" && *change == Change::Created {
            &Change::Updated
        } else {
            change
        };
        assert_eq!(happened, expected, "{object}");
    }
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let kibana = Kibana::start().await;
    let first = run(&kibana, Duration::ZERO).await;
    all_are(&first, &Change::Created);
    assert_eq!(first.outcome(), Outcome::Done);
    let writes = kibana.writes();
    all_are(&run(&kibana, Duration::ZERO).await, &Change::Unchanged);
    assert_eq!(kibana.writes(), writes, "a second run wrote");
}

#[tokio::test]
async fn what_somebody_changed_is_put_right() {
    let kibana = Kibana::start().await;
    run(&kibana, Duration::ZERO).await;
    kibana.spoil("logs", "dashboard", "sightline-panics");
    let report = run(&kibana, Duration::ZERO).await;
    let updated: Vec<_> =
        report.entries().iter().filter(|(_, c)| *c == Change::Updated).map(|(o, _)| o.as_str()).collect();
    assert_eq!(updated, ["data view logs", "dashboard sightline-panics"]);
    assert_eq!(report.outcome(), Outcome::Done);
}

#[tokio::test]
async fn an_import_refused_with_status_200_is_a_failure() {
    let kibana = Kibana::start().await;
    kibana.refuse_imports();
    let report = run(&kibana, Duration::ZERO).await;
    let failed = report.entries().iter().filter(|(object, change)| {
        object.starts_with("saved search")
            && matches!(change, Change::Failed(why) if why.contains("conflict"))
    });
    assert_eq!(failed.count(), super::content::kibana("searches").unwrap().len());
    assert_eq!(report.outcome(), Outcome::Differs);
}

#[tokio::test]
async fn waits_while_kibana_starts_and_says_what_it_waited_for_when_it_never_does() {
    let kibana = Kibana::start().await;
    kibana.unready(2);
    assert_eq!(run(&kibana, Duration::from_secs(30)).await.outcome(), Outcome::Done);
    kibana.unready(u32::MAX);
    assert_eq!(run(&kibana, Duration::ZERO).await.outcome(), Outcome::Unavailable);
    let nobody = "http://127.0.0.1:9";
    let report = super::apply(&args(nobody, Duration::ZERO)).await.unwrap();
    assert_eq!(report.outcome(), Outcome::Unavailable);
}

#[tokio::test]
async fn one_who_is_not_let_in_is_told_at_once() {
    let kibana = Kibana::start().await;
    kibana.let_nobody_in();
    let report = run(&kibana, Duration::from_secs(60)).await;
    assert_eq!(report.outcome(), Outcome::Differs);
    let [(_, Change::Failed(why))] = report.entries() else { panic!("{:?}", report.entries()) };
    assert!(why.contains("401") && why.contains("ELASTICSEARCH_PASSWORD_FILE"), "{why}");
}

#[test]
fn a_retention_is_a_number_and_a_unit() {
    assert_eq!(retention("30d").as_deref(), Ok("30d"));
    for wrong in ["", "30", "d", "0d", "1w", "30 d", "-1d"] {
        assert!(retention(wrong).is_err(), "{wrong}");
    }
}
