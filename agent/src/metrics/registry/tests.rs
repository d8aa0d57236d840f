//! Lines in, samples out.

use super::*;
use crate::metrics::tally::Lost;
use crate::units::Bytes;

fn registry_with(change: impl FnOnce(&mut Settings)) -> Registry {
    let mut settings = Settings::default();
    change(&mut settings);
    Registry::new(&settings, Rules::default(), &[])
}

fn feed(registry: &Registry, lines: &str, now: u64) -> Batch {
    let mut batch = Batch::default();
    registry.ingest(lines.as_bytes(), now, &mut batch);
    batch
}

fn shown(registry: &Registry, now: u64) -> Vec<String> {
    let mut out = Vec::new();
    registry.samples(now, &mut |name, labels, value| {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        out.push(format!("{name}{{{}}} {value}", labels.join(",")));
    });
    out
}

#[test]
fn spellings_of_one_series_meet() {
    let r = registry_with(|_| {});
    feed(&r, "a.b:1|c|#x:1,y:2\na.b:1|c|#y:2,x:1\na.b:1|c|#x:0,y:2,x:1\n", 1);
    assert_eq!(shown(&r, 1), ["a_b{x=1,y=2} 3"]);
}

#[test]
fn gauges_are_set_and_moved() {
    let r = registry_with(|_| {});
    feed(&r, "g:10|g\ng:+5|g\ng:-3|g\nn:-7|g", 1);
    assert_eq!(shown(&r, 1), ["g{} 12", "n{} -7"]);
}

#[test]
fn the_convention_shows_outcomes_before_they_happen() {
    let r = registry_with(|_| {});
    feed(&r, "prod.h1.kit.handlers.list.called:1|c", 1);
    let of = |outcome| {
        format!(
            "instrument_outcomes_total{{environment=prod,group=handlers,host=h1,outcome={outcome},segment=list,service=kit}} 0"
        )
    };
    assert_eq!(
        shown(&r, 1),
        [
            "instrument_calls_total{environment=prod,group=handlers,host=h1,segment=list,service=kit} 1"
                .to_owned(),
            of("failed"),
            of("panic"),
            of("success"),
        ]
    );
}

#[test]
fn a_second_type_is_dropped_and_counted() {
    let r = registry_with(|_| {});
    let batch = feed(&r, "a:1|c\na:2|g\na:2|ms\na:1|c\nt:1|ms\nt_count:1|c\nb_sum:1|c\nb:1|h", 1);
    assert_eq!(batch.lost[Lost::TypeConflict as usize], 4);
    assert_eq!(batch.received, batch.applied + 4);
    assert!(shown(&r, 1).contains(&"a{} 2".to_owned()));
}

#[test]
fn reserved_names_are_put_aside() {
    let r = registry_with(|_| {});
    let batch = feed(&r, "sightline_x:1|c\ninstrument_calls_total:1|g\na:1|c|#le:1,__name__:x,quantile:2", 1);
    assert_eq!((batch.renamed_metrics, batch.renamed_labels), (2, 3));
    assert_eq!(
        shown(&r, 1),
        [
            "a{exported___name__=x,exported_le=1,exported_quantile=2} 1",
            "exported_instrument_calls_total{} 1",
            "exported_sightline_x{} 1"
        ]
    );
}

#[test]
fn names_that_meet_are_counted() {
    let r = registry_with(|_| {});
    assert_eq!(feed(&r, "a.b:1|c\na-b:1|c\na_b:1|c\na.b:1|c", 1).collisions, 2);
    assert_eq!(shown(&r, 1), ["a_b{} 4"]);
}

#[test]
fn beyond_the_budget_of_a_metric_series_fold() {
    let r = registry_with(|s| s.budget.series_per_metric = 3);
    let lines: String = (0..10).map(|i| format!("a:1|c|#id:{i}\n")).collect();
    let batch = feed(&r, &lines, 1);
    assert_eq!((batch.applied, batch.folded), (10, 7));
    assert_eq!(shown(&r, 1), ["a{id=0} 1", "a{id=1} 1", "a{id=2} 1", "a{overflow=_other} 7"]);
    // Known series go on.
    feed(&r, "a:1|c|#id:1", 1);
    assert!(shown(&r, 1).contains(&"a{id=1} 2".to_owned()));
}

#[test]
fn a_folded_series_of_the_convention_keeps_its_service() {
    let r = registry_with(|s| s.budget.series_per_metric = 2);
    let lines: String = (0..5).map(|i| format!("prod.h.kit.http.id{i}.size:1|g\n")).collect();
    feed(&r, &lines, 1);
    let other = "instrument_gauge{environment=prod,group=_other,host=_other,measure=_other,segment=_other,service=kit} 1";
    assert!(shown(&r, 1).contains(&other.to_owned()), "{:?}", shown(&r, 1));
}

#[test]
fn memory_is_bounded_and_old_series_go_on() {
    let r = registry_with(|s| {
        s.budget.memory = Bytes(1 << 20);
        s.budget.series_per_metric = usize::MAX;
    });
    feed(&r, "old:1|c", 1);
    for i in 0..20_000 {
        feed(&r, &format!("a:1|c|#id:{i}\nname{i}:1|g"), 1);
    }
    r.sweep(1);
    assert!(r.bytes.load(Relaxed) < (1 << 20) + (1 << 18), "{}", r.bytes.load(Relaxed));
    feed(&r, "old:1|c", 1);
    assert!(shown(&r, 1).contains(&"old{} 2".to_owned()));
    let totals: f64 = shown(&r, 1)
        .iter()
        .filter(|s| s.starts_with("a{"))
        .map(|s| s.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert_eq!(totals, 20_000.0);
}

/// A version that was rolled back to had never gone, and so was no news to anybody.
#[test]
fn a_build_that_was_replaced_ends_and_may_come_back() {
    let r = registry_with(|_| {});
    let build = |host: &str, version: &str, now| {
        feed(
            &r,
            &format!("shop.process.build.info:1|g|#environment:prod,host:{host},version:{version}"),
            now,
        );
        feed(&r, "cart.process.build.info:1|g|#environment:prod,host:a,version:7", 1);
    };
    let versions = || -> Vec<String> {
        let shown = shown(&r, 0);
        let of = |s: &String| s.rsplit_once("version=").map(|(_, v)| v.split('}').next().unwrap().to_owned());
        shown.iter().filter(|s| s.contains("service=shop")).filter_map(of).collect()
    };
    build("a", "1", 1_000);
    build("b", "1", 1_000);
    r.sweep(5_000);
    assert_eq!(versions(), ["1", "1"], "all of it is silent: nothing took its place");
    build("a", "1", 5_000);
    build("b", "2", 5_010);
    r.sweep(5_100);
    assert_eq!(versions(), ["1", "2"], "both run while a deploy rolls, and the silent one of host b is gone");
    build("a", "2", 5_240);
    r.sweep(5_250);
    assert_eq!(versions(), ["2"], "host b said nothing for three minutes");
    build("a", "1", 5_500);
    r.sweep(5_500);
    assert_eq!(versions(), ["1"], "rolled back");
    assert!(shown(&r, 0).iter().any(|s| s.contains("service=cart")), "another service is not meant");
}

#[test]
fn a_silent_series_ends_and_may_come_back_as_another_type() {
    let rules = Rules { ttl: Some(std::time::Duration::from_secs(10)), ..Rules::default() };
    let r = Registry::new(&Settings::default(), rules, &[]);
    feed(&r, "a:5|c", 100);
    r.sweep(109);
    assert_eq!(shown(&r, 109), ["a{} 5"]);
    r.sweep(110);
    assert!(shown(&r, 110).is_empty() && r.is_empty());
    feed(&r, "a:1|c", 111);
    assert_eq!(shown(&r, 111), ["a{} 1"]);
    r.sweep(130);
    feed(&r, "a:7|g", 131);
    assert_eq!(shown(&r, 131), ["a{} 7"]);
}

#[test]
fn the_ledger_adds_up_over_every_kind_of_line() {
    let r = registry_with(|s| s.budget.series_per_metric = 2);
    let lines =
        "a:1|c\na:1|g\nb,x=1:1|c|#y:2\nb:NaN|g\nc:1|c|#i:1\nc:1|c|#i:2\nc:1|c|#i:3\nnope\nd:1:2:z|ms\nsay";
    for _ in 0..2 {
        let batch = feed(&r, lines, 1);
        let lost: u64 = batch.lost.iter().sum();
        assert_eq!(batch.received, batch.applied + lost);
        assert_eq!(batch.refused.iter().sum::<u64>(), 5);
        assert_eq!(batch.lines, 10);
    }
}

#[test]
fn new_rules_apply_to_known_names() {
    let r = registry_with(|_| {});
    feed(&r, "prod.h.s.http.x.called:1|c", 1);
    r.set_rules(Rules { convention: false, ..Rules::default() });
    feed(&r, "prod.h.s.http.x.called:1|c", 1);
    assert!(shown(&r, 1).contains(&"prod_h_s_http_x_called{} 1".to_owned()));
}

#[test]
fn the_worst_offender_is_named_with_its_label() {
    let r = registry_with(|s| s.budget.series_per_metric = 5);
    let lines: String =
        (0..20).map(|i| format!("bad:1|c|#user:{i},region:eu\nok:1|c|#region:{}\n", i % 3)).collect();
    feed(&r, &lines, 1);
    let top = r.top(1, Order::Series).top;
    assert_eq!((top.len(), top[0].metric.as_str(), top[0].folded), (1, "bad", 15));
    let spread = |at: usize| {
        let Spread { label, values, most, most_series } = &top[0].labels[at];
        (label.as_str(), *values, most.as_str(), *most_series)
    };
    assert!(matches!(spread(0), ("user", 5, _, 1)), "{:?}", spread(0));
    let region = top[0].labels.iter().position(|l| l.label == "region").unwrap();
    assert_eq!(spread(region), ("region", 1, "eu", 5));
}

#[test]
fn events_and_checks_become_records_and_a_status() {
    let lines = Arc::new(parking_lot::Mutex::new(Vec::<serde_json::Value>::new()));
    let r = registry_with(|_| {});
    let sink = Arc::clone(&lines);
    r.on_log_line(Arc::new(move |line| sink.lock().push(serde_json::from_slice(line).unwrap())));
    let text = "_e{6,10}:deploy|v2\\nis out|d:1700000000|h:web1|t:warning|#service:kit,env:prod,team.x:a\n\
                _sc|db.ping|2|h:web1|#service:kit|m:no answer";
    let batch = feed(&r, text, 1);
    assert_eq!((batch.events, batch.checks), (1, 1));
    let lines = lines.lock();
    let expected = serde_json::json!({
        "@timestamp": "2023-11-14T22:13:20Z", "message": "deploy\nv2\nis out", "log.level": "warn", "host.name": "web1",
        "service.name": "kit", "service.environment": "prod", "labels": {"team_x": "a"},
        "event.kind": "event", "event.reason": "deploy",
    });
    assert_eq!(lines[0], expected);
    assert_eq!(lines[1]["message"], "check db.ping is critical: no answer");
    assert_eq!(shown(&r, 1), ["instrument_health_status{check=db.ping,host=web1,service=kit} 2"]);
}

proptest::proptest! {
    #[test]
    fn any_input_is_accounted_for(lines in proptest::collection::vec(
        "([a-z.é\"\\\\-]{0,3}|instrument_x|sightline_y|_e\\{1,1\\}|_sc|dev.h.s.g.p.o)(,a=b|#le=2)?:[0-9.:eN+-]{0,4}\\|(c|g|ms|h|d|s|q)?(\\|@[0-9.]{0,3})?(\\|#[a-z:,_\"é]{0,8})?", 0..30)) {
        let r = registry_with(|s| s.budget.series_per_metric = 3);
        let text = lines.join("\n");
        for now in [1, 2] {
            let batch = feed(&r, &text, now);
            proptest::prop_assert_eq!(batch.received, batch.applied + batch.lost.iter().sum::<u64>());
        }
    }
}
