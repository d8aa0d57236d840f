//! Days by a simulated clock: each day's records stamped over its 24 hours and committed as they come, with the
//! housekeeping of real days in between; what is on disk at each midnight, and what went.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use sightline_agent::export::{Entry, Verdict};
use sightline_agent::store::events::{EventStore, Events};
use sightline_agent::store::settings::Settings;

use super::{cpu_seconds, record, status};

const DAY_MS: i64 = 86_400_000;
/// Midnight of the first day.
const FIRST: i64 = 20_000 * DAY_MS;

/// `days` days of `records` each, committed every `step_ms` of the day.
pub(super) fn run(
    dir: &Path,
    settings: &Settings,
    (days, records, step_ms): (i64, u64, i64),
) -> Result<(), Box<dyn Error>> {
    let now = Arc::new(AtomicI64::new(FIRST));
    let clock = Arc::clone(&now);
    let events = Events::open_at(dir, settings, Arc::new(move || clock.load(Ordering::Relaxed)))?;
    let mut made = 0;
    for day in 0..days {
        let midnight = FIRST + day * DAY_MS;
        let (cpu, started) = (cpu_seconds(), Instant::now());
        let (mut commits, mut slowest, mut raw) = (0_u64, 0.0_f64, 0_u64);
        let mut dropped = 0;
        let mut at = midnight;
        while at < midnight + DAY_MS {
            at = (at + step_ms).min(midnight + DAY_MS);
            // Records of one step arrive spread over it, and are committed at its end.
            let until = day as u64 * records
                + (records as i128 * i128::from(at - midnight) / i128::from(DAY_MS)) as u64;
            let batch: Vec<Entry> = (made..until)
                .map(|n| {
                    let place = n - day as u64 * records;
                    record(
                        n,
                        midnight + (i128::from(DAY_MS) * i128::from(place) / i128::from(records)) as i64,
                    )
                })
                .collect();
            made = until;
            now.store(at - 1, Ordering::Relaxed);
            if !batch.is_empty() {
                raw += batch.iter().map(|entry| entry.payload.len() as u64).sum::<u64>();
                let began = Instant::now();
                if events.logs.append(&batch).iter().any(|verdict| *verdict != Verdict::Done) {
                    return Err("a record was not taken".into());
                }
                slowest = slowest.max(began.elapsed().as_secs_f64());
                commits += 1;
            }
            if (at - midnight) % 3_600_000 < step_ms {
                dropped += events.logs.expire().records;
            }
        }
        let parts = events.logs.stats();
        let (stored, bytes) = events.logs.totals();
        let oldest = parts.iter().filter_map(|part| part.first_ms).min().unwrap_or(midnight);
        println!(
            "day {:3}  {stored:9} records in {:2} parts, {:6.1} MiB ({:.2} of the day's {:.0} MiB raw); oldest from day {}; {dropped} dropped; {commits} commits, slowest {slowest:.2} s; {:.0} CPU s, {:.0} s by the clock; at most {} MiB resident, {} MiB of it now the process's own",
            day + 1,
            parts.len(),
            bytes as f64 / f64::from(1 << 20),
            bytes as f64 / raw.max(1) as f64,
            raw as f64 / f64::from(1 << 20),
            (oldest - FIRST).div_euclid(DAY_MS) + 1,
            cpu_seconds() - cpu,
            started.elapsed().as_secs_f64(),
            status("VmHWM:") >> 10,
            status("RssAnon:") >> 10,
        );
    }
    Ok(())
}
