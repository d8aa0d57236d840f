//! A backlog: filled while the back end is away, the agent killed and started again, then drained.

use std::time::{Duration, Instant};

use super::round::PATIENCE;
use super::sink::{Kind, Sink};
use super::{agent, lines, process};

/// The highest and the lowest of what was seen.
struct Range(f64, f64);

impl Range {
    fn see(&mut self, value: f64) {
        *self = Range(self.0.min(value), self.1.max(value));
    }
}

/// Prints what a backlog of `records` log lines does to the memory and to the start of an agent.
pub(crate) fn run(records: u64) {
    let (dir, input, back_end) = (tempfile::tempdir().unwrap(), agent::port(), agent::port());
    let extra = format!(
        "logs: {{tcp: {{listen: '{input}'}}, udp: {{listen: 'off'}}, http: {{listen: 'off'}}}}\n\
         queue: {{max_bytes: 4GiB}}\nelasticsearch: {{urls: ['http://{back_end}']}}"
    );
    let filling = agent::start(dir.path(), input, &extra);
    std::thread::spawn(move || lines::send(input, records));
    let mut seen = (0.0, Instant::now());
    while seen.0 < records as f64 {
        assert!(seen.1.elapsed() < PATIENCE, "only {} of {records} are queued", seen.0);
        std::thread::sleep(Duration::from_millis(100));
        let queued = filling.metric("sightline_queued{lane=\"logs\"}").unwrap_or(seen.0);
        if queued > seen.0 {
            seen = (queued, Instant::now());
        }
    }
    // What is written is forced to disk within a moment.
    std::thread::sleep(Duration::from_secs(1));
    let filled = (process::mebibytes(filling.id(), "VmRSS"), process::mebibytes(filling.id(), "VmHWM"));
    let bytes: u64 = std::fs::read_dir(dir.path().join("data/queue/logs"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    drop(filling);

    let begun = Instant::now();
    let draining = agent::start(dir.path(), input, &extra);
    let ready = begun.elapsed();
    let sink = Sink::start_at(back_end, Kind::Bulk);
    let mut resident = Range(f64::MAX, 0.0);
    let mut seen = (0, Instant::now());
    while sink.records() < records {
        assert!(seen.1.elapsed() < PATIENCE, "only {} of {records} arrive", seen.0);
        std::thread::sleep(Duration::from_millis(20));
        if sink.records() > seen.0 {
            seen = (sink.records(), Instant::now());
        }
        // The first records find the memory still small.
        if sink.records() > records / 10 {
            resident.see(process::mebibytes(draining.id(), "VmRSS"));
        }
    }
    let drained = begun.elapsed().as_secs_f64();
    println!("backlog        {records} records, {} MiB on disk", bytes >> 20);
    println!("while filling  {:.0} MiB resident, peak {:.0}", filled.0, filled.1);
    println!("ready          {:.2} s after the start", ready.as_secs_f64());
    println!(
        "while draining {:.0} to {:.0} MiB resident, peak {:.0}, anonymous {:.0}; {drained:.1} s for all",
        resident.0,
        resident.1,
        process::mebibytes(draining.id(), "VmHWM"),
        process::mebibytes(draining.id(), "RssAnon"),
    );
    println!("arrived        {} of {records}", sink.records());
}
