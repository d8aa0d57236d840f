//! The budget counts bytes by estimate. Here the estimate is held against what was allocated.

use sightline_agent::metrics::naming::Rules;
use sightline_agent::metrics::registry::Registry;
use sightline_agent::metrics::settings::{Budget, Settings};
use sightline_agent::metrics::tally::Batch;
use sightline_agent::units::Bytes;

use crate::support::allocated;

/// 100,000 series, half counters, the others timers, gauges and sets, each with some samples.
fn lines(tags: &str, round: usize) -> impl Iterator<Item = String> {
    let tags = tags.to_owned();
    (0..100_000).map(move |i| match i % 20 {
        0..10 => format!("bench.app.counter.n{i}:1|c{tags}"),
        10..17 => format!("bench.app.timer.n{i}:{}|ms{tags}", (i * 7 + round * 131) % 1000),
        17..19 => format!("bench.app.gauge.n{i}:{}|g{tags}", i + round),
        _ => format!("bench.app.set.n{i}:u{round}|s{tags}"),
    })
}

#[test]
fn counted_bytes_follow_allocated_ones() {
    for tags in ["", "|#env:prod,hostname:web-1.example,kitten:tabby"] {
        let settings = Settings {
            budget: Budget { memory: Bytes(1 << 30), ..Budget::default() },
            ..Settings::default()
        };
        let before = allocated::bytes();
        let registry = Registry::new(&settings, Rules::default(), &[]);
        for round in 0..3 {
            for line in lines(tags, round) {
                registry.ingest(line.as_bytes(), 100, &mut Batch::default());
            }
            registry.sweep(100);
            let (counted, real) = (registry.counted_bytes() as f64, (allocated::bytes() - before) as f64);
            assert_eq!(registry.len(), 100_000);
            // More is counted than asked for, because an allocator rounds up.
            let factor = counted / real;
            assert!((0.9..1.4).contains(&factor), "{counted} counted, {real} allocated: {factor:.2} times");
        }
    }
}
