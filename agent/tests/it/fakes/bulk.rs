//! Elasticsearch's `_bulk`, strict: what it is sent must be `create` with index and id, and JSON, line by line.

use std::collections::HashMap;
use std::fmt::Write;

use parking_lot::Mutex;
use serde::Deserialize;

use super::server::Store;

/// What a fake Elasticsearch has.
#[derive(Default)]
pub(crate) struct Bulk {
    pub(crate) state: Mutex<State>,
    /// Which documents are refused for good, by the number in them.
    pub(crate) refuses: Mutex<Option<fn(u64) -> bool>>,
    /// A body larger than this is answered 413.
    pub(crate) max_body: Option<usize>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Number in the document by index and id.
    documents: HashMap<(String, String), u64>,
    conflicts: u64,
    refused: u64,
    violations: Vec<String>,
    largest: usize,
}

/// Counts against the numbers that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Action<'a> {
    #[serde(borrow)]
    create: Place<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place<'a> {
    _index: &'a str,
    _id: &'a str,
}

/// Tests put a number into their records, at the root or in the message.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    n: Option<u64>,
}

impl Bulk {
    /// Of the numbers 0..`count`: how many are missing, and how many are there more than once.
    pub(crate) fn tally(&self, count: u64) -> Tally {
        let mut times = vec![0u32; count as usize];
        for number in self.state.lock().documents.values() {
            times[*number as usize] += 1;
        }
        let lost = times.iter().filter(|n| **n == 0).count() as u64;
        Tally { lost, doubled: times.iter().filter(|n| **n > 1).count() as u64 }
    }

    /// The numbers that are there, in order, as often as they are there.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.state.lock().documents.values().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().documents.len()
    }

    /// Documents that came again under their id.
    pub(crate) fn conflicts(&self) -> u64 {
        self.state.lock().conflicts
    }

    /// Documents that were answered with a status for good.
    pub(crate) fn refused(&self) -> u64 {
        self.state.lock().refused
    }

    /// Documents in the largest request.
    pub(crate) fn largest(&self) -> usize {
        self.state.lock().largest
    }

    /// What was wrong with requests.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }
}

impl State {
    fn item(&mut self, action: &[u8], document: &[u8], refuse: Option<u16>) -> Result<u16, String> {
        let action: Action<'_> = serde_json::from_slice(action).map_err(|e| format!("action: {e}"))?;
        let document: Document = serde_json::from_slice(document).map_err(|e| format!("document: {e}"))?;
        let number = document.n.ok_or("document: no number")?;
        let key = (action.create._index.to_owned(), action.create._id.to_owned());
        if self.documents.contains_key(&key) {
            self.conflicts += 1;
            return Ok(409);
        }
        if let Some(status) = refuse {
            self.refused += u64::from(status == 400);
            return Ok(status);
        }
        self.documents.insert(key, number);
        Ok(201)
    }
}

impl Store for Bulk {
    fn take(&self, path: &str, body: &[u8], refuse: Option<u16>) -> (u16, String) {
        let mut state = self.state.lock();
        // The agent also asks how full the disks are, and can do without an answer.
        if path == "/_nodes/stats/fs" {
            return (404, "{}".into());
        }
        if !path.ends_with("/_bulk") {
            state.violations.push(format!("path {path}"));
            return (404, "{}".into());
        }
        if self.max_body.is_some_and(|max| body.len() > max) {
            return (413, String::new());
        }
        if body.last() != Some(&b'\n') {
            state.violations.push("the last line does not end".into());
            return (400, "{}".into());
        }
        let lines: Vec<&[u8]> = body[..body.len() - 1].split(|byte| *byte == b'\n').collect();
        state.largest = state.largest.max(lines.len() / 2);
        let refuses = *self.refuses.lock();
        let mut answer = String::from(r#"{"took":1,"errors":false,"items":["#);
        for (at, pair) in lines.chunks(2).enumerate() {
            let [action, document] = pair else {
                state.violations.push("an action without a document".into());
                return (400, "{}".into());
            };
            let never = refuses.is_some_and(|refuses| {
                serde_json::from_slice::<Document>(document).is_ok_and(|d| d.n.is_some_and(refuses))
            });
            let refuse = if never { Some(400) } else { refuse.filter(|_| at % 10 == 3) };
            let status = state.item(action, document, refuse).unwrap_or_else(|violation| {
                state.violations.push(violation);
                400
            });
            let comma = if at == 0 { "" } else { "," };
            let error = match status {
                400 => r#","error":{"type":"document_parsing_exception","reason":"as told"}"#,
                429 => r#","error":{"type":"es_rejected_execution_exception","reason":"as told"}"#,
                _ => "",
            };
            let _ = write!(answer, r#"{comma}{{"create":{{"status":{status}{error}}}}}"#);
        }
        answer.push_str("]}");
        (200, answer)
    }

    fn half(&self, answer: &str) -> String {
        let items = answer.matches("},{").count() / 2;
        let cut = answer.match_indices("},{").nth(items).map_or(0, |(at, _)| at + 1);
        format!("{}]}}", &answer[..cut])
    }
}
