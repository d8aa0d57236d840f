//! Sends a batch whole and, where the back end objects to it as a whole, in ever smaller parts, so that one record
//! it cannot take (or one too many) costs no other.

use std::ops::Range;
use std::time::Duration;

use super::{Entry, Verdict};

/// What became of a part.
pub(crate) enum Part {
    /// One verdict for each record.
    Verdicts(Vec<Verdict>),
    /// The back end objects to the part; of a single record this is the end.
    Objection(String),
    /// Nothing can be done now, for this part or any other.
    Later { after: Option<Duration>, reason: String },
}

/// Whoever sends one part in one request.
pub(crate) trait Sender: Sync {
    fn send(&self, part: &[Entry]) -> impl Future<Output = Part> + Send;
}

/// Sends `batch`, or parts of it; one verdict for each record, in order.
pub(crate) async fn send(batch: &[Entry], sender: &impl Sender) -> Vec<Verdict> {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; batch.len()];
    let mut parts: Vec<Range<usize>> = Vec::new();
    if !batch.is_empty() {
        parts.push(0..batch.len());
    }
    let mut later = (None, String::new());
    while let Some(part) = parts.pop() {
        match sender.send(&batch[part.clone()]).await {
            Part::Verdicts(found) => {
                for (place, verdict) in verdicts[part].iter_mut().zip(found) {
                    *place = Some(verdict);
                }
            }
            Part::Objection(reason) if part.len() == 1 => {
                verdicts[part.start] = Some(Verdict::Reject { reason });
            }
            Part::Objection(_) => {
                let middle = part.start + part.len() / 2;
                parts.push(middle..part.end);
                parts.push(part.start..middle);
            }
            Part::Later { after, reason } => {
                later = (after, reason);
                break;
            }
        }
    }
    let (after, reason) = later;
    let reason = if reason.is_empty() { "reply: it says nothing of this record".to_owned() } else { reason };
    verdicts
        .into_iter()
        .map(|v| v.unwrap_or_else(|| Verdict::Retry { after, reason: reason.clone() }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Part, Sender, send};
    use crate::export::{Entry, Verdict};
    use bytes::Bytes;
    use parking_lot::Mutex;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn batch(count: u64) -> Vec<Entry> {
        (0..count).map(|seq| Entry { seq, payload: Bytes::new() }).collect()
    }

    struct Told<F>(Mutex<F>);

    impl<F: FnMut(&[Entry]) -> Part + Send> Sender for Told<F> {
        async fn send(&self, part: &[Entry]) -> Part {
            (self.0.lock())(part)
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn finds_every_culprit_and_harms_no_other(count in 1u64..200, bad in prop::collection::btree_set(0u64..200, 0..5)) {
            let batch = batch(count);
            let mut taken = BTreeSet::new();
            let verdicts = run(send(&batch, &Told(Mutex::new(|part: &[Entry]| {
                if part.iter().any(|entry| bad.contains(&entry.seq)) {
                    return Part::Objection("400".into());
                }
                assert!(part.iter().all(|entry| taken.insert(entry.seq)), "sent twice");
                Part::Verdicts(vec![Verdict::Done; part.len()])
            }))));
            for (entry, verdict) in batch.iter().zip(verdicts) {
                let want = match bad.contains(&entry.seq) {
                    true => Verdict::Reject { reason: "400".into() },
                    false => Verdict::Done,
                };
                prop_assert_eq!(verdict, want);
            }
        }
    }

    #[test]
    fn stops_when_the_back_end_is_gone_and_trusts_no_silence() {
        let batch = batch(8);
        let mut calls = 0;
        let verdicts = run(send(
            &batch,
            &Told(Mutex::new(|part: &[Entry]| {
                calls += 1;
                match calls {
                    1 => Part::Objection("413".into()),
                    2 => Part::Verdicts(vec![Verdict::Done; part.len() - 1]),
                    _ => Part::Later { after: None, reason: "connect: refused".into() },
                }
            })),
        ));
        assert_eq!(calls, 3);
        assert_eq!(verdicts[..3], [const { Verdict::Done }; 3]);
        assert!(verdicts[3..].iter().all(|v| matches!(v, Verdict::Retry { .. })), "{verdicts:?}");
    }
}
