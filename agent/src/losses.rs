//! Says in the log what is lost and what to do about it. Counters tell how much; who reads the log at night looks there first.
//!
//! The ledger is looked at every half minute, so a flood of losses is a line each time and never one for each record.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ledger::{self, Loss};

const LOOK: Duration = Duration::from_secs(30);

/// Drops that somebody asked for, and those that are told where they happen.
const TOLD: [&str; 5] = ["rule", "mapping_rule", "sampled", "kernel", "corrupt"];

/// What was told so far.
#[derive(Debug, Default)]
struct Losses(BTreeMap<(&'static str, &'static str), u64>);

impl Losses {
    /// What was lost since the last time.
    fn news(&mut self, now: Vec<Loss>) -> Vec<Loss> {
        now.into_iter()
            .filter(|loss| !TOLD.contains(&loss.reason))
            .filter_map(|loss| {
                let before = self.0.insert((loss.lane, loss.reason), loss.records).unwrap_or(0);
                let records = loss.records.saturating_sub(before);
                (records > 0).then_some(Loss { records, ..loss })
            })
            .collect()
    }
}

fn advice(reason: &str) -> &'static str {
    match reason {
        "queue_full" => {
            "the back end takes less than comes in and the queue is full: mend it, or raise the queue's bound"
        }
        "udp_kernel_buffer" => {
            "datagrams come faster than they are read: raise net.core.rmem_max, or send by TCP"
        }
        "cardinality_budget" => "a client makes new series all the time: `sightline top` names it",
        "type_conflict" => "a client sends one name as two types: the first one is kept",
        _ => "docs/runbooks/AgentDroppingData.md",
    }
}

/// Tells of losses until the task is aborted.
pub async fn tell() {
    let mut told = Losses::default();
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for Loss { lane, reason, records } in told.news(ledger::losses()) {
            tracing::error!(lane, reason, records, advice = advice(reason), "records are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Losses;
    use crate::ledger::Loss;

    #[test]
    fn each_loss_is_told_once_and_none_that_was_asked_for() {
        let loss = |reason, records| Loss { lane: "logs", reason, records };
        let mut told = Losses::default();
        assert_eq!(told.news(vec![loss("queue_full", 0), loss("rule", 7)]), []);
        assert_eq!(told.news(vec![loss("queue_full", 5), loss("rule", 8)]), [loss("queue_full", 5)]);
        assert_eq!(told.news(vec![loss("queue_full", 5)]), []);
        assert_eq!(told.news(vec![loss("queue_full", 6)]), [loss("queue_full", 1)]);
    }
}
