//! The lane's one entrance: requests go in, Zipkin spans are in the queue when it returns.

use std::cell::RefCell;
use std::sync::Arc;

use super::otlp::translate::{self, Facts};
use super::sample::Sampling;
use super::span::take_repaired;
use super::zipkin::{self, Refused};
use crate::hooks::{Exemplar, ExemplarHook};
use crate::ledger;
use crate::queue::Broken;
use crate::receive::events;
use crate::receive::otlp::{Refusal, Taken};
use crate::receive::payloads::Payloads;
use crate::receive::sink::{Sink, Ticket};

const LANE: &str = "spans";

/// A handle to the spans lane.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

struct Inner {
    sink: Arc<dyn Sink>,
    sampling: Sampling,
    exemplar: Option<ExemplarHook>,
}

#[derive(Default)]
struct Worker {
    scratch: translate::Scratch,
    payloads: Payloads,
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

impl Intake {
    /// An entrance in front of `sink`; `exemplar` is told of spans that name a timing.
    pub fn new(sampling: Sampling, exemplar: Option<ExemplarHook>, sink: Arc<dyn Sink>) -> Self {
        ledger::lane(LANE).may_drop(&["sampled"]);
        Intake { inner: Arc::new(Inner { sink, sampling, exemplar }) }
    }

    /// Takes an `ExportTraceServiceRequest` in protobuf, all of it or nothing.
    pub fn otlp(&self, request: &[u8]) -> Result<Taken, Refusal> {
        let mut sampled_out = 0;
        let inner = &*self.inner;
        self.collect(&mut sampled_out, |worker, sampled_out| {
            let mut keep = |facts: &Facts<'_>| {
                let keeps = inner.sampling.keeps(&facts.trace, facts.error, facts.duration);
                if !keeps {
                    *sampled_out += 1;
                } else if let Some(hook) = &inner.exemplar {
                    offer(hook, facts);
                }
                keeps
            };
            translate::translate(request, &mut worker.scratch, &mut worker.payloads, &mut keep)
                .map(|refused| (refused.0, "spans without valid ids"))
                .map_err(|e| Refusal::Malformed(e.to_string()))
        })
    }

    /// Takes a list of Zipkin v2 spans in JSON.
    pub fn zipkin_json(&self, list: &[u8]) -> Result<Taken, Refusal> {
        self.zipkin(|out, keep| zipkin::json::translate(list, out, keep))
    }

    /// Takes a list of Zipkin v2 spans in proto3.
    pub fn zipkin_proto(&self, list: &[u8]) -> Result<Taken, Refusal> {
        self.zipkin(|out, keep| zipkin::proto::translate(list, out, keep))
    }

    fn zipkin(
        &self,
        read: impl FnOnce(&mut Payloads, zipkin::Keep<'_>) -> Result<Refused, String>,
    ) -> Result<Taken, Refusal> {
        let mut sampled_out = 0;
        let sampling = &self.inner.sampling;
        self.collect(&mut sampled_out, |worker, sampled_out| {
            let mut keep = |trace: &[u8; 16], error: bool, micros: u64| {
                let keeps = sampling.keeps(trace, error, micros.saturating_mul(1000));
                *sampled_out += u64::from(!keeps);
                keeps
            };
            let refused = read(&mut worker.payloads, &mut keep).map_err(Refusal::Malformed)?;
            Ok((refused.0, "spans without valid ids"))
        })
    }

    fn collect(
        &self,
        sampled_out: &mut u64,
        fill: impl FnOnce(&mut Worker, &mut u64) -> Result<(u64, &'static str), Refusal>,
    ) -> Result<Taken, Refusal> {
        WORKER.with_borrow_mut(|worker| {
            worker.payloads.clear();
            let filled = fill(worker, sampled_out);
            let repaired = take_repaired();
            if repaired > 0 {
                metrics::counter!("sightline_spans_noted_total", "what" => "invalid_utf8")
                    .increment(repaired);
            }
            let (rejected, why) = filled?;
            let mut taken = Taken::default();
            if !worker.payloads.is_empty() {
                taken.ticket =
                    self.inner.sink.append(&worker.payloads.slices()).map_err(|_| Refusal::Full)?;
            }
            events::received(LANE, worker.payloads.len() as u64 + *sampled_out);
            if *sampled_out > 0 {
                events::dropped(LANE, "sampled", *sampled_out);
            }
            if rejected > 0 {
                events::rejected(LANE, "invalid_id", rejected);
                (taken.rejected, taken.message) = (rejected, format!("{rejected} {why}"));
            }
            Ok(taken)
        })
    }

    /// Resolves when what `ticket` stands for survives a crash.
    pub async fn durable(&self, ticket: Ticket) -> Result<(), Broken> {
        self.inner.sink.durable(ticket).await
    }
}

/// Tells the registry which trace is behind a timing, if the span carries the names of the convention.
fn offer(hook: &ExemplarHook, facts: &Facts<'_>) {
    if facts.group.is_empty() || facts.segment.is_empty() {
        return;
    }
    let texts = [facts.environment, facts.host, facts.service, facts.group, facts.segment];
    let [Ok(environment), Ok(host), Ok(service), Ok(group), Ok(segment)] = texts.map(std::str::from_utf8)
    else {
        return;
    };
    let mut trace = Vec::with_capacity(32);
    crate::json::hex(&mut trace, &facts.trace);
    let Ok(trace_id) = std::str::from_utf8(&trace) else { return };
    let host = host.replace('.', "_");
    hook(&Exemplar {
        environment,
        host: &host,
        service,
        group,
        segment,
        trace_id,
        seconds: facts.duration as f64 / 1e9,
        at_ms: i64::try_from(facts.end / 1_000_000).unwrap_or(i64::MAX),
    });
}
