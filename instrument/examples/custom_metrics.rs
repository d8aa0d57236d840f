//! Metrics of one's own: by the convention, by the `metrics` facade, and by cadence. All leave in the same datagrams.

use sightline_instrument::{Instrument, counter, gauge, handler, timer};
use std::time::Duration;

fn main() {
    let instrument = Instrument::builder("shop").version("1.2.3").install();

    // `shop.handlers.checkout.called` and so on; its failures are known as 0 from here on.
    let checkout = handler("checkout");
    checkout.called();
    checkout.timing(Duration::from_micros(750));
    checkout.success();

    // Where it is hot, hold on to the handle.
    let hits = counter("cache", "prices", "hit");
    for _ in 0..1_000 {
        hits.increment(1);
    }
    gauge("queue", "orders", "depth").set(12.0);
    timer("payments", "charge").record(Duration::from_millis(80));

    // Libraries that speak the facade are collected too; labels become tags.
    metrics::counter!("orders_shipped", "carrier" => "post").increment(3);

    // And so is code that speaks cadence.
    use cadence::Counted;
    let _ = instrument.statsd().count("jobs.sync.done", 1);

    instrument.shutdown(Duration::from_secs(2));
}
