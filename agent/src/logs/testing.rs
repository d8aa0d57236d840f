//! Tests of record rules inside the configuration: a line in, what must be in its record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::envelope::Envelope;
use super::record::{Batch, Scratch, Source};
use super::{Settings, policy};

/// 2026-01-01T00:00:00Z: the clock of tests stands still.
const NOW: i64 = 1_767_225_600_000_000_000;

/// One test.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// For the report.
    pub name: String,
    /// The line as a client sends it.
    pub line: String,
    /// Members that its record must have, with these values.
    pub expect: BTreeMap<String, Value>,
    /// Members that it must not have.
    pub absent: Vec<String>,
    /// Its data stream.
    pub stream: Option<String>,
    /// Whether a rule drops it.
    pub dropped: bool,
}

/// Runs `cases` and returns one sentence for each thing that is not as expected, after the name of its case.
pub fn run(settings: &Settings, cases: &[Case]) -> Result<Vec<String>, String> {
    let policy = policy(settings)?;
    let mut failures = Vec::new();
    for case in cases {
        let (mut scratch, mut batch) = (Scratch::default(), Batch::default());
        policy.line(case.line.as_bytes(), Source::default(), NOW, &mut scratch, &mut batch);
        let payloads = batch.payloads.slices();
        let mut fail = |reason: String| failures.push(format!("{}: {reason}", case.name));
        let Some(envelope) = payloads.first().and_then(|payload| Envelope::decode(payload)) else {
            if !case.dropped {
                fail("the record was dropped".into());
            }
            continue;
        };
        if case.dropped {
            fail("the record was not dropped".into());
        }
        if let Some(stream) = case.stream.as_deref().filter(|stream| *stream != envelope.stream) {
            fail(format!("stream is {}, expected {stream}", envelope.stream));
        }
        let record: Map<String, Value> =
            serde_json::from_slice(envelope.document).map_err(|e| e.to_string())?;
        for (key, expected) in &case.expect {
            match record.get(key) {
                Some(value) if value == expected => {}
                Some(value) => fail(format!("{key} is {value}, expected {expected}")),
                None => fail(format!("{key} is missing, expected {expected}")),
            }
        }
        for key in case.absent.iter().filter(|key| record.contains_key(*key)) {
            fail(format!("{key} is there, expected none"));
        }
    }
    Ok(failures)
}

#[cfg(test)]
mod tests {
    use super::{Case, run};
    use crate::logs::Settings;
    use serde_json::json;

    #[test]
    fn says_what_is_not_as_expected() {
        let settings: Settings = serde_json::from_value(json!({
            "rules": [
                {"match": {"message": "^ping"}, "drop": true},
                {"extract": {"field": "message", "grok": "%{LEVEL:level}: %{GREEDYDATA:message}"}},
            ]
        }))
        .unwrap();
        let cases: Vec<Case> = serde_json::from_value(json!([
            {"name": "good", "line": "WARN: hot", "stream": "logs-unknown.app-dev",
             "expect": {"log.level": "warn", "message": "hot"}, "absent": ["kittens"]},
            {"name": "gone", "line": "ping", "dropped": true},
            {"name": "secret", "line": "{\"password\":\"x\"}", "expect": {"password": "[redacted]"}},
            {"name": "bad", "line": "WARN: hot", "stream": "x", "expect": {"a": 1, "message": "cold"},
             "absent": ["message"], "dropped": true},
        ]))
        .unwrap();
        assert_eq!(
            run(&settings, &cases).unwrap(),
            [
                "bad: the record was not dropped",
                "bad: stream is logs-unknown.app-dev, expected x",
                "bad: a is missing, expected 1",
                "bad: message is \"hot\", expected \"cold\"",
                "bad: message is there, expected none",
            ]
        );
    }
}
