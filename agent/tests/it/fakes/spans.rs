//! Zipkin's `POST /api/v2/spans`, strict: an array of spans with ids of the right form.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::Deserialize;

use super::server::Store;

/// What a fake Zipkin has.
#[derive(Default)]
pub(crate) struct Spans {
    pub(crate) state: Mutex<State>,
    /// A request that holds a span of such a name is refused whole, as Zipkin does.
    pub(crate) poison: Option<&'static str>,
}

#[derive(Default)]
pub(crate) struct State {
    /// How often each span came.
    spans: HashMap<(String, String), u32>,
    violations: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: &'a str,
    id: &'a str,
    name: Option<&'a str>,
}

impl Spans {
    /// Different spans.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().spans.len()
    }

    /// Spans that came more than once.
    pub(crate) fn doubled(&self) -> usize {
        self.state.lock().spans.values().filter(|times| **times > 1).count()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }
}

impl Store for Spans {
    fn take(&self, path: &str, body: &[u8], _refuse: Option<u16>) -> (u16, String) {
        let mut state = self.state.lock();
        let spans: Vec<Span<'_>> = match serde_json::from_slice(body) {
            Ok(spans) if path == "/api/v2/spans" => spans,
            Ok(_) => return (404, String::new()),
            Err(error) => {
                state.violations.push(error.to_string());
                return (400, error.to_string());
            }
        };
        if let Some(poison) = self.poison
            && spans.iter().any(|span| span.name == Some(poison))
        {
            return (400, "Cannot decode spans".into());
        }
        for span in spans {
            let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if span.trace_id.len() != 32 || span.id.len() != 16 || !hex(span.trace_id) || !hex(span.id) {
                state.violations.push(format!("ids {} {}", span.trace_id, span.id));
            }
            *state.spans.entry((span.trace_id.to_owned(), span.id.to_owned())).or_default() += 1;
        }
        (202, String::new())
    }

    fn half(&self, answer: &str) -> String {
        answer.to_owned()
    }
}
