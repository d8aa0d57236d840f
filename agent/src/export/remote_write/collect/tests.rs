//! What goes out for what came in.

use std::time::Duration;

use prost::Message;

use super::super::Protocol;
use super::super::proto::v2;
use super::{Batch, Collector, Registry, STALE};
use crate::metrics::naming::Rules;
use crate::metrics::settings::Settings;
use crate::metrics::tally;

fn registry(ttl: u64) -> Registry {
    let rules = Rules { ttl: (ttl > 0).then(|| Duration::from_secs(ttl)), ..Rules::default() };
    Registry::new(&Settings::default(), rules, &[])
}

fn send(registry: &Registry, lines: &str, now: u64) {
    registry.ingest(lines.as_bytes(), now, &mut tally::Batch::default());
}

/// Every row as `name{labels} value @time since=created`.
fn rows(batches: &[Batch]) -> Vec<String> {
    let mut out = Vec::new();
    for batch in batches {
        let plain = snap::raw::Decoder::new().decompress_vec(&batch.wire(Protocol::V2).body).unwrap();
        let request = v2::Request::decode(plain.as_slice()).unwrap();
        for series in &request.timeseries {
            let text = |place: &u32| request.symbols[*place as usize].as_str();
            let pairs: Vec<(&str, &str)> =
                series.labels_refs.chunks(2).map(|p| (text(&p[0]), text(&p[1]))).collect();
            assert!(pairs.is_sorted_by(|a, b| a.0 < b.0), "{pairs:?}");
            let name = pairs.iter().find(|p| p.0 == "__name__").unwrap().1;
            let labels: Vec<String> =
                pairs.iter().filter(|p| p.0 != "__name__").map(|(k, v)| format!("{k}={v}")).collect();
            let value = match (series.samples.first(), series.histograms.first()) {
                (Some(s), None) if s.value.to_bits() == STALE.to_bits() => format!("STALE @{}", s.timestamp),
                (Some(s), None) => format!("{} @{}", s.value, s.timestamp),
                (None, Some(h)) => format!("native {:?} @{}", h.count.unwrap(), h.timestamp),
                other => panic!("{other:?}"),
            };
            out.push(format!("{name}{{{}}} {value} since={}", labels.join(","), series.created_timestamp));
        }
    }
    out
}

#[test]
fn every_sample_of_a_scrape_is_a_row() {
    let registry = registry(0);
    send(&registry, "hits:2|c|#b:1,a:x\nlevel:1.5|g\nt:100|ms\ndev.h.s.http.geo.timing:300|ms", 10);
    let extra = vec![("a".to_owned(), "mine".to_owned()), ("job".to_owned(), "sightline".to_owned())];
    let mut collector = Collector::new(extra, true, 1000);
    let rows = rows(&collector.collect(&registry, "# TYPE own gauge\nown{c=\"d\"} 1\n", 12_000));
    for expected in [
        "hits{a=x,b=1,job=sightline} 2 @12000 since=10000",
        "level{a=mine,job=sightline} 1.5 @12000 since=0",
        "t{a=mine,job=sightline,quantile=0.5} 0.1 @12000 since=10000",
        "t_count{a=mine,job=sightline} 1 @12000 since=10000",
        "own{a=mine,c=d,job=sightline} 1 @12000 since=0",
    ] {
        assert!(rows.iter().any(|row| row == expected), "{expected}\n{rows:#?}");
    }
    let of = |start: &str| rows.iter().filter(|row| row.starts_with(start)).collect::<Vec<_>>();
    let buckets = of("instrument_timing_seconds_bucket");
    assert_eq!(buckets.len(), 12, "{buckets:#?}");
    assert!(buckets.iter().any(|b| b.contains("le=0.25,") && b.contains("} 0 ")), "{buckets:#?}");
    assert!(buckets.iter().any(|b| b.contains("le=0.5,") && b.contains("} 1 ")), "{buckets:#?}");
    assert_eq!(of("instrument_timing_seconds{").len(), 1);
    let mut classic = Collector::new(Vec::new(), false, 1000);
    let without = classic.collect(&registry, "", 12_000).iter().map(Batch::samples).sum::<usize>();
    assert_eq!(without, rows.len() - 2, "the native histogram and the agent's own one are left out");
}

#[test]
fn what_ended_is_marked_once() {
    let registry = registry(5);
    send(&registry, "gone:1|c\nstays:1|c\nt:1|ms", 10);
    let mut collector = Collector::new(Vec::new(), true, 1000);
    collector.collect(&registry, "own{a=\"b\"} 1\n", 10_000);
    send(&registry, "stays:1|c", 14);
    registry.sweep(16);
    let second = rows(&collector.collect(&registry, "", 16_000));
    for expected in ["gone{} STALE @16000", "t{quantile=0.5} STALE", "t_sum{} STALE", "own{a=b} STALE"] {
        assert_eq!(
            second.iter().filter(|row| row.starts_with(expected)).count(),
            1,
            "{expected} {second:#?}"
        );
    }
    assert!(second.iter().any(|row| row.starts_with("stays{} 2 ")), "{second:#?}");
    let third = rows(&collector.collect(&registry, "", 17_000));
    assert!(third.iter().all(|row| !row.contains("STALE")), "{third:#?}");
}

#[test]
fn what_ended_and_came_back_is_not_marked() {
    let registry = registry(5);
    send(&registry, "back:1|c", 10);
    let mut collector = Collector::new(Vec::new(), true, 1000);
    collector.collect(&registry, "", 10_000);
    registry.sweep(16);
    send(&registry, "back:7|c", 17);
    let rows = rows(&collector.collect(&registry, "", 17_000));
    assert_eq!(rows, ["back{} 7 @17000 since=17000"]);
}

#[test]
fn an_empty_label_is_left_out_and_batches_are_bounded() {
    let registry = registry(0);
    let lines: String = (0..25).map(|i| format!("m:1|c|#i:{i}\n")).collect();
    send(&registry, &lines, 10);
    let mut collector = Collector::new(vec![("job".to_owned(), String::new())], true, 10);
    let batches = collector.collect(&registry, "", 10_000);
    assert_eq!(batches.iter().map(Batch::samples).collect::<Vec<_>>(), [10, 10, 5]);
    assert!(rows(&batches).iter().all(|row| !row.contains("job")));
}
