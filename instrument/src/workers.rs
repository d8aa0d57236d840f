//! The threads that send: one each for metrics, logs, spans and panic reports, so that none waits for another.

use crate::instrument::Instrument;
use crate::logs::ship::Shipper;
use crate::metrics::flush::Flusher;
use crate::{panics, process};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a log line waits at most before it leaves.
const LOG_TICK: Duration = Duration::from_millis(100);
#[cfg(feature = "otlp")]
const SPAN_TICK: Duration = Duration::from_millis(500);
/// How often what was lost is told in the log, if there is anything to tell.
const TELL: Duration = Duration::from_secs(5);
/// How often the process looks at itself.
const PROCESS: Duration = Duration::from_secs(10);

/// The running threads.
#[derive(Debug)]
pub(crate) struct Workers {
    stop: Arc<Stop>,
    threads: Vec<Thread>,
    /// Told once by each thread that is done.
    done: Receiver<()>,
}

#[derive(Debug, Default)]
struct Stop {
    asked: AtomicBool,
    /// Panics are still being turned into records.
    reporting: AtomicBool,
    deadline: parking_lot::Mutex<Option<Instant>>,
}

impl Stop {
    fn asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    fn late(&self) -> bool {
        self.deadline.lock().is_some_and(|d| Instant::now() >= d)
    }
}

impl Workers {
    /// Starts them. A thread that cannot be started is a warning: the service serves without its lane.
    pub(crate) fn start(instrument: &Instrument, warnings: &mut Vec<String>) -> Self {
        let (done, receiver) = bounded(8);
        let mut workers = Workers { stop: Arc::default(), threads: Vec::new(), done: receiver };
        let i = instrument.clone();
        workers.spawn("sightline-logs", &done, warnings, move |stop| ship_logs(&i, stop));
        let i = instrument.clone();
        workers.spawn("sightline-metrics", &done, warnings, move |stop| flush_metrics(&i, stop));
        let i = instrument.clone();
        workers.stop.reporting.store(true, Ordering::Release);
        workers.spawn("sightline-panics", &done, warnings, move |stop| {
            panics::write_all(&i, || stop.asked());
            stop.reporting.store(false, Ordering::Release);
            i.0.logs.wake();
        });
        #[cfg(feature = "otlp")]
        workers.start_spans(instrument, &done, warnings);
        workers
    }

    #[cfg(feature = "otlp")]
    fn start_spans(&mut self, instrument: &Instrument, done: &Sender<()>, warnings: &mut Vec<String>) {
        let Some(endpoint) = instrument.settings().otlp_traces.clone() else { return };
        match crate::traces::export::Exporter::new(
            instrument.settings(),
            &endpoint,
            instrument.0.spans.clone(),
        ) {
            Ok(exporter) => {
                let i = instrument.clone();
                self.spawn("sightline-spans", done, warnings, move |stop| export_spans(&i, exporter, stop));
            }
            Err(error) => warnings.push(format!("spans cannot be sent to {endpoint}: {error}")),
        }
    }

    fn spawn(
        &mut self,
        name: &str,
        done: &Sender<()>,
        warnings: &mut Vec<String>,
        work: impl FnOnce(&Stop) + Send + 'static,
    ) {
        let (stop, done) = (self.stop.clone(), done.clone());
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            work(&stop);
            let _ = done.try_send(());
        });
        match started {
            Ok(handle) => self.threads.push(handle.thread().clone()),
            Err(error) => {
                if name == "sightline-panics" {
                    self.stop.reporting.store(false, Ordering::Release);
                }
                warnings.push(format!("the thread {name} cannot be started: {error}"));
            }
        }
    }

    /// Lets them send what waits, for at most `deadline`.
    pub(crate) fn stop(self, deadline: Duration) {
        let until = Instant::now() + deadline;
        *self.stop.deadline.lock() = Some(until);
        self.stop.asked.store(true, Ordering::Release);
        for thread in &self.threads {
            thread.unpark();
        }
        // A little more than the deadline: each thread counts what it gives up.
        let patience = until + Duration::from_millis(500);
        for _ in 0..self.threads.len() {
            if self.done.recv_deadline(patience).is_err() {
                break;
            }
        }
    }
}

fn flush_metrics(instrument: &Instrument, stop: &Stop) {
    let settings = instrument.settings();
    let (sink, drops) = (instrument.0.sink.clone(), instrument.0.drops.clone());
    let mut flusher = settings.statsd.clone().map(|target| Flusher::new(target, sink, drops));
    let mut process = process::Watch::default();
    let mut next_process = Instant::now();
    let mut next = Instant::now();
    loop {
        let stopping = stop.asked();
        let now = Instant::now();
        if now >= next_process {
            next_process = now + PROCESS;
            process.look(instrument, now);
            #[cfg(feature = "pull")]
            if let Some(pull) = &instrument.0.metrics.pull {
                pull.upkeep();
            }
        }
        if now >= next || stopping {
            next = now + settings.metrics_interval;
            instrument.0.health.publish(instrument, instrument.0.clock.mono_ns());
            if let Some(flusher) = &mut flusher {
                flusher.flush(&instrument.0.metrics, now, |sink| process::announce_build(instrument, sink));
                if stopping {
                    flusher.flush(&instrument.0.metrics, now, |_| {});
                    flusher.give_up();
                }
            }
        }
        if stopping {
            return;
        }
        thread::park_timeout(next.saturating_duration_since(Instant::now()));
    }
}

fn ship_logs(instrument: &Instrument, stop: &Stop) {
    let mut shipper = Shipper::new(instrument.settings().logs.clone(), instrument.0.logs.clone());
    instrument.0.logs.shipped_by(thread::current());
    let mut next_tell = Instant::now() + TELL;
    loop {
        let stopping = stop.asked();
        let now = Instant::now();
        let empty = shipper.ship(now);
        if stopping {
            // Finding the names of a stack takes a while; the record of the panic is the one that matters most.
            if (empty && !stop.reporting.load(Ordering::Acquire)) || stop.late() {
                tell_drops(instrument);
                // One more round for that, and for what the other threads say last.
                thread::park_timeout(Duration::from_millis(50));
                shipper.ship(Instant::now());
                shipper.give_up();
                return;
            }
            thread::park_timeout(Duration::from_millis(50));
            continue;
        }
        if now >= next_tell && empty {
            next_tell = now + TELL;
            tell_drops(instrument);
        }
        thread::park_timeout(LOG_TICK);
    }
}

/// Once there is room again, the log says what is missing from it, and metrics count it.
fn tell_drops(instrument: &Instrument) {
    instrument.0.drops.untold(|lane, reason, n| {
        instrument.0.metrics.counter_of(&["telemetry", lane, reason]).increment(n);
        // What a call site asked for is no news.
        if reason != "sampled" {
            instrument.note("warn", &format!("{n} records of {lane} were dropped: {reason}"));
        }
    });
}

#[cfg(feature = "otlp")]
fn export_spans(instrument: &Instrument, mut exporter: crate::traces::export::Exporter, stop: &Stop) {
    instrument.0.spans.ours.shipped_by(thread::current());
    loop {
        let stopping = stop.asked();
        let empty = exporter.export(Instant::now());
        if stopping {
            if empty || stop.late() {
                exporter.give_up();
                return;
            }
            thread::park_timeout(Duration::from_millis(50));
            continue;
        }
        thread::park_timeout(SPAN_TICK);
    }
}
