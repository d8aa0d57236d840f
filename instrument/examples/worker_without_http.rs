//! A worker that answers no requests: its jobs are operations, its panics are reported, its end is orderly.

use sightline_instrument::{Instrument, measured, timed};
use std::time::Duration;

async fn fetch(job: u32) -> Result<u32, String> {
    if job % 4 == 3 { Err(format!("job {job} is locked")) } else { Ok(job * 2) }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let instrument = Instrument::builder("worker").install();
    for job in 0..8 {
        measured("jobs", "resize", async {
            match timed("queue", "fetch", fetch(job)).await {
                Ok(size) => tracing::info!(job, size, "resized"),
                Err(error) => tracing::warn!(job, error, "skipped"),
            }
        })
        .await;
    }
    instrument.shutdown(Duration::from_secs(2));
}
